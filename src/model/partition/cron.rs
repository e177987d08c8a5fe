//! Cron expressions of five fields, as in crontab(5): which days, and which times of those days.
//!
//! Knows no time zones; what a clock that is put back does to them is with [`Ticks`](super::ticks::Ticks).

use std::ops::Range;

use jiff::civil::{Date, Time};

use crate::base::suggest;

/// When something comes. Two expressions that say the same are equal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    /// From Sunday.
    weekdays: u64,
    /// A day counts if its date or its weekday is named, as crontab has it where both are.
    either: bool,
    /// The hour begins with `*`: it comes as often as clocks show it, and not once a day.
    by_the_clock: bool,
}

/// What is wrong with an expression, and where in it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct BadCron {
    pub message: String,
    pub at: Range<usize>,
    pub help: Option<String>,
}

struct Field {
    name: &'static str,
    least: u64,
    most: u64,
    /// Names for values, from `least` on.
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const FIELDS: [Field; 5] = [
    Field { name: "minute", least: 0, most: 59, names: &[] },
    Field { name: "hour", least: 0, most: 23, names: &[] },
    Field { name: "day of the month", least: 1, most: 31, names: &[] },
    Field { name: "month", least: 1, most: 12, names: &MONTHS },
    // 7 is Sunday too.
    Field { name: "day of the week", least: 0, most: 7, names: &WEEKDAYS },
];

const FORM: &str = "five fields: minute, hour, day of the month, month, day of the week; as in \"30 3 * * mon-fri\"";

impl Cron {
    pub fn parse(text: &str) -> Result<Cron, BadCron> {
        let words = words(text);
        if words.len() != FIELDS.len() {
            let message = match words.first() {
                Some((_, word)) if word.starts_with('@') => format!("`{word}` is not a cron expression here"),
                _ => format!("a cron expression has 5 fields, not {}", words.len()),
            };
            return Err(BadCron { message, at: 0..text.len(), help: Some(FORM.into()) });
        }
        let mut bits = [0; 5];
        for ((field, (at, word)), bits) in FIELDS.iter().zip(&words).zip(&mut bits) {
            *bits = field.parse(word, *at)?;
        }
        let [minutes, hours, days, months, weekdays] = bits;
        let star = |index: usize| words[index].1.starts_with('*');
        let cron = Cron {
            minutes,
            hours,
            days,
            months,
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either: !star(2) && !star(4),
            by_the_clock: star(1),
        };
        if !cron.ever() {
            let (from, until) = (words[2].0, words[3].0 + words[3].1.len());
            let message = "no month named has that day".to_owned();
            return Err(BadCron { message, at: from..until, help: None });
        }
        Ok(cron)
    }

    pub fn by_the_clock(&self) -> bool {
        self.by_the_clock
    }

    /// Whether it comes on that day.
    pub fn on(&self, day: Date) -> bool {
        let has = |bits: u64, value: i8| bits >> value & 1 == 1;
        let date = has(self.days, day.day());
        let weekday = has(self.weekdays, day.weekday().to_sunday_zero_offset());
        has(self.months, day.month()) && if self.either { date || weekday } else { date && weekday }
    }

    /// The times at which it comes on such a day, in order; at least one.
    pub fn times(&self) -> Vec<Time> {
        let hours = (0..24_i8).filter(|it| self.hours >> it & 1 == 1);
        let minutes = || (0..60_i8).filter(|it| self.minutes >> it & 1 == 1);
        hours.flat_map(|hour| minutes().map(move |minute| Time::constant(hour, minute, 0, 0))).collect()
    }

    /// Whether there is such a day at all; `0 0 30 2 *` never comes.
    fn ever(&self) -> bool {
        const LENGTHS: [u64; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let months = (1..=12_u64).filter(|it| self.months >> it & 1 == 1);
        self.either || months.into_iter().any(|it| self.days & ((2 << LENGTHS[it as usize - 1]) - 1) != 0)
    }
}

impl Field {
    fn parse(&self, word: &str, at: usize) -> Result<u64, BadCron> {
        let mut bits = 0;
        let mut from = at;
        for item in word.split(',') {
            bits |= self.item(item, from)?;
            from += item.len() + 1;
        }
        Ok(bits)
    }

