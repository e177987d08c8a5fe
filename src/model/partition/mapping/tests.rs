//! Mappings in both directions: by example, and against what they mean, place by place.

use std::{collections::BTreeSet, ops::Range};

use jiff::{Timestamp, ToSpan, civil::date};
use proptest::prelude::*;

use super::*;
use crate::model::partition::{
    Cron, Definition, Every, TimeDefinition,
    tests::{DAY, HOUR, MONTH, any_time, keys, multi, names, time, time_keys},
};

const NOW: &str = "2026-04-10T00:00:00Z";

fn of_time(every: Every) -> Keys {
    time_keys(time(every, "America/New_York", "2026-01-01"), NOW)
}

fn listed_keys(them: &[&str]) -> Keys {
    keys(&Definition::Static(names(them)), NOW)
}

/// `up` and `down` with a text of the one side, as a text of the other.
fn both(mapping: &Mapping, up: &Keys, down: &Keys, up_text: &str, down_text: &str) -> (String, String) {
    let related = mapping.relate(up, down).unwrap();
    (
        up.print(&related.upstream(&down.parse(down_text).unwrap())),
        down.print(&related.downstream(&up.parse(up_text).unwrap())),
    )
}

fn told(mapping: &Mapping, up: &Keys, down: &Keys) -> String {
    let why = mapping.relate(up, down).unwrap_err();
    format!("{}; {}", why.message, why.help.unwrap_or_default())
}

#[test]
fn windows_that_overlap_belong_together() {
    let (hours, days, months) = (of_time(HOUR), of_time(DAY), of_time(MONTH));
    let natural = Mapping::Natural;
    // The day on which clocks are put forward has 23 hours.
    assert_eq!(
        both(&natural, &hours, &days, "2026-03-07T23,2026-03-08T00", "2026-03-08"),
        ("2026-03-08T00..2026-03-09T00".into(), "2026-03-07,2026-03-08".into())
    );
    assert_eq!(hours.parse("2026-03-08T00..2026-03-09T00").unwrap().count(), 23);
    assert_eq!(
        both(&natural, &days, &months, "2026-01-31..2026-02-02", "2026-02"),
        ("2026-02-01..2026-03-01".into(), "2026-01,2026-02".into())
    );
    // Late data: two hours in two days of one month are two days and one month.
    let late = hours.parse("2026-02-03T05,2026-02-17T22").unwrap();
    let days_made = natural.relate(&hours, &days).unwrap().downstream(&late);
    assert_eq!(days.print(&days_made), "2026-02-03,2026-02-17");
    assert_eq!(months.print(&natural.relate(&days, &months).unwrap().downstream(&days_made)), "2026-02");
}

#[test]
fn another_time_zone_overlaps_two_days() {
    let seoul = time_keys(time(DAY, "Asia/Seoul", "2026-01-01"), NOW);
    let utc = time_keys(time(DAY, "UTC", "2026-01-01"), NOW);
    assert_eq!(
        both(&Mapping::Natural, &seoul, &utc, "2026-02-02", "2026-02-02"),
        ("2026-02-02,2026-02-03".into(), "2026-02-01,2026-02-02".into())
    );
    assert_eq!(
        told(&Mapping::Identity, &seoul, &utc),
        "identity needs windows that are the same on both sides; leave it out: windows that overlap belong together"
    );
}

#[test]
fn windows_may_be_moved_and_widened() {
    let (days, months) = (of_time(DAY), of_time(MONTH));
    let before = Mapping::Window { from: -1, to: -1 };
    assert_eq!(both(&before, &days, &days, "2026-02-01", "2026-02-01"), ("2026-01-31".into(), "2026-02-02".into()));
    assert_eq!(both(&before, &days, &days, "latest", "2026-01-01"), ("none".into(), "none".into()));
    let week = Mapping::Window { from: -6, to: 0 };
    assert_eq!(
        both(&week, &days, &days, "2026-02-01", "2026-01-03,2026-02-07"),
        ("2026-01-01..2026-01-04,2026-02-01..2026-02-08".into(), "2026-02-01..2026-02-08".into())
    );
    assert_eq!(
        both(&week, &days, &months, "2026-01-26", "2026-02"),
        ("2026-01-26..2026-03-01".into(), "2026-01,2026-02".into())
    );
    assert_eq!(
        told(&Mapping::Window { from: 1, to: 0 }, &days, &days),
        "a window from 1 to 0 ends before it begins; as in -6 to 0: the last seven"
    );
    assert_eq!(
        told(&before, &listed_keys(&["a"]), &days),
        "windows cannot be moved between listed keys and windows of time; offset and window are for partitions by time"
    );
    let minutes = time_keys(time(Every::Cron(Cron::parse("0 0 29 2 *").unwrap()), "UTC", "2000-01-01"), NOW);
    assert_eq!(
        told(&Mapping::Window { from: -100, to: 0 }, &minutes, &minutes),
        "a window from -100 to 0 reaches too far; at most 3 either way"
    );
}

