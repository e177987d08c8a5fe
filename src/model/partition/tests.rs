//! Partitions from the outside: what is declared, and the keys that come of it.

use jiff::{
    Timestamp,
    civil::{Time, Weekday, date},
};
use proptest::prelude::*;

use super::*;

pub const DAY: Every = Every::Day(Time::constant(0, 0, 0, 0));
pub const MONTH: Every = Every::Month(1, Time::constant(0, 0, 0, 0));
pub const HOUR: Every = Every::Hour(0);

pub fn time(every: Every, zone: &str, start: &str) -> TimeDefinition {
    let start = start.parse().unwrap();
    TimeDefinition { every, zone: Zone::named(zone).unwrap(), start, end: None, format: None, end_offset: 0 }
}

pub fn names(of: &[&str]) -> Names {
    Names::new(of.iter().map(|it| Arc::from(*it)).collect::<Vec<_>>()).unwrap()
}

pub fn keys(of: &Definition, now: &str) -> Keys {
    let now: Timestamp = now.parse().unwrap();
    of.keys(Moment { now, dynamic: &|name| names(if name == "customers" { &["acme", "zeta"] } else { &[] }) }).unwrap()
}

pub fn time_keys(of: TimeDefinition, now: &str) -> Keys {
    keys(&Definition::Time(Arc::new(of)), now)
}

/// Count, first and last.
fn ends(keys: &Keys) -> String {
    let key = |at: u64| keys.key(at).map_or("-".to_owned(), |it| it.as_str().to_owned());
    format!("{}: {} to {}", keys.count(), key(0), key(keys.count().wrapping_sub(1)))
}

fn refused(keys: &Keys, key: &str) -> String {
    let told = keys.place(key).unwrap_err();
    format!("{}; {}", told.message, told.help.unwrap_or_default())
}

#[test]
fn there_are_the_windows_that_are_over() {
    let daily = || time(DAY, "Asia/Seoul", "2026-01-01");
    // 15:00 UTC is midnight in Seoul.
    assert_eq!(ends(&time_keys(daily(), "2026-03-15T14:59:59Z")), "73: 2026-01-01 to 2026-03-14");
    assert_eq!(ends(&time_keys(daily(), "2026-03-15T15:00:00Z")), "74: 2026-01-01 to 2026-03-15");
    let current = TimeDefinition { end_offset: 1, ..daily() };
    assert_eq!(ends(&time_keys(current, "2026-03-15T14:59:59Z")), "74: 2026-01-01 to 2026-03-15");
    assert_eq!(ends(&time_keys(daily(), "2025-06-01T00:00:00Z")), "0: - to -");
    let ended = TimeDefinition { end: Some(date(2026, 2, 1).at(0, 0, 0, 0)), ..daily() };
    assert_eq!(ends(&time_keys(ended.clone(), "2026-03-15T00:00:00Z")), "31: 2026-01-01 to 2026-01-31");
    assert_eq!(ends(&time_keys(ended, "2026-01-03T00:00:00Z")), "2: 2026-01-01 to 2026-01-02");
}

#[test]
fn each_cadence_has_its_keys() {
    let six = Time::constant(6, 0, 0, 0);
    let now = "2026-04-10T00:00:00Z";
    let all = |every| ends(&time_keys(time(every, "UTC", "2026-01-01"), now));
    assert_eq!(all(HOUR), "2376: 2026-01-01T00 to 2026-04-09T23");
    assert_eq!(all(Every::Day(six)), "98: 2026-01-01 to 2026-04-08");
    assert_eq!(all(Every::Week(Weekday::Monday, six)), "13: 2026-01-05 to 2026-03-30");
    assert_eq!(all(MONTH), "3: 2026-01 to 2026-03");
    assert_eq!(all(Every::Month(5, six)), "3: 2026-01 to 2026-03");
    let cron = |text| Every::Cron(Cron::parse(text).unwrap());
    assert_eq!(all(cron("30 9 * * mon-fri")), "70: 2026-01-01T0930 to 2026-04-08T0930");
    assert_eq!(all(cron("*/15 * * * *")), "9504: 2026-01-01T0000 to 2026-04-09T2345");
}

#[test]
fn an_hour_that_is_there_twice_has_two_keys() {
    let hourly = time_keys(time(HOUR, "America/New_York", "2026-01-01"), "2027-01-01T05:00:00Z");
    assert_eq!(hourly.count(), 365 * 24);
    let around = hourly.place("2026-11-01T00").unwrap();
    let text = |at| hourly.key(at).unwrap().as_str().to_owned();
    let found: Vec<String> = (around..around + 4).map(text).collect();
    assert_eq!(found, ["2026-11-01T00", "2026-11-01T01-0400", "2026-11-01T01-0500", "2026-11-01T02"]);
    assert_eq!(hourly.place("2026-11-01T01-0500").unwrap(), around + 2);
    assert_eq!(
        refused(&hourly, "2026-11-01T01"),
        "2026-11-01T01 is there twice: the clocks are put back; write 2026-11-01T01-0400 or 2026-11-01T01-0500"
    );
    assert_eq!(
        refused(&hourly, "2026-03-08T02"),
        "no partition begins at 2026-03-08T02; it would be in the one of 2026-03-08T03"
    );
}

