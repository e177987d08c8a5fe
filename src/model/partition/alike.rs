//! Keys that may be one value in a column, though they are two texts: `1` and `01` in one of numbers, two hours of a
//! day in one of dates. Only the column itself can tell; here it is told which are worth asking about.

use std::{collections::HashMap, sync::Arc};

use super::{Keys, Names, TimeKeys};

/// Places of keys by their [`loose`] text, of those that share theirs with others.
pub type Alike = HashMap<String, Vec<u32>>;

impl Keys {
    /// The places of the other keys that may be the same value as the key at `place`, in their order.
    pub fn alike(&self, place: u64) -> Vec<u64> {
        match self {
            Keys::Whole => Vec::new(),
            Keys::Time(it) => same_day(it, place),
            Keys::Names(it) => same_name(it, place),
            Keys::Multi(it) => {
                let (mut found, mut rest, mut unit) = (vec![0], place, 1);
                for (_, keys) in it.dimensions() {
                    let count = keys.count().max(1);
                    let own = rest % count;
                    let each: Vec<u64> = std::iter::once(own).chain(keys.alike(own)).collect();
                    found = found.iter().flat_map(|of| each.iter().map(move |it| of + it * unit)).collect();
                    (rest, unit) = (rest / count, unit * count);
                }
                found.retain(|it| *it != place);
                found.sort_unstable();
                found
            }
        }
    }
}

fn same_name(names: &Names, place: u64) -> Vec<u64> {
    let Some(name) = usize::try_from(place).ok().and_then(|it| names.get(it)) else { return Vec::new() };
    let others = names.alike().get(&loose(name)).into_iter().flatten();
    others.map(|it| u64::from(*it)).filter(|it| *it != place).collect()
}

fn same_day(keys: &TimeKeys, place: u64) -> Vec<u64> {
    let (Ok(place), Ok(count)) = (i64::try_from(place), i64::try_from(keys.count())) else { return Vec::new() };
    let own = loose(&keys.key(place));
    let is_alike = |it: &i64| loose(&keys.key(*it)) == own;
    let before = (0..place).rev().take_while(is_alike);
    let after = (place + 1..count).take_while(is_alike);
    let mut found: Vec<u64> = before.chain(after).filter_map(|it| u64::try_from(it).ok()).collect();
    found.sort_unstable();
    found
}

/// Of a list of names.
pub fn grouped(names: &[Arc<str>]) -> Alike {
    let mut groups = Alike::new();
    for (place, name) in (0..).zip(names) {
        groups.entry(loose(name)).or_default().push(place);
    }
    groups.retain(|_, places| places.len() > 1);
    groups
}

/// What is left of a key in the coarsest of columns: of a number what is before the point, of a time its day, of a word its
/// letters and digits in lower case, of a truth 1 or 0. Two keys that any column takes for one share it.
fn loose(key: &str) -> String {
    let key = key.trim().to_lowercase();
    match &*key {
        "t" | "true" | "y" | "yes" | "on" => return "1".to_owned(),
        "f" | "false" | "n" | "no" | "off" => return "0".to_owned(),
        _ => {}
    }
    if let Some(number) = key.replace('_', "").parse::<f64>().ok().filter(|it| it.is_finite()) {
        // Never `-0`.
        return format!("{}", number.round() + 0.0);
    }
    let numbers: Vec<&str> = key.splitn(4, |it: char| !it.is_ascii_digit()).take(3).collect();
    if let [year, month, day] = numbers[..]
        && year.len() == 4
        && [month, day].iter().all(|it| matches!(it.len(), 1 | 2))
    {
        return [year, month, day].map(unpadded).join("-");
    }
    let words = key.split(|it: char| !it.is_alphanumeric());
    words.map(unpadded).collect()
}

fn unpadded(number: &str) -> &str {
    let rest = number.trim_start_matches('0');
    if rest.is_empty() && !number.is_empty() { "0" } else { rest }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            keys::MultiKeys,
            tests::{DAY, HOUR, multi, names, time, time_keys},
        },
        *,
    };

    fn alike(keys: &Keys, key: &str) -> Vec<String> {
        let found = keys.alike(keys.place(key).unwrap());
        found.into_iter().map(|it| keys.key(it).unwrap().as_str().to_owned()).collect()
    }

    #[test]
    fn names_that_a_column_may_take_for_one() {
        let all = ["1", "01", "eu", "1.0", "EU", "us", "1e0", "true", "2", "e-u", "0", "no", "2024-1-2", "2024-01-02"];
        let keys = Keys::Names(names(&all));
        assert_eq!(alike(&keys, "01"), ["1", "1.0", "1e0", "true"]);
        assert_eq!(alike(&keys, "eu"), ["EU", "e-u"]);
        assert_eq!(alike(&keys, "no"), ["0"]);
        assert_eq!(alike(&keys, "2024-1-2"), ["2024-01-02"]);
        assert_eq!(alike(&keys, "us"), [""; 0]);
        assert_eq!(alike(&keys, "2"), [""; 0]);
    }

    #[test]
    fn a_number_with_a_fraction_may_be_rounded() {
        let keys = Keys::Names(names(&["1", "1.4", "0.5", "2", "-0.2", "0"]));
        assert_eq!(alike(&keys, "1"), ["1.4", "0.5"]);
        assert_eq!(alike(&keys, "0"), ["-0.2"]);
    }

    #[test]
    fn hours_of_one_day_may_be_one_date_and_days_are_not() {
        let days = time_keys(time(DAY, "UTC", "2026-01-01"), "2026-03-01T00:00Z");
        assert_eq!(alike(&days, "2026-01-31"), [""; 0]);
        let hours = time_keys(time(HOUR, "UTC", "2026-01-01"), "2026-01-02T03:00Z");
        let of_day: Vec<String> = (0..27).map(|it| hours.key(it).unwrap().as_str().to_owned()).collect();
        assert_eq!(alike(&hours, &of_day[25]), [&*of_day[24], &of_day[26]]);
        assert_eq!(alike(&hours, &of_day[0]), of_day[1..24]);
    }

    #[test]
    fn of_several_dimensions_any_may_be_alike() {
        let keys = multi("2026-01-03", "2026-01-05T00:00Z");
        let any = keys.key(0).unwrap();
        assert_eq!(alike(&keys, any.as_str()), [""; 0]);
        let dimensions =
            vec![("a".into(), Keys::Names(names(&["1", "01"]))), ("b".into(), Keys::Names(names(&["x", "y", "X"])))];
        let keys = Keys::Multi(MultiKeys::new(dimensions).unwrap());
        assert_eq!(alike(&keys, "a=1,b=x"), ["a=01,b=x", "a=1,b=X", "a=01,b=X"]);
        assert_eq!(alike(&keys, "a=01,b=y"), ["a=1,b=y"]);
    }
}
