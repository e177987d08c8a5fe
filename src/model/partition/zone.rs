//! A time zone: from what its clocks show to instants and back.
//!
//! The rules are those built into the program, so that everybody's days begin at the same instant
//! whatever a machine has installed. Instants are seconds since 1970: no rule knows fractions.

use std::{fmt, ops::Range};

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase},
};

use crate::base::suggest;

/// Seconds since 1970.
pub type Instant = i64;

#[derive(Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// No zone has that name; holds the one that was probably meant.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no time zone {name:?}")]
pub struct UnknownZone {
    pub name: String,
    pub near: Option<String>,
}

/// A time in which a zone's clocks run evenly: until the next time that they are put forward or back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    pub from: Instant,
    /// Seconds that the clocks are ahead of UTC.
    pub ahead: i64,
}

impl Zone {
    pub fn utc() -> Zone {
        Zone(TimeZone::UTC)
    }

    /// The zone of a name such as `Asia/Seoul`, case aside.
    pub fn named(name: &str) -> Result<Zone, UnknownZone> {
        let database = TimeZoneDatabase::bundled();
        // "Etc/Unknown" is jiff's word for a zone it could not find out.
        if let Some(zone) = database.get(name).ok().filter(|it| !it.is_unknown()) {
            return Ok(Zone(zone));
        }
        let names: Vec<_> = database.available().collect();
        let cities = names.iter().map(|it| it.as_str());
        // Whoever writes "Seoul" means the zone that ends in it.
        let city = cities.clone().find(|it| it.rsplit('/').next().is_some_and(|it| it.eq_ignore_ascii_case(name)));
        let near = city.or_else(|| suggest::nearest(name, cities)).map(str::to_owned);
        Err(UnknownZone { name: name.to_owned(), near })
    }

    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// What the clocks show.
    pub fn clock(&self, at: Instant) -> DateTime {
        self.0.to_datetime(timestamp(at))
    }

    /// The first instant at which the clocks show `shown` or later: of an hour that is there twice the
    /// first, of one that is not there the instant at which it is skipped.
    pub fn first(&self, shown: DateTime) -> Instant {
        let seconds = |offset: Offset| as_if_utc(shown) - i64::from(offset.seconds());
        match self.0.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => seconds(offset),
            AmbiguousOffset::Fold { before, .. } => seconds(before),
            AmbiguousOffset::Gap { before, after } => {
                let past_it = seconds(before);
                let skips = self.0.preceding(timestamp(past_it + 1)).find(|it| it.offset() == after);
                skips.map_or(past_it, |it| it.timestamp().as_second())
            }
        }
    }

    /// Every instant at which the clocks show exactly `shown`: none, one or two.
    pub fn all(&self, shown: DateTime) -> Vec<Instant> {
        let seconds = |offset: Offset| as_if_utc(shown) - i64::from(offset.seconds());
        match self.0.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => vec![seconds(offset)],
            AmbiguousOffset::Fold { before, after } => vec![seconds(before), seconds(after)],
            AmbiguousOffset::Gap { .. } => Vec::new(),
        }
    }

    /// Seconds that the clocks are ahead of UTC.
    pub fn ahead(&self, at: Instant) -> i64 {
        i64::from(self.0.to_offset(timestamp(at)).seconds())
    }

    /// The stretches that begin in `span`, after the one that it begins in. Neighbours differ.
    pub fn stretches(&self, span: Range<Instant>) -> Vec<Stretch> {
        let mut found = vec![Stretch { from: span.start, ahead: self.ahead(span.start) }];
        for change in self.0.following(timestamp(span.start)) {
            let next = Stretch { from: change.timestamp().as_second(), ahead: i64::from(change.offset().seconds()) };
            if next.from >= span.end {
                break;
            }
            // A zone may rename its time, or call it summer time, and leave its clocks alone.
            if found.last().is_none_or(|it| it.ahead != next.ahead) {
                found.push(next);
            }
        }
        found
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The nearest instant that can be told: years -9999 to 9999.
pub fn timestamp(at: Instant) -> Timestamp {
    let nearest = at.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(nearest).unwrap_or(Timestamp::MAX)
}

/// Seconds since 1970 at which clocks of UTC show this.
pub fn as_if_utc(shown: DateTime) -> Instant {
    shown.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).as_secs()
}

/// The inverse of [`as_if_utc`].
pub fn shown_in_utc(seconds: Instant) -> DateTime {
    Offset::UTC.to_datetime(timestamp(seconds))
}

#[cfg(test)]
mod tests {
    use jiff::civil::datetime;

    use super::*;

    fn first(zone: &str, shown: DateTime) -> String {
        timestamp(Zone::named(zone).unwrap().first(shown)).to_string()
    }

    #[test]
    fn what_clocks_show_has_a_first_instant() {
        let at = |month, day, hour, minute| datetime(2026, month, day, hour, minute, 0, 0);
        assert_eq!(first("Asia/Seoul", at(3, 15, 0, 0)), "2026-03-14T15:00:00Z");
        // New York: 02:00 to 03:00 is not there on 8 March, 01:00 to 02:00 twice on 1 November.
        assert_eq!(first("America/New_York", at(3, 8, 2, 30)), "2026-03-08T07:00:00Z");
        assert_eq!(first("America/New_York", at(3, 8, 3, 0)), "2026-03-08T07:00:00Z");
        assert_eq!(first("America/New_York", at(11, 1, 1, 30)), "2026-11-01T05:30:00Z");
        assert_eq!(Zone::named("America/New_York").unwrap().all(at(11, 1, 1, 30)).len(), 2);
        // Havana: midnight is not there on 8 March, and there twice on 1 November.
        assert_eq!(first("America/Havana", at(3, 8, 0, 0)), "2026-03-08T05:00:00Z");
        assert_eq!(first("America/Havana", at(11, 1, 0, 0)), "2026-11-01T04:00:00Z");
    }

    #[test]
    fn a_wrong_name_finds_the_right_one() {
        let near = |it: &str| Zone::named(it).unwrap_err().near;
        assert_eq!(near("Asia/Soul").as_deref(), Some("Asia/Seoul"));
        assert_eq!(near("seoul").as_deref(), Some("Asia/Seoul"));
        assert_eq!(near("middle/of/nowhere/at/all"), None);
        assert_eq!(Zone::named("asia/seoul").unwrap().name(), "Asia/Seoul");
        assert_eq!(Zone::named("UTC").unwrap(), Zone::utc());
        assert!(Zone::named("Etc/Unknown").is_err());
    }

    #[test]
    fn stretches_are_where_clocks_change() {
        let year = |it: i16| as_if_utc(datetime(it, 1, 1, 0, 0, 0, 0));
        let ahead = |zone: &str, from, until| -> Vec<i64> {
            Zone::named(zone).unwrap().stretches(year(from)..year(until)).iter().map(|it| it.ahead / 60).collect()
        };
        assert_eq!(ahead("Australia/Lord_Howe", 2026, 2027), [660, 630, 660]);
        assert_eq!(ahead("UTC", 1900, 2100), [0]);
        // London had summer time all winter from 1968 to 1971.
        assert_eq!(ahead("Europe/London", 1968, 1972), [0, 60, 0]);
    }
}