#[test]
fn what_is_no_key_is_told_why() {
    let weekly = time_keys(time(Every::Week(Weekday::Monday, Time::MIN), "UTC", "2026-01-01"), "2026-04-10T00:00:00Z");
    assert_eq!(refused(&weekly, "2026-1-5"), "\"2026-1-5\" is not a key; keys are written as in 2026-01-05");
    assert_eq!(refused(&weekly, "2026-02-31"), "\"2026-02-31\" is not a key; keys are written as in 2026-01-05");
    assert_eq!(
        refused(&weekly, "2026-01-07"),
        "no partition begins at 2026-01-07; it would be in the one of 2026-01-05"
    );
    assert_eq!(
        refused(&weekly, "2025-12-29"),
        "2025-12-29 is before the first partition; there are 2026-01-05 to 2026-03-30"
    );
    assert_eq!(refused(&weekly, "2026-04-06"), "2026-04-06 is not over yet; there are 2026-01-05 to 2026-03-30");
    let region = keys(&Definition::Static(names(&["jp", "us", "korea"])), "2026-01-01T00:00:00Z");
    assert_eq!(refused(&region, "koera"), "there is no partition `koera`; did you mean `korea`?");
    assert_eq!(refused(&region, "europe"), "there is no partition `europe`; there is `jp`, `us`, `korea`");
    assert_eq!(
        refused(&keys(&Definition::Dynamic("x".into()), "2026-01-01T00:00:00Z"), "a"),
        "there is no partition `a`; there is none yet"
    );
}

fn dimension(name: &str, definition: Definition) -> Dimension {
    Dimension { name: name.into(), definition }
}

pub fn multi(days: &str, now: &str) -> Keys {
    let daily = Definition::Time(Arc::new(time(DAY, "UTC", days)));
    let dimensions = [
        dimension("day", daily),
        dimension("region", Definition::Static(names(&["jp", "us"]))),
        dimension("customer", Definition::Dynamic("customers".into())),
    ];
    keys(&Definition::Multi(dimensions.into()), now)
}

#[test]
fn combinations_are_numbered_with_the_first_dimension_fastest() {
    let keys = multi("2026-01-01", "2026-01-04T00:00:00Z");
    assert_eq!(keys.count(), 12);
    let text = |at| keys.key(at).unwrap().as_str().to_owned();
    assert_eq!(
        [0, 1, 3, 6].map(text),
        [
            "day=2026-01-01,region=jp,customer=acme",
            "day=2026-01-02,region=jp,customer=acme",
            "day=2026-01-01,region=us,customer=acme",
            "day=2026-01-01,region=jp,customer=zeta",
        ]
    );
    assert_eq!(
        refused(&keys, "2026-01-01|jp|acme"),
        "\"2026-01-01|jp|acme\" does not name a key of each dimension; write it as day=..,region=..,customer=.."
    );
    assert_eq!(
        refused(&keys, "day=2026-01-01,region=kr,customer=acme"),
        "there is no partition `kr`; there is `jp`, `us`"
    );
}

#[test]
fn a_partition_is_of_a_time_if_only_one_dimension_is() {
    let cube = multi("2026-01-01", "2026-01-04T00:00:00Z");
    let place = cube.place("day=2026-01-02,region=us,customer=zeta").unwrap();
    let window = cube.window(place).unwrap();
    assert_eq!(
        (window.start.to_string(), window.end.to_string()),
        ("2026-01-02T00:00:00Z".into(), "2026-01-03T00:00:00Z".into())
    );
    assert_eq!(keys(&Definition::Static(names(&["jp"])), "2026-01-01T00:00:00Z").window(0), None);
    let daily = Definition::Time(Arc::new(time(DAY, "UTC", "2026-01-01")));
    let two = Definition::Multi([dimension("from", daily.clone()), dimension("to", daily)].into());
    assert_eq!(keys(&two, "2026-01-04T00:00:00Z").window(0), None);
}

#[test]
fn a_million_keys_cost_nothing_until_asked_for() {
    let hourly = time(HOUR, "Europe/Berlin", "1900-01-01");
    let keys = time_keys(hourly, "2026-01-01T00:00:00Z");
    assert_eq!(keys.count(), 1_104_505);
    assert_eq!(keys.all().ranges().len(), 1);
    assert_eq!(keys.place(keys.key(1_000_000).unwrap().as_str()).unwrap(), 1_000_000);
}