#[test]
fn definitions_that_begin_at_different_times_meet_by_their_windows() {
    let older = time_keys(time(DAY, "America/New_York", "2025-12-30"), NOW);
    let (from, until) =
        both(&Mapping::Identity, &older, &of_time(DAY), "2025-12-31,2026-01-02", "2026-01-01..2026-01-04");
    assert_eq!((&*from, &*until), ("2026-01-01..2026-01-04", "2026-01-02"));
    let cron = || Every::Cron(Cron::parse("0 6 * * mon").unwrap());
    let (old, new) =
        (time_keys(time(cron(), "UTC", "1990-01-01"), NOW), time_keys(time(cron(), "UTC", "2026-01-01"), NOW));
    let mondays = "2026-01-05T0600,2026-01-12T0600";
    assert_eq!(both(&Mapping::Identity, &old, &new, mondays, mondays), (mondays.into(), mondays.into()));
    assert_eq!(both(&Mapping::Natural, &new, &old, mondays, mondays), (mondays.into(), mondays.into()));
}

#[test]
fn what_is_far_from_a_schedule_belongs_to_none_of_it() {
    let ticks = time_keys(time(Every::Cron(Cron::parse("0 6 * * mon").unwrap()), "UTC", "2026-01-01"), NOW);
    let months = time_keys(time(MONTH, "UTC", "1900-01-01"), NOW);
    let moved = Mapping::Window { from: -50, to: 50 };
    assert_eq!(
        both(&Mapping::Natural, &ticks, &months, "2026-01-05T0600", "1900-01..2026-01"),
        ("none".into(), "2026-01".into())
    );
    assert_eq!(both(&moved, &ticks, &months, "latest", "1900-01..2024-01").0, "none");
    assert_eq!(
        both(&Mapping::Natural, &months, &ticks, "1900-01..2026-01", "2026-01-05T0600"),
        ("2026-01".into(), "none".into())
    );
}

#[test]
fn all_last_and_no_partitions() {
    let days = of_time(DAY);
    assert_eq!(both(&Mapping::Natural, &Keys::Whole, &days, "all", "2026-02-01"), ("all".into(), "all".into()));
    assert_eq!(both(&Mapping::Natural, &days, &Keys::Whole, "2026-02-01", "all"), ("all".into(), "all".into()));
    assert_eq!(both(&Mapping::All, &days, &days, "2026-02-01", "2026-02-01"), ("all".into(), "all".into()));
    assert_eq!(both(&Mapping::All, &days, &days, "none", "none"), ("none".into(), "none".into()));
    assert_eq!(both(&Mapping::Last, &days, &days, "2026-02-01", "2026-02-01"), ("2026-04-08".into(), "none".into()));
    assert_eq!(both(&Mapping::Last, &days, &Keys::Whole, "latest", "all"), ("2026-04-08".into(), "all".into()));
    let none_yet = time_keys(time(DAY, "UTC", "2027-01-01"), NOW);
    assert_eq!(both(&Mapping::Last, &none_yet, &days, "none", "all"), ("none".into(), "none".into()));
    assert_eq!(
        told(&Mapping::Identity, &days, &Keys::Whole),
        "identity cannot be between windows of time and no partitions; take it out"
    );
}

#[test]
fn names_belong_together_by_name_or_by_a_table() {
    let (country, some) = (listed_keys(&["de", "fr", "jp"]), listed_keys(&["jp", "kr"]));
    assert_eq!(both(&Mapping::Natural, &country, &some, "all", "all"), ("jp".into(), "jp".into()));
    let table = |rows: &[(&str, &[&str])]| {
        let row = |(key, of): &(&str, &[&str])| TableRow {
            downstream: Arc::from(*key),
            upstream: of.iter().map(|it| Arc::from(*it)).collect(),
        };
        Mapping::Table(rows.iter().map(row).collect())
    };
    let continent = listed_keys(&["europe", "asia", "moon"]);
    let good = table(&[("europe", &["de", "fr"]), ("asia", &["jp"]), ("moon", &[])]);
    assert_eq!(both(&good, &country, &continent, "fr,jp", "europe,moon"), ("de,fr".into(), "europe,asia".into()));
    assert_eq!(
        told(&Mapping::Natural, &country, &continent),
        "the two have no key in common; say what belongs together: all, last, or a table"
    );
    let bad = [
        (table(&[("europe", &["de"])]), "the table does not say what `asia` is made from; if from nothing: asia = []"),
        (
            table(&[("europa", &[])]),
            "the table names `europa`, which is no partition of the downstream; did you mean `europe`?",
        ),
        (
            table(&[("europe", &["ed"]), ("asia", &[]), ("moon", &[])]),
            "the table names `ed`, which is no partition of the upstream; did you mean `de`?",
        ),
    ];
    for (mapping, why) in bad {
        assert_eq!(told(&mapping, &country, &continent), why);
    }
    assert_eq!(
        told(&Mapping::Natural, &of_time(DAY), &country),
        "windows of time and listed keys have nothing in common; say what belongs together: all, last, or a table"
    );
}

