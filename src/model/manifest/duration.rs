//! Durations as people write them: `1h30m`, `5s`, `500ms`.

use std::time::Duration;

/// Why a text is not a duration.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadDuration {
    #[error("a duration is empty")]
    Empty,
    #[error("a number is missing before {0:?}")]
    NoNumber(String),
    #[error("a unit is missing after {0}")]
    NoUnit(String),
    #[error("{0:?} is not a unit of time")]
    UnknownUnit(String),
    #[error("the duration is longer than 100 years")]
    TooLong,
}

const UNITS: [(&str, u64); 6] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

const MILLISECONDS_MAX: u64 = 100 * 366 * 86_400_000;

pub fn parse(text: &str) -> Result<Duration, BadDuration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(BadDuration::Empty);
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|it: char| !it.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|it: char| !it.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        if number.is_empty() {
            return Err(BadDuration::NoNumber(rest.chars().take(20).collect()));
        }
        if unit.is_empty() && after.is_empty() {
            return Err(BadDuration::NoUnit(number.chars().take(20).collect()));
        }
        let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            let odd = if unit.is_empty() { after } else { unit };
            return Err(BadDuration::UnknownUnit(odd.chars().take(20).collect()));
        };
        let part = number.parse::<u64>().ok().and_then(|it| it.checked_mul(*scale));
        total = part.and_then(|it| total.checked_add(it)).ok_or(BadDuration::TooLong)?;
        rest = after.trim_start();
    }
    if total > MILLISECONDS_MAX { Err(BadDuration::TooLong) } else { Ok(Duration::from_millis(total)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_sums_of_units() {
        assert_eq!(parse("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
        assert_eq!(parse("2w1d"), Ok(Duration::from_secs(15 * 86400)));
        assert_eq!(parse(""), Err(BadDuration::Empty));
        assert_eq!(parse("5"), Err(BadDuration::NoUnit("5".into())));
        assert_eq!(parse("5 s"), Err(BadDuration::UnknownUnit(" s".into())));
        assert_eq!(parse("-5s"), Err(BadDuration::NoNumber("-5s".into())));
        assert_eq!(parse("5y"), Err(BadDuration::UnknownUnit("y".into())));
        assert_eq!(parse("99999999999999999999s"), Err(BadDuration::TooLong));
        assert_eq!(parse("99999999w"), Err(BadDuration::TooLong));
    }
}