    /// `*`, `5`, `1-5`, each with or without `/2`.
    fn item(&self, item: &str, at: usize) -> Result<u64, BadCron> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some((step, at + range.len() + 1))),
            None => (item, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.least, self.most),
            Some((first, last)) => (self.value(first, at)?, self.value(last, at + first.len() + 1)?),
            None => {
                let first = self.value(range, at)?;
                (first, if step.is_some() { self.most } else { first })
            }
        };
        if first > last {
            let help = format!("write it as two: {first}-{},{}-{last}", self.most, self.least);
            return Err(self.wrong(format!("the range {range} ends before it begins"), at, range, Some(help)));
        }
        let step = match step {
            None => 1,
            Some((text, at)) => match text.parse() {
                Ok(step @ 1..=59) => step,
                _ => return Err(self.wrong(format!("`{text}` is no step"), at, text, Some("as in */15".into()))),
            },
        };
        Ok((first..=last).step_by(step).fold(0, |bits, it| bits | 1 << it))
    }

    fn value(&self, text: &str, at: usize) -> Result<u64, BadCron> {
        if let Some(index) = self.names.iter().position(|it| it.eq_ignore_ascii_case(text)) {
            return Ok(self.least + index as u64);
        }
        let number = text.parse().ok().filter(|_| text.bytes().all(|it| it.is_ascii_digit()));
        match number {
            Some(it) if (self.least..=self.most).contains(&it) => Ok(it),
            _ => {
                let near = suggest::nearest(text, self.names.iter().copied());
                let help = near.map_or_else(
                    || format!("a {} is {} to {}", self.name, self.least, self.most),
                    |it| format!("did you mean `{it}`?"),
                );
                Err(self.wrong(format!("`{text}` is no {}", self.name), at, text, Some(help)))
            }
        }
    }

    fn wrong(&self, message: String, at: usize, text: &str, help: Option<String>) -> BadCron {
        BadCron { message, at: at..at + text.len(), help }
    }
}

/// The words of a text, each with its place.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut at = 0;
    let mut found = Vec::new();
    for word in text.split_inclusive(char::is_whitespace) {
        let trimmed = word.trim_end();
        if !trimmed.is_empty() {
            found.push((at, trimmed));
        }
        at += word.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn on(text: &str, month: i8) -> Vec<i8> {
        let cron = Cron::parse(text).unwrap();
        (1..=28).filter(|it| cron.on(date(2026, month, *it))).collect()
    }

    fn times(text: &str) -> Vec<String> {
        Cron::parse(text).unwrap().times().iter().map(|it| format!("{:02}:{:02}", it.hour(), it.minute())).collect()
    }

    #[test]
    fn fields_are_lists_ranges_and_steps() {
        assert_eq!(times("30 3 * * *"), ["03:30"]);
        assert_eq!(times("*/20 6,18 * * *"), ["06:00", "06:20", "06:40", "18:00", "18:20", "18:40"]);
        assert_eq!(times("10-30/10 0 * * *"), ["00:10", "00:20", "00:30"]);
        assert_eq!(times("40/10 23 * * *"), ["23:40", "23:50"]);
        assert_eq!(on("0 0 * * mon", 3), [2, 9, 16, 23]);
        assert_eq!(on("0 0 * * 0", 3), [1, 8, 15, 22]);
        assert_eq!(on("0 0 * * 7", 3), on("0 0 * * sun", 3));
        assert_eq!(on("0 0 1,15 * *", 3), [1, 15]);
        assert_eq!(on("0 0 1 feb *", 3), [0_i8; 0]);
        // Both named: either will do.
        assert_eq!(on("0 0 4 * mon", 3), [2, 4, 9, 16, 23]);
        assert_eq!(on("0 0 */2 * mon", 3), [9, 23]);
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        for (text, place, message) in [
            ("0 0 * *", "0 0 * *", "a cron expression has 5 fields, not 4"),
            ("@daily", "@daily", "`@daily` is not a cron expression here"),
            ("0 24 * * *", "24", "`24` is no hour"),
            ("0 0 * * mno", "mno", "`mno` is no day of the week"),
            ("0 0 * jan,fbe *", "fbe", "`fbe` is no month"),
            ("0 0 * * fri-mon", "fri-mon", "the range fri-mon ends before it begins"),
            ("*/0 0 * * *", "0", "`0` is no step"),
            ("0 0 30 feb *", "30 feb", "no month named has that day"),
            ("+1 0 * * *", "+1", "`+1` is no minute"),
        ] {
            let wrong = Cron::parse(text).unwrap_err();
            assert_eq!((&text[wrong.at], &*wrong.message), (place, message));
        }
        assert_eq!(Cron::parse("0 0 * * mno").unwrap_err().help.as_deref(), Some("did you mean `mon`?"));
        assert!(Cron::parse("0 0 29 2 *").is_ok());
    }
}