#[test]
fn dimensions_are_mapped_one_by_one() {
    let cube = multi("2026-01-01", NOW);
    let months = time_keys(time(MONTH, "UTC", "2026-01-01"), NOW);
    assert_eq!(
        both(&Mapping::Natural, &cube, &months, "day=2026-01-31..2026-02-03,region=jp", "2026-02"),
        ("day=2026-02-01..2026-03-01".into(), "2026-01,2026-02".into())
    );
    assert_eq!(
        both(&Mapping::Natural, &months, &cube, "2026-02", "day=2026-02-05,region=jp"),
        ("2026-02".into(), "day=2026-02-01..2026-03-01".into())
    );
    let pair = |up: Option<&str>, down: Option<&str>, mapping| DimensionMapping {
        upstream: up.map(Arc::from),
        downstream: down.map(Arc::from),
        mapping,
    };
    let yesterday = Mapping::Dimensions(
        [
            pair(Some("day"), Some("day"), Mapping::Window { from: -1, to: -1 }),
            pair(Some("region"), Some("region"), Mapping::Natural),
        ]
        .into(),
    );
    assert_eq!(
        both(
            &yesterday,
            &cube,
            &cube,
            "day=2026-02-05,region=us,customer=acme",
            "day=2026-02-05,region=us,customer=acme"
        ),
        ("day=2026-02-04,region=us".into(), "day=2026-02-06,region=us".into())
    );
    let by = |them: &[DimensionMapping]| Mapping::Dimensions(them.into());
    for (mapping, why) in [
        (
            by(&[pair(Some("dya"), None, Mapping::Natural)]),
            "the upstream has no dimension `dya`; there is `day`, `region`, `customer`",
        ),
        (
            by(&[pair(None, None, Mapping::Natural)]),
            "it is not said which dimension of the upstream is meant; one of `day`, `region`, `customer`",
        ),
        (
            by(&[pair(Some("day"), Some("x"), Mapping::Natural)]),
            "the downstream has no dimension `x`: it has none; take it out",
        ),
        (
            by(&[pair(Some("region"), None, Mapping::Natural)]),
            "`region` and `all`: windows of time and listed keys have nothing in common; say what belongs together: all, last, or a table",
        ),
    ] {
        assert_eq!(told(&mapping, &cube, &months), why);
    }
    assert_eq!(
        told(&Mapping::Last, &cube, &months),
        "partitions of several dimensions have no last one; say of which dimension"
    );
}

#[test]
fn a_union_is_what_any_says() {
    let days = of_time(DAY);
    let today_and_the_last = Mapping::Union([Mapping::Identity, Mapping::Last].into());
    assert_eq!(
        both(&today_and_the_last, &days, &days, "2026-02-01", "2026-02-01"),
        ("2026-02-01,2026-04-08".into(), "2026-02-01".into())
    );
    assert_eq!(both(&today_and_the_last, &days, &days, "latest", "none").1, "all");
}

#[test]
fn a_million_hours_are_one_step() {
    let hours = time_keys(time(HOUR, "Europe/Berlin", "1900-01-01"), NOW);
    let months = time_keys(time(MONTH, "Europe/Berlin", "1900-01-01"), NOW);
    let related = Mapping::Natural.relate(&hours, &months).unwrap();
    assert_eq!(related.downstream(&hours.all()), months.all());
    assert_eq!(related.upstream(&months.all()).ranges().len(), 1);
}

