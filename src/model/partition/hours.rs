//! Windows of an hour: each from one full hour on a zone's clocks to the next, or to where the clocks
//! are put forward or back, so that an hour which is there twice is two windows.

use std::sync::Arc;

use jiff::civil::DateTime;

use super::zone::{Instant, Stretch, Zone, shown_in_utc};

const HOUR: i64 = 3600;

#[derive(Clone, Debug)]
pub struct Hours {
    /// Minutes past the hour at which windows begin, in seconds.
    past: i64,
    /// Never empty; one for every time that the clocks were changed.
    stretches: Arc<[Numbered]>,
}

#[derive(Clone, Copy, Debug)]
struct Numbered {
    stretch: Stretch,
    /// The window that it begins with.
    first: i64,
}

/// Rules of zones begin with the 19th century; before it clocks ran evenly.
const RULES_FROM: Instant = -6_000_000_000;
/// Rules are followed for so long after what is asked for: further than any mapping reaches.
const RULES_BEYOND: Instant = 100 * 366 * 86_400;

impl Hours {
    /// Right up to a century after `until`.
    pub fn new(zone: &Zone, minute: i8, until: Instant) -> Hours {
        let past = i64::from(minute) * 60;
        let mut stretches: Vec<Numbered> = Vec::new();
        for stretch in zone.stretches(RULES_FROM..until.max(0).saturating_add(RULES_BEYOND)) {
            let first = match stretches.last() {
                Some(last) => last.number(stretch.from - 1, past) + 1,
                None => (stretch.from + stretch.ahead - past).div_euclid(HOUR),
            };
            stretches.push(Numbered { stretch, first });
        }
        Hours { past, stretches: stretches.into() }
    }

    pub fn start(&self, number: i64) -> Instant {
        let at = self.place(number);
        let full = self.stretches[at].hour_of(number, self.past);
        // Where the first stretch begins is only where looking at rules began.
        if at == 0 { full } else { full.max(self.stretches[at].stretch.from) }
    }

    /// The window that an instant is in.
    pub fn holding(&self, at: Instant) -> i64 {
        let after = self.stretches.partition_point(|it| it.stretch.from <= at);
        self.stretches[after.saturating_sub(1)].number(at, self.past)
    }

    /// What the clocks show at the full hour of the window, and how far they are ahead of UTC if that
    /// hour is there twice.
    pub fn label(&self, number: i64) -> (DateTime, Option<i64>) {
        let at = self.place(number);
        let found = &self.stretches[at];
        let ahead = found.stretch.ahead;
        let shown = found.hour_of(number, self.past) + ahead;
        let neighbours = [at.checked_sub(1), Some(at + 1)].into_iter().flatten();
        let again = neighbours.filter(|it| *it < self.stretches.len()).any(|it| {
            let other = &self.stretches[it];
            let last = self.stretches.get(it + 1).map_or(i64::MAX, |it| it.first);
            // The window of the other stretch in which clocks show the same hour, if it is in it at all.
            let same = other.number(shown - other.stretch.ahead, self.past);
            (other.first..last).contains(&same)
        });
        (shown_in_utc(shown), again.then_some(ahead))
    }

    fn place(&self, number: i64) -> usize {
        self.stretches.partition_point(|it| it.first <= number).saturating_sub(1)
    }
}

impl Numbered {
    /// The number that the window around `at` has if the clocks run on as in this stretch.
    fn number(&self, at: Instant, past: i64) -> i64 {
        let hours = |it: Instant| (it + self.stretch.ahead - past).div_euclid(HOUR);
        self.first + hours(at) - hours(self.stretch.from)
    }

    /// The instant of the full hour that the window is named after.
    fn hour_of(&self, number: i64, past: i64) -> Instant {
        let first = (self.stretch.from + self.stretch.ahead - past).div_euclid(HOUR);
        (first + number - self.first) * HOUR - self.stretch.ahead + past
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::datetime;

    use super::{super::zone::timestamp, *};

    fn around(zone: &str, shown: DateTime, count: i64) -> Vec<String> {
        let zone = Zone::named(zone).unwrap();
        let hours = Hours::new(&zone, 0, 0);
        let first = hours.holding(zone.first(shown));
        let told = |number: i64| {
            let (label, ahead) = hours.label(number);
            let minutes = (hours.start(number + 1) - hours.start(number)) / 60;
            let ahead = ahead.map(|it| format!(" {:+}", it / 60)).unwrap_or_default();
            format!("{:02}h{ahead} {} {minutes}m", label.hour(), timestamp(hours.start(number)))
        };
        (first..first + count).map(told).collect()
    }

    #[test]
    fn an_hour_that_is_there_twice_is_two() {
        assert_eq!(
            around("America/New_York", datetime(2026, 11, 1, 0, 0, 0, 0), 4),
            [
                "00h 2026-11-01T04:00:00Z 60m",
                "01h -240 2026-11-01T05:00:00Z 60m",
                "01h -300 2026-11-01T06:00:00Z 60m",
                "02h 2026-11-01T07:00:00Z 60m",
            ]
        );
        assert_eq!(
            around("Australia/Lord_Howe", datetime(2026, 4, 5, 0, 0, 0, 0), 4),
            [
                "00h 2026-04-04T13:00:00Z 60m",
                "01h +660 2026-04-04T14:00:00Z 60m",
                "01h +630 2026-04-04T15:00:00Z 30m",
                "02h 2026-04-04T15:30:00Z 60m",
            ]
        );
    }

    #[test]
    fn an_hour_that_is_not_there_is_none() {
        assert_eq!(
            around("America/New_York", datetime(2026, 3, 8, 1, 0, 0, 0), 2),
            ["01h 2026-03-08T06:00:00Z 60m", "03h 2026-03-08T07:00:00Z 60m"]
        );
        assert_eq!(
            around("Australia/Lord_Howe", datetime(2026, 10, 4, 1, 0, 0, 0), 3),
            ["01h 2026-10-03T14:30:00Z 60m", "02h 2026-10-03T15:30:00Z 30m", "03h 2026-10-03T16:00:00Z 60m"]
        );
    }

    #[test]
    fn windows_follow_each_other_without_a_gap() {
        for zone in ["UTC", "Asia/Seoul", "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe", "Africa/Monrovia"]
        {
            for minute in [0, 20] {
                let hours = Hours::new(&Zone::named(zone).unwrap(), minute, 0);
                let from = hours.holding(-60_000_000);
                let mut labels = std::collections::HashSet::new();
                for number in from..from + 60_000 {
                    let (start, end) = (hours.start(number), hours.start(number + 1));
                    assert!(start < end && end - start <= HOUR, "{zone} {}", timestamp(start));
                    assert_eq!((hours.holding(start), hours.holding(end - 1)), (number, number), "{zone}");
                    assert!(labels.insert(hours.label(number)), "{zone} {:?}", hours.label(number));
                }
            }
        }
    }
}
