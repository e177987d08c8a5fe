//! Judging what was found: whether it passes, and if not, why, in one sentence.
//!
//! Pure: what was counted, what was before and what time it is are given.

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};

use super::{Bounds, Expected, Literal, Rule, Sample, Share, is_of_type};

/// Of a rule that is of rows: so many of `total` are wrong.
pub fn rows(rule: &Rule, threshold: Share, failing: u64, total: u64) -> Option<String> {
    if failing == 0 || threshold.allows(failing as f64, total as f64) {
        return None;
    }
    let of = |what: String| format!("{failing} of {} {what}", many(total, "row"));
    let told = match rule {
        Rule::NotNull { columns } => of(format!("without {}", named(columns, " or "))),
        Rule::Unique { columns } => {
            format!("{} of {} more than once in {}", many(failing, "value"), named(columns, ", "), many(total, "row"))
        }
        Rule::AcceptedValues { column, .. } => of(format!("with another `{column}`")),
        Rule::Relationships { column, to, field } => of(format!("whose `{column}` is no `{field}` of `{to}`")),
        Rule::Range { column, min, max } => of(format!("whose `{column}` is {}", outside(min.as_ref(), max.as_ref()))),
        Rule::Regex { column, pattern } => of(format!("whose `{column}` does not match {pattern}")),
        Rule::Length { column, min, max } => {
            let bound = |it: Option<u64>| it.and_then(|it| i64::try_from(it).ok()).map(Literal::Integer);
            of(format!("whose `{column}` has a length {}", outside(bound(*min).as_ref(), bound(*max).as_ref())))
        }
        Rule::Expression { .. } => of("for which it is false".to_owned()),
        Rule::DuplicateRows { .. } => format!("{} more than once in {}", many(failing, "row"), many(total, "row")),
        Rule::Compare { to, .. } => format!("{} that `{to}` has not, or has and this has not", many(failing, "row")),
        _ => format!("{} found", many(failing, "row")),
    };
    Some(match threshold {
        Share::NONE => told,
        most => format!("{told}, more than {most}"),
    })
}

/// Of a count of rows or a metric: it is `value`, and was `last` in the version published before.
pub fn number(rule: &Rule, value: Option<f64>, last: Option<f64>) -> Option<String> {
    let (bounds, told) = match (rule, value) {
        (Rule::RowCount { bounds }, Some(it)) => (bounds, many(it as u64, "row")),
        (Rule::Metric { value: text, bounds }, Some(it)) => (bounds, format!("{} is {it}", one_line(text))),
        (Rule::Metric { value: text, .. }, None) => return Some(format!("{} is null", one_line(text))),
        _ => return None,
    };
    broken(bounds, value?, last).map(|asked| format!("{told}, not {asked}"))
}

/// What a number is not.
fn broken(bounds: &Bounds, value: f64, last: Option<f64>) -> Option<String> {
    if let Some(equals) = bounds.equals.filter(|it| *it != value) {
        return Some(format!("{equals}"));
    }
    if let Some(min) = bounds.min.filter(|it| value < *it) {
        return Some(format!("at least {min}"));
    }
    if let Some(max) = bounds.max.filter(|it| value > *it) {
        return Some(format!("at most {max}"));
    }
    let (change, last) = (bounds.change?, last?);
    (!change.allows((value - last).abs(), last.abs())).then(|| format!("within {change} of the {last} of before"))
}

/// Of a freshness: the newest value is this one.
pub fn age(rule: &Rule, newest: Option<&str>, now: Timestamp) -> Option<String> {
    let Rule::Freshness { column, within_ms } = rule else { return None };
    let Some(text) = newest else { return Some(format!("there is no `{column}` at all")) };
    let Some(at) = moment(text) else { return Some(format!("the largest `{column}` is no date or time: {text}")) };
    let age = now.duration_since(at);
    let most = SignedDuration::from_millis(i64::try_from(*within_ms).unwrap_or(i64::MAX));
    (age > most).then(|| format!("the newest `{column}` is {text}, {} ago, not within {}", spelt(age), spelt(most)))
}

