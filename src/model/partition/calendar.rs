//! Windows that begin with a day, a week or a month. Found by arithmetic, at any distance.

use jiff::{
    SignedDuration,
    civil::{Date, DateTime, Time, Weekday, date},
};

use super::zone::{Instant, Zone};

/// What each window is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    Day,
    /// Beginning on a day of the week.
    Week(Weekday),
    /// Beginning on a day that every month has, 1 to 28.
    Month(i8),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Calendar {
    pub unit: Unit,
    /// The time of day at which windows begin.
    pub at: Time,
    pub zone: Zone,
}

const EPOCH: Date = date(1970, 1, 1);

impl Calendar {
    /// What the clocks show when window `number` begins, or would if they were not put forward then.
    pub fn label(&self, number: i64) -> DateTime {
        let first = match self.unit {
            Unit::Day => day(number),
            Unit::Week(first) => day(number.saturating_mul(7).saturating_add(weekday_of_epoch(first))),
            Unit::Month(first) => {
                let year = i16::try_from(number.div_euclid(12)).unwrap_or(i16::MAX);
                let month = i8::try_from(number.rem_euclid(12)).unwrap_or(0) + 1;
                Date::new(year, month, first).unwrap_or(if number < 0 { Date::MIN } else { Date::MAX })
            }
        };
        first.to_datetime(self.at)
    }

    /// The window that a day is in, whatever the time.
    pub fn number_of(&self, at: Date) -> i64 {
        match self.unit {
            Unit::Day => days(at),
            Unit::Week(first) => (days(at) - weekday_of_epoch(first)).div_euclid(7),
            Unit::Month(first) => {
                let month = i64::from(at.year()) * 12 + i64::from(at.month()) - 1;
                if at.day() < first { month - 1 } else { month }
            }
        }
    }

    pub fn start(&self, number: i64) -> Instant {
        self.zone.first(self.label(number))
    }

    /// The window that an instant is in.
    pub fn holding(&self, at: Instant) -> i64 {
        let mut number = self.number_of(self.zone.clock(at).date());
        // Clocks may show a day again after they were put back over midnight, and days may begin late.
        while self.start(number) > at {
            number -= 1;
        }
        while self.start(number + 1) <= at && self.label(number + 1) > self.label(number) {
            number += 1;
        }
        number
    }
}

/// The number of the first such day from 1970 on.
fn weekday_of_epoch(first: Weekday) -> i64 {
    i64::from(EPOCH.weekday().until(first))
}

fn days(at: Date) -> i64 {
    at.duration_since(EPOCH).as_hours() / 24
}

fn day(number: i64) -> Date {
    EPOCH.saturating_add(SignedDuration::from_secs(number.saturating_mul(86_400)))
}

#[cfg(test)]
mod tests {
    use super::{super::zone::timestamp, *};

    fn calendar(unit: Unit, hour: i8, zone: &str) -> Calendar {
        Calendar { unit, at: Time::constant(hour, 0, 0, 0), zone: Zone::named(zone).unwrap() }
    }

    fn hours(of: &Calendar, day: Date) -> (String, i64) {
        let number = of.number_of(day);
        let start = of.start(number);
        (timestamp(start).to_string(), (of.start(number + 1) - start) / 3600)
    }

    #[test]
    fn days_have_23_and_25_hours() {
        let of = calendar(Unit::Day, 0, "America/New_York");
        assert_eq!(hours(&of, date(2026, 3, 8)), ("2026-03-08T05:00:00Z".into(), 23));
        assert_eq!(hours(&of, date(2026, 11, 1)), ("2026-11-01T04:00:00Z".into(), 25));
        let of = calendar(Unit::Day, 0, "America/Havana");
        assert_eq!(hours(&of, date(2026, 3, 8)), ("2026-03-08T05:00:00Z".into(), 23));
        assert_eq!(hours(&of, date(2026, 11, 1)), ("2026-11-01T04:00:00Z".into(), 25));
    }

    #[test]
    fn a_day_that_never_was_has_no_hours() {
        let of = calendar(Unit::Day, 0, "Pacific/Apia");
        assert_eq!(hours(&of, date(2011, 12, 29)).1, 24);
        assert_eq!(hours(&of, date(2011, 12, 30)).1, 0);
        assert_eq!(hours(&of, date(2011, 12, 31)).1, 24);
        let skipped = of.number_of(date(2011, 12, 30));
        assert_eq!(of.holding(of.start(skipped)), skipped + 1);
        assert_eq!(of.holding(of.start(skipped) - 1), skipped - 1);
    }

    #[test]
    fn weeks_and_months_begin_where_they_are_told_to() {
        let sundays = calendar(Unit::Week(Weekday::Sunday), 0, "UTC");
        assert_eq!(sundays.label(sundays.number_of(date(2026, 3, 18))).date(), date(2026, 3, 15));
        let mondays = calendar(Unit::Week(Weekday::Monday), 0, "UTC");
        assert_eq!(mondays.label(mondays.number_of(date(2026, 3, 15))).date(), date(2026, 3, 9));
        let fifth = calendar(Unit::Month(5), 6, "UTC");
        assert_eq!(fifth.label(fifth.number_of(date(2026, 1, 4))).to_string(), "2025-12-05T06:00:00");
        assert_eq!(fifth.label(fifth.number_of(date(2026, 1, 5))).to_string(), "2026-01-05T06:00:00");
    }

    #[test]
    fn every_instant_is_in_the_window_that_holds_it() {
        for zone in ["UTC", "America/New_York", "America/Havana", "America/St_Johns", "Australia/Lord_Howe"] {
            for unit in [Unit::Day, Unit::Week(Weekday::Wednesday), Unit::Month(2)] {
                let of = calendar(unit, 2, zone);
                let from = of.zone.first(date(2006, 1, 1).at(0, 0, 0, 0));
                for at in (from..from + 2 * 366 * 86_400).step_by(1800) {
                    let number = of.holding(at);
                    assert!(of.start(number) <= at && at < of.start(number + 1), "{zone} {unit:?} {}", timestamp(at));
                }
            }
        }
    }
}
