//! How a window of time is written as a key, and read again.
//!
//! | windows | key |
//! |---|---|
//! | hours | `2026-03-15T07`, and `2026-11-01T01-0400` if that hour is there twice |
//! | days | `2026-03-15` |
//! | weeks | the first day |
//! | months | `2026-03` |
//! | cron | `2026-03-15T0730`, and `2026-11-01T0130-0400` |

use std::sync::Arc;

use jiff::{
    ToSpan,
    civil::{Date, DateTime, Time, Weekday},
    fmt::strtime::BrokenDownTime,
};

use super::{
    name,
    time::{Every, TimeDefinition, TimeKeys},
    zone::timestamp,
};

/// `+0900`
pub const TAG_MIN: usize = 5;

/// Why a strftime format cannot write keys.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadFormat {
    #[error("the format cannot be used: {0}")]
    Malformed(String),
    #[error("the format makes the key {0:?}: {1}")]
    Key(String, name::BadName),
    #[error("the format makes the key {0:?}, which does not tell its window from others")]
    Ambiguous(String),
}

/// Whether every window has a key of its own by the format, one that can be read again.
pub fn check(of: &Arc<TimeDefinition>) -> Result<(), BadFormat> {
    let Some(format) = &of.format else { return Ok(()) };
    jiff::fmt::strtime::format(&**format, of.start).map_err(|it| BadFormat::Malformed(it.to_string()))?;
    let keys = TimeKeys::new(of.clone(), timestamp(of.zone.first(of.start)));
    for place in PROBES {
        let key = keys.key(place);
        name::check(&key).map_err(|it| BadFormat::Key(key.clone(), it))?;
        if keys.anywhere(&key) != Ok(place) {
            return Err(BadFormat::Ambiguous(key));
        }
    }
    Ok(())
}

/// Places that differ from the first in their minute, hour, day, month, year: a format that says too
/// little is found out by one of them.
const PROBES: [i64; 10] = [0, 1, 2, 7, 13, 25, 32, 60, 366, 1000];

/// What clocks show when a window begins, as its key. `ahead` (of UTC, in seconds) tells two windows
/// apart that would have the same.
pub fn written(of: &TimeDefinition, shown: DateTime, ahead: Option<i64>) -> String {
    let mut key = match (&of.format, &of.every) {
        // A format was tried when it was declared.
        (Some(format), _) => jiff::fmt::strtime::format(&**format, shown).unwrap_or_default(),
        (None, Every::Day(_) | Every::Week(..)) => shown.date().to_string(),
        (None, Every::Month(..)) => format!("{:04}-{:02}", shown.year(), shown.month()),
        (None, Every::Hour(_)) => format!("{}T{:02}", shown.date(), shown.hour()),
        (None, Every::Cron(_)) => format!("{}T{:02}{:02}", shown.date(), shown.hour(), shown.minute()),
    };
    if let Some(ahead) = ahead {
        let (sign, ahead) = if ahead < 0 { ('-', -ahead) } else { ('+', ahead) };
        key.push_str(&format!("{sign}{:02}{:02}", ahead / 3600, ahead / 60 % 60));
        // Before there were zones, every town had seconds of its own.
        if ahead % 60 != 0 {
            key.push_str(&format!("{:02}", ahead % 60));
        }
    }
    key
}

/// What a key says; whether there is such a window is another question.
pub fn read(of: &TimeDefinition, key: &str) -> Option<(DateTime, Option<i64>)> {
    if let Some(shown) = read_plain(of, key) {
        return Some((shown, None));
    }
    let (plain, tag) = key.split_at_checked(key.rfind(['+', '-'])?)?;
    let digits = &tag[1..];
    if !matches!(digits.len(), 4 | 6) || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let pair = |at: usize| digits.get(at..at + 2).map_or(Some(0), |it| it.parse::<i64>().ok());
    let ahead = pair(0)? * 3600 + pair(2)? * 60 + pair(4)?;
    Some((read_plain(of, plain)?, Some(if tag.starts_with('-') { -ahead } else { ahead })))
}