/// A date, a time (without a zone: UTC), or seconds or milliseconds since 1970.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        // So many seconds are the year 5138.
        let seconds = if number.abs() < 1e11 { number } else { number / 1000.0 };
        return Timestamp::from_millisecond((seconds * 1000.0) as i64).ok();
    }
    let local = |it: civil::DateTime| it.to_zoned(TimeZone::UTC).ok().map(|it| it.timestamp());
    text.parse::<Timestamp>()
        .ok()
        .or_else(|| text.parse::<civil::DateTime>().ok().and_then(local))
        .or_else(|| text.parse::<civil::Date>().ok().and_then(|it| local(it.at(0, 0, 0, 0))))
}

/// Of a contract: the columns that are not as agreed, each with what was and what is.
pub fn contract(rule: &Rule, found: &[(String, String)]) -> Sample {
    let columns = ["column", "agreed", "found"].map(str::to_owned).to_vec();
    let Rule::Schema { columns: agreed, order, extra } = rule else { return Sample { columns, rows: Vec::new() } };
    let place = |name: &str| found.iter().position(|it| it.0 == name);
    let row = |name: &str, agreed: String, found: String| vec![Some(name.to_owned()), Some(agreed), Some(found)];
    let mut rows = Vec::new();
    for it in agreed {
        let wanted = it.kind.clone().unwrap_or_else(|| "any type".to_owned());
        match place(&it.name) {
            None => rows.push(row(&it.name, wanted, "missing".to_owned())),
            Some(at) => {
                let kind = &found[at].1;
                if it.kind.as_ref().is_some_and(|it| !is_of_type(kind, it)) {
                    rows.push(row(&it.name, wanted, if kind.is_empty() { "no type".to_owned() } else { kind.clone() }));
                }
            }
        }
    }
    if *order {
        rows.extend(out_of_order(agreed, place));
    }
    let others = found.iter().filter(|it| !extra && agreed.iter().all(|known| known.name != it.0));
    rows.extend(others.map(|it| row(&it.0, "no such column".to_owned(), it.1.clone())));
    Sample { columns, rows }
}

/// Those that are there and stand at another place among each other than agreed.
fn out_of_order<'a>(
    agreed: &'a [Expected],
    place: impl Fn(&str) -> Option<usize> + 'a,
) -> impl Iterator<Item = Vec<Option<String>>> + 'a {
    let there: Vec<(&str, usize)> = agreed.iter().filter_map(|it| Some((it.name.as_str(), place(&it.name)?))).collect();
    let mut sorted = there.clone();
    sorted.sort_by_key(|it| it.1);
    there.into_iter().enumerate().filter_map(move |(index, it)| {
        let now = sorted.iter().position(|other| other.0 == it.0)?;
        let told = |at: usize| Some(format!("place {}", at + 1));
        (now != index).then(|| vec![Some(it.0.to_owned()), told(index), told(now)])
    })
}