/// What a mapping of windows means, place by place: for each of the downstream those of the upstream.
fn meant(up: &TimeKeys, down: &TimeKeys, from: i64, to: i64) -> Vec<BTreeSet<u64>> {
    let margin = 12 + from.abs() + to.abs();
    let count = |of: &TimeKeys| i64::try_from(of.count()).unwrap();
    let window = |of: &TimeKeys, at: i64| of.start(at)..of.start(at + 1);
    let windows: Vec<(i64, Range<i64>)> = (-margin..count(up) + margin).map(|it| (it, window(up, it))).collect();
    let meets = |a: &Range<i64>, b: &Range<i64>| a.start.max(b.start) < a.end.min(b.end);
    let places = |at: i64| -> BTreeSet<u64> {
        let own = window(down, at);
        let overlapping = windows.iter().filter(|it| meets(&it.1, &own));
        let moved = overlapping.flat_map(|it| it.0 + from..=it.0 + to);
        moved.filter(|it| (0..count(up)).contains(it)).map(|it| it as u64).collect()
    };
    (0..count(down)).map(places).collect()
}

/// A definition with some days of windows before the spring or the autumn of 2026.
fn any_short() -> impl Strategy<Value = TimeDefinition> {
    (any_time(), 3_i64..26).prop_map(|(of, days)| {
        let start = date(2026, 3, 31).saturating_sub(days.days()).at(0, 0, 0, 0);
        TimeDefinition { start, ..of }
    })
}

fn relate(up: &TimeKeys, down: &TimeKeys, from: i64, to: i64) -> Related {
    Mapping::Window { from, to }.relate(&Keys::Time(up.clone()), &Keys::Time(down.clone())).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn windows_are_those_that_overlap_place_by_place(
        up in any_short(),
        down in any_short(),
        same in any::<bool>(),
        autumn in any::<bool>(),
        (from, more) in (-4_i64..4, 0_i64..4),
        picked in prop::collection::vec((0.0..1.0_f64, 1_u64..9), 1..4),
    ) {
        let to = from + more;
        let mut down = if same { TimeDefinition { start: down.start, ..up.clone() } } else { down };
        let mut up = up;
        let mut now: Timestamp = "2026-04-12T00:00:00Z".parse().unwrap();
        if autumn {
            let later = |it: jiff::civil::DateTime| it.saturating_add(215.days());
            (up.start, down.start) = (later(up.start), later(down.start));
            now = "2026-11-12T00:00:00Z".parse().unwrap();
        }
        let (up, down) = (TimeKeys::new(Arc::new(up), now), TimeKeys::new(Arc::new(down), now));
        let related = relate(&up, &down, from, to);
        let meant = meant(&up, &down, from, to);
        for (place, wanted) in meant.iter().enumerate() {
            let found: BTreeSet<u64> = related.upstream(&PartitionSet::one(place as u64)).iter().collect();
            prop_assert_eq!(&found, wanted, "{}", down.key(place as i64));
        }
        let some = |count: u64| PartitionSet::of(picked.iter().map(|(at, length)| {
            let start = (at * count as f64) as u64;
            start..(start + length).min(count)
        }));
        let (of_down, of_up) = (some(down.count()), some(up.count()));
        let wanted: BTreeSet<u64> = of_down.iter().flat_map(|it| meant[it as usize].clone()).collect();
        prop_assert_eq!(related.upstream(&of_down).iter().collect::<BTreeSet<u64>>(), wanted);
        let wanted: BTreeSet<u64> =
            (0..down.count()).filter(|it| meant[*it as usize].iter().any(|it| of_up.contains(*it))).collect();
        prop_assert_eq!(related.downstream(&of_up).iter().collect::<BTreeSet<u64>>(), wanted);
    }

    #[test]
    fn both_directions_of_dimensions_agree(
        from in -2_i64..2,
        picked in prop::collection::vec((0.0..1.0_f64, 1_u64..40), 1..5),
    ) {
        let cube = multi("2026-01-01", "2026-01-08T00:00:00Z");
        let pair = |name: &str, mapping| DimensionMapping { upstream: Some(name.into()), downstream: Some(name.into()), mapping };
        let mapping = Mapping::Dimensions([
            pair("day", Mapping::Window { from, to: from + 1 }),
            pair("region", Mapping::Identity),
        ].into());
        let related = mapping.relate(&cube, &cube).unwrap();
        let set = PartitionSet::of(picked.iter().map(|(at, length)| {
            let start = (at * cube.count() as f64) as u64;
            start..(start + length).min(cube.count())
        }));
        let each: Vec<PartitionSet> = (0..cube.count()).map(|it| related.upstream(&PartitionSet::one(it))).collect();
        let wanted = set.iter().fold(PartitionSet::empty(), |all, it| all.union(&each[it as usize]));
        prop_assert_eq!(related.upstream(&set), wanted);
        let wanted: PartitionSet = (0..cube.count()).filter(|it| each[*it as usize].meets(&set)).collect();
        prop_assert_eq!(related.downstream(&set), wanted);
    }
}