fn read_plain(of: &TimeDefinition, key: &str) -> Option<DateTime> {
    if let Some(format) = &of.format {
        return read_format(format, key);
    }
    match of.every {
        Every::Day(_) | Every::Week(..) => Some(day(key)?.at(0, 0, 0, 0)),
        Every::Month(first, at) => {
            let (year, month) = key.split_once('-')?;
            Some(Date::new(number(year, 4)?, narrow(number(month, 2)?)?, first).ok()?.to_datetime(at))
        }
        Every::Hour(minute) => {
            let (date, hour) = key.split_once('T')?;
            Some(day(date)?.to_datetime(Time::new(narrow(number(hour, 2)?)?, minute, 0, 0).ok()?))
        }
        Every::Cron(_) => {
            let (date, time) = key.split_once('T')?;
            let (hour, minute) = time.split_at_checked(2)?;
            let time = Time::new(narrow(number(hour, 2)?)?, narrow(number(minute, 2)?)?, 0, 0).ok()?;
            Some(day(date)?.to_datetime(time))
        }
    }
}

/// A moment that is written coarser or finer than keys are: `2026`, `2026-03`, `2026-03-15`,
/// `2026-03-15T07`, `2026-03-15T07:30`, `2026-03-15T0730`.
pub fn moment(text: &str) -> Option<DateTime> {
    let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
    let midnight = Time::midnight();
    let Some(time) = time else {
        let mut parts = date.splitn(3, '-');
        let year = number(parts.next()?, 4)?;
        let month = parts.next().map_or(Some(1), |it| number(it, 2).and_then(narrow))?;
        let day = parts.next().map_or(Some(1), |it| number(it, 2).and_then(narrow))?;
        return Some(Date::new(year, month, day).ok()?.to_datetime(midnight));
    };
    let (hour, minute) = match time.split_once(':').or(time.split_at_checked(2).filter(|it| !it.1.is_empty())) {
        Some((hour, minute)) => (hour, number(minute, 2)?),
        None => (time, 0),
    };
    let time = Time::new(narrow(number(hour, 2)?)?, narrow(minute)?, 0, 0).ok()?;
    Some(day(date)?.to_datetime(time))
}

/// The year, month or day after one that is written so.
pub fn after(text: &str) -> Option<String> {
    let first = moment(text).filter(|_| !text.contains('T'))?;
    Some(match text.split('-').count() {
        1 => first.checked_add(1.year()).ok()?.strftime("%Y").to_string(),
        2 => first.checked_add(1.month()).ok()?.strftime("%Y-%m").to_string(),
        _ => first.checked_add(1.day()).ok()?.date().to_string(),
    })
}

fn day(text: &str) -> Option<Date> {
    let mut parts = text.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    Date::new(number(year, 4)?, narrow(number(month, 2)?)?, narrow(number(day, 2)?)?).ok()
}

/// Exactly so many digits.
fn number(text: &str, digits: usize) -> Option<i16> {
    (text.len() == digits && text.bytes().all(|it| it.is_ascii_digit())).then(|| text.parse().ok())?
}

fn narrow(of: i16) -> Option<i8> {
    i8::try_from(of).ok()
}

/// What a strftime format says of a text; what it leaves out is the first of its kind.
fn read_format(format: &str, text: &str) -> Option<DateTime> {
    let mut found = BrokenDownTime::parse(format, text).ok()?;
    if found.weekday().is_none() {
        match (found.iso_week().or(found.monday_based_week()), found.sunday_based_week()) {
            (Some(_), _) => found.set_weekday(Some(Weekday::Monday)),
            (None, Some(_)) => found.set_weekday(Some(Weekday::Sunday)),
            (None, None) => {}
        }
    }
    if found.month().is_some() && found.day().is_none() {
        found.set_day(Some(1)).ok()?;
    }
    found.to_datetime().ok()
}
