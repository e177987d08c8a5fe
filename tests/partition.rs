//! Windows of time against a table that something else made: Python's zoneinfo and a walk.

use std::{fmt::Write, path::Path, process::Command, sync::Arc};

use assets::model::partition::{Every, TimeDefinition, TimeKeys, Zone};
use jiff::{
    Timestamp,
    civil::{Time, Weekday, date},
};

#[test]
fn windows_of_2026_are_those_that_python_finds() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/partition/windows.py");
    let run = Command::new("python3").arg(script).output().expect("this test needs python3");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let theirs = String::from_utf8(run.stdout).unwrap();
    let mut ours = String::new();
    let mut zones: Vec<&str> = theirs.lines().filter_map(|it| it.split(' ').next()).collect();
    zones.dedup();
    for zone in &zones {
        let midnight = Time::midnight();
        for (name, every) in [
            ("hour", Every::Hour(0)),
            ("day", Every::Day(midnight)),
            ("late_day", Every::Day(Time::constant(2, 30, 0, 0))),
            ("week", Every::Week(Weekday::Monday, midnight)),
            ("month", Every::Month(1, midnight)),
        ] {
            windows(zone, name, every, &mut ours);
        }
    }
    let wrong = theirs.lines().zip(ours.lines()).find(|it| it.0 != it.1);
    assert_eq!(wrong, None, "the first that differs: Python's, ours");
    assert_eq!(theirs.lines().count(), ours.lines().count());
    // The table is there, and has what it is for: a day of 23 and one of 25 hours, an hour that is there twice.
    assert!(zones.len() == 7 && ours.lines().count() > 7 * 8760, "{zones:?} {}", ours.lines().count());
    for line in [
        "America/New_York day 2026-03-08 2026-03-08T05:00Z 2026-03-09T04:00Z",
        "America/New_York day 2026-11-01 2026-11-01T04:00Z 2026-11-02T05:00Z",
        "America/New_York hour 2026-11-01T01-0500 2026-11-01T06:00Z 2026-11-01T07:00Z",
        "Australia/Lord_Howe hour 2026-04-05T01+1030 2026-04-04T15:00Z 2026-04-04T15:30Z",
        "America/Havana day 2026-03-08 2026-03-08T05:00Z 2026-03-09T04:00Z",
        "Africa/Cairo day 2026-04-24 2026-04-23T22:00Z 2026-04-24T21:00Z",
    ] {
        assert!(theirs.lines().any(|it| it == line), "{line}");
    }
}

fn windows(zone: &str, name: &str, every: Every, out: &mut String) {
    let start = date(2025, 10, 1).at(0, 0, 0, 0);
    let zone_of = Zone::named(zone).unwrap();
    let of = TimeDefinition { every, zone: zone_of, start, end: None, format: None, end_offset: 0 };
    let moment = |it: &str| it.parse::<Timestamp>().unwrap();
    let (begin, end) = (moment("2026-01-01T00:00:00Z"), moment("2027-01-01T00:00:00Z"));
    let keys = TimeKeys::new(Arc::new(of), moment("2027-03-01T00:00:00Z"));
    for place in 0..i64::try_from(keys.count()).unwrap() {
        let window = keys.window(place);
        if window.start >= begin && window.start < end {
            let [from, until] = [window.start, window.end].map(|it| it.strftime("%Y-%m-%dT%H:%MZ").to_string());
            writeln!(out, "{zone} {name} {} {from} {until}", keys.key(place)).unwrap();
        }
    }
}