/// `3 rows`, `1 row`.
pub fn many(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn named(columns: &[String], between: &str) -> String {
    columns.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(between)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn outside(min: Option<&Literal>, max: Option<&Literal>) -> String {
    match (min, max) {
        (Some(min), Some(max)) if min == max => format!("other than {min}"),
        (Some(min), Some(max)) => format!("below {min} or above {max}"),
        (Some(min), None) => format!("below {min}"),
        (None, Some(max)) => format!("above {max}"),
        (None, None) => String::new(),
    }
}

/// `3d 2h`, `45m`: the two largest units.
fn spelt(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (name, size) in units {
        if rest / size > 0 {
            parts.push(format!("{}{name}", rest / size));
            rest %= size;
        }
    }
    parts.truncate(2);
    if parts.is_empty() { format!("{}ms", duration.as_millis()) } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(min: Option<f64>, change: Option<Share>) -> Bounds {
        Bounds { min, change, ..Bounds::default() }
    }

    #[test]
    fn rows_are_tolerated_up_to_the_threshold() {
        let rule = Rule::NotNull { columns: vec!["day".into()] };
        assert_eq!(rows(&rule, Share::NONE, 0, 0), None);
        assert_eq!(rows(&rule, Share::NONE, 1, 7).unwrap(), "1 of 7 rows without `day`");
        assert_eq!(rows(&rule, Share::Amount(2.0), 2, 7), None);
        assert_eq!(rows(&rule, Share::Percent(5.0), 5, 100), None);
        assert_eq!(rows(&rule, Share::Percent(5.0), 6, 100).unwrap(), "6 of 100 rows without `day`, more than 5 %");
    }

    #[test]
    fn numbers_are_held_against_bounds_and_against_the_last() {
        let count = |bounds| Rule::RowCount { bounds };
        assert_eq!(number(&count(bounds(Some(1.0), None)), Some(0.0), None).unwrap(), "0 rows, not at least 1");
        let change = count(bounds(None, Some(Share::Percent(20.0))));
        assert_eq!(number(&change, Some(500.0), None), None);
        assert_eq!(number(&change, Some(80.0), Some(100.0)), None);
        let told = number(&change, Some(79.0), Some(100.0)).unwrap();
        assert_eq!(told, "79 rows, not within 20 % of the 100 of before");
        assert!(number(&change, Some(1.0), Some(0.0)).is_some(), "of nothing any change is too much");
        let metric = Rule::Metric { value: "avg(\n a)".into(), bounds: bounds(Some(2.5), None) };
        assert_eq!(number(&metric, Some(2.25), None).unwrap(), "avg( a) is 2.25, not at least 2.5");
        assert_eq!(number(&metric, None, None).unwrap(), "avg( a) is null");
    }

    #[test]
    fn ages_are_told_of_dates_times_and_numbers() {
        let now: Timestamp = "2026-03-04T12:00:00Z".parse().unwrap();
        let rule = Rule::Freshness { column: "at".into(), within_ms: 86_400_000 };
        let hour = now.as_second() - 3_600;
        let fresh = ["2026-03-04", "2026-03-03 12:00:00", "2026-03-03T12:30:00+00:00", "2030-01-01"];
        for text in fresh.map(str::to_owned).into_iter().chain([hour.to_string(), (hour * 1000).to_string()]) {
            assert_eq!(age(&rule, Some(&text), now), None, "{text}");
        }
        let told = age(&rule, Some("2026-03-01 10:30:00"), now).unwrap();
        assert_eq!(told, "the newest `at` is 2026-03-01 10:30:00, 3d 1h ago, not within 1d");
        assert_eq!(age(&rule, None, now).unwrap(), "there is no `at` at all");
        assert_eq!(age(&rule, Some("monday"), now).unwrap(), "the largest `at` is no date or time: monday");
    }

    #[test]
    fn a_contract_tells_each_column_that_is_not_as_agreed() {
        let found =
            [("id", "INT"), ("day", ""), ("total", "REAL"), ("more", "TEXT")].map(|it| (it.0.into(), it.1.into()));
        let expected =
            |name: &str, kind: &str| Expected { name: name.into(), kind: (!kind.is_empty()).then(|| kind.to_owned()) };
        let columns = vec![
            expected("total", "integer"),
            expected("id", "integer"),
            expected("gone", ""),
            expected("day", "text"),
        ];
        let told = |order, extra| {
            let rule = Rule::Schema { columns: columns.clone(), order, extra };
            let rows = contract(&rule, &found).rows;
            rows.into_iter().map(|it| it.into_iter().flatten().collect::<Vec<_>>().join(" | ")).collect::<Vec<_>>()
        };
        let wrong = ["total | integer | REAL", "gone | any type | missing", "day | text | no type"];
        assert_eq!(told(false, true), wrong);
        let moved = ["total | place 1 | place 3", "id | place 2 | place 1", "day | place 3 | place 2"];
        assert_eq!(told(true, true), [&wrong[..], &moved[..]].concat());
        assert_eq!(told(false, false), [&wrong[..], &["more | no such column | TEXT"]].concat());
    }
}