#[test]
fn a_format_tells_every_window_from_every_other() {
    let check = |every: Every, format: &str| {
        let of = TimeDefinition { format: Some(format.into()), ..time(every, "America/New_York", "2026-01-01") };
        check_format(&Arc::new(of)).map_err(|it| it.to_string())
    };
    for (every, format) in [
        (DAY, "%Y%m%d"),
        (DAY, "%d.%m.%Y"),
        (DAY, "%Y-%j"),
        (HOUR, "%Y-%m-%d-%H:%M"),
        (MONTH, "%b %Y"),
        (Every::Week(Weekday::Monday, Time::MIN), "%G-W%V"),
        (Every::Week(Weekday::Sunday, Time::MIN), "%G-W%V"),
    ] {
        assert_eq!(check(every, format), Ok(()), "{format}");
    }
    let wrong = |every, format| check(every, format).unwrap_err();
    assert_eq!(wrong(DAY, "%Y-%m"), "the format makes the key \"2026-01\", which does not tell its window from others");
    assert_eq!(wrong(DAY, "%Y/%m/%d"), "the format makes the key \"2026/01/01\": a key may not contain '/'");
    assert!(wrong(HOUR, "%Y-%m-%d").contains("does not tell"));
    assert!(wrong(DAY, "%Q").starts_with("the format cannot be used"), "{}", wrong(DAY, "%Q"));
    assert!(wrong(HOUR, "%Y-%m-%dT%I").contains("does not tell"));
}

fn any_every() -> impl Strategy<Value = Every> {
    let at = (0_i8..24, 0_i8..60).prop_map(|(hour, minute)| Time::constant(hour, minute, 0, 0));
    prop_oneof![
        (0_i8..60).prop_map(Every::Hour),
        at.clone().prop_map(Every::Day),
        (0_i8..7, at.clone()).prop_map(|(day, at)| Every::Week(Weekday::from_sunday_zero_offset(day).unwrap(), at)),
        (1_i8..=28, at).prop_map(|(day, at)| Every::Month(day, at)),
        prop::sample::select(vec![
            "*/20 * * * *",
            "0 3,15 * * *",
            "30 2 * * sun",
            "0 0 1,15 * *",
            "10 */6 * 3,10,11 *"
        ])
        .prop_map(|it| Every::Cron(Cron::parse(it).unwrap())),
    ]
}

pub fn any_time() -> impl Strategy<Value = TimeDefinition> {
    const ZONES: [&str; 9] = [
        "UTC",
        "Asia/Seoul",
        "Asia/Kolkata",
        "America/New_York",
        "America/Havana",
        "America/St_Johns",
        "Australia/Lord_Howe",
        "Africa/Cairo",
        "Pacific/Apia",
    ];
    let start = (1950_i16..2026, 1_i8..=12, 1_i8..=28).prop_map(|(year, month, day)| date(year, month, day));
    (any_every(), prop::sample::select(ZONES.to_vec()), start)
        .prop_map(|(every, zone, start)| time(every, zone, &start.to_string()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_text_is_too_odd(text in "[-0-9T+.,;=adlry|é :]{0,24}|\\PC{0,40}", of in any_time()) {
        for keys in [time_keys(of, "2026-12-01T00:00:00Z"), multi("2026-01-01", "2026-02-01T00:00:00Z"), Keys::Whole] {
            if let Err(wrong) = keys.parse(&text) {
                prop_assert!(text.get(wrong.at.clone()).is_some(), "{:?} {:?}", text, wrong);
            }
            let _ = keys.place(&text);
        }
        if let Err(wrong) = Cron::parse(&text) {
            prop_assert!(text.get(wrong.at.clone()).is_some(), "{:?} {:?}", text, wrong);
        }
    }

    #[test]
    fn a_place_has_a_key_and_a_key_its_place(of in any_time(), at in 0.0..1.0_f64) {
        let keys = time_keys(of, "2026-12-01T00:00:00Z");
        prop_assume!(keys.count() > 0);
        let place = (at * keys.count() as f64) as u64;
        for place in [0, place, keys.count() - 1] {
            let key = keys.key(place).unwrap();
            prop_assert_eq!(keys.place(key.as_str()), Ok(place), "{:?}", key);
            prop_assert_eq!(check_name(key.as_str()), Ok(()));
        }
        prop_assert_eq!(keys.key(keys.count()), None);
    }

    #[test]
    fn windows_follow_each_other(of in any_time(), at in 0.0..1.0_f64) {
        let Keys::Time(keys) = time_keys(of, "2026-12-01T00:00:00Z") else { unreachable!() };
        let place = (at * keys.count() as f64) as i64;
        for place in place - 3..place + 3 {
            let window = keys.window(place);
            prop_assert!(window.start <= window.end);
            prop_assert_eq!(window.end, keys.window(place + 1).start);
            if window.start < window.end {
                prop_assert_eq!(keys.holding(window.start.as_second()), place);
                prop_assert_eq!(keys.holding(window.end.as_second() - 1), place);
            }
        }
    }
}
