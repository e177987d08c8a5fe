//! Sets of partitions as people write and read them: the texts of `--partition`.
//!
//! ```text
//! text   term [; term]..                      together
//! term   part [, part]..                      of one dimension: together
//!        NAME=part [, part].. [, NAME=..]..   of several: combined; a dimension left out is all of it
//! part   KEY | A..B | A.. | ..B | all | latest | none
//! ```
//!
//! Ranges are half-open: `2026-01-01..2026-02-01` is January. Of time, a range holds the windows that
//! begin in it, so its ends may be written coarser than keys: `2026-01..2026-02`.

use std::ops::Range;

use crate::base::suggest;

use super::{
    Keys, PartitionSet,
    keys::{MultiKeys, NoKey, no_window},
    label, product,
    time::{NoWindow, TimeKeys},
};

/// What is wrong with a text, and where in it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct BadText {
    /// One sentence, lower case.
    pub message: String,
    /// A range of bytes.
    pub at: Range<usize>,
    /// What to write instead.
    pub help: Option<String>,
}

/// A piece of the text, and where it begins.
#[derive(Clone, Copy)]
struct Piece<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Piece<'a> {
    fn trimmed(self) -> Piece<'a> {
        let start = self.text.len() - self.text.trim_start().len();
        Piece { text: self.text.trim(), at: self.at + start }
    }

    fn split(self, by: char) -> impl Iterator<Item = Piece<'a>> {
        let mut at = self.at;
        self.text.split(by).map(move |text| {
            let piece = Piece { text, at };
            at += text.len() + by.len_utf8();
            piece.trimmed()
        })
    }

    /// What is before and after the first `by`.
    fn halves(self, by: &str) -> Option<(Piece<'a>, Piece<'a>)> {
        let (before, after) = self.text.split_once(by)?;
        let after = Piece { text: after, at: self.at + before.len() + by.len() };
        Some((Piece { text: before, at: self.at }.trimmed(), after.trimmed()))
    }

    fn wrong(self, message: impl Into<String>, help: impl Into<Option<String>>) -> BadText {
        BadText { message: message.into(), at: self.at..self.at + self.text.len(), help: help.into() }
    }

    fn refused(self, why: NoKey) -> BadText {
        self.wrong(why.message, why.help)
    }
}

impl Keys {
    /// The set that a text names.
    pub fn parse(&self, text: &str) -> Result<PartitionSet, BadText> {
        let terms = Piece { text, at: 0 }.split(';');
        terms.map(|it| self.term(it)).try_fold(PartitionSet::empty(), |all, it| Ok(all.union(&it?)))
    }

    fn term(&self, term: Piece<'_>) -> Result<PartitionSet, BadText> {
        match (self, term.text) {
            (_, "all") => Ok(self.all()),
            (_, "none") => Ok(PartitionSet::empty()),
            (Keys::Multi(it), _) => it.term(term),
            _ => term.split(',').try_fold(PartitionSet::empty(), |all, it| Ok(all.union(&self.part(it)?))),
        }
    }

    /// One part of one dimension.
    fn part(&self, part: Piece<'_>) -> Result<PartitionSet, BadText> {
        match (part.text, self) {
            ("", _) => Err(part.wrong("a partition is missing here", "write a key, a range A..B, or all".to_owned())),
            ("all", _) => Ok(self.all()),
            ("none", _) => Ok(PartitionSet::empty()),
            ("latest", Keys::Time(it)) => match it.count() {
                0 => Err(part.wrong("there is no partition yet", None)),
                count => Ok(PartitionSet::one(count - 1)),
            },
            ("latest", _) => Err(part.wrong("only partitions by time have a latest", None)),
            ("missing" | "stale" | "failed", _) => {
                let help = "it asks what was recorded of partitions; name keys or ranges for now".to_owned();
                Err(part.wrong(format!("`{}` is not supported yet", part.text), help))
            }
            (text, _) if text.contains("..") => self.range(part),
            (text, _) => self.place(text).map(PartitionSet::one).map_err(|it| match self.many(text) {
                Some(range) => part.wrong(it.message, format!("for all that begin in it: {range}")),
                None => part.refused(it),
            }),
        }
    }

    /// The range that was meant by a day, month or year, if there is anything in it.
    fn many(&self, text: &str) -> Option<String> {
        let Keys::Time(keys) = self else { return None };
        let after = label::after(text)?;
        let range = keys.bound(text).ok()?..keys.bound(&after).ok()?;
        let there = 0..i64::try_from(keys.count()).ok()?;
        (range.start.max(there.start) + 1 < range.end.min(there.end)).then(|| format!("{text}..{after}"))
    }

    fn range(&self, part: Piece<'_>) -> Result<PartitionSet, BadText> {
        let Some((from, until)) = part.halves("..") else { return Err(part.wrong("this is not a range", None)) };
        if until.text.starts_with('.') {
            let help = "a range is written A..B; B is not in it".to_owned();
            return Err(part.wrong("a range has two dots", help));
        }
        let (first, end) = match self {
            Keys::Time(it) => (from_of(it, from)?, until_of(it, until)?),
            _ => {
                let place = |it: Piece<'_>| self.place(it.text).map_err(|why| it.refused(why));
                let first = if from.text.is_empty() { 0 } else { place(from)? };
                (first, if until.text.is_empty() { self.count() } else { place(until)? })
            }
        };
        if first >= end && self.count() > 0 {
            let help = "a range ends before its second key: A..B does not hold B".to_owned();
            return Err(part.wrong("no partition is in this range", help));
        }
        Ok(PartitionSet::range(first..end))
    }

    /// The set as a text that [`Keys::parse`] reads.
    pub fn print(&self, set: &PartitionSet) -> String {
        match self {
            _ if set.is_empty() => "none".to_owned(),
            _ if *set == self.all() => "all".to_owned(),
            Keys::Multi(it) => it.print(set),
            _ => self.print_parts(set).join(","),
        }
    }

    fn print_parts(&self, set: &PartitionSet) -> Vec<String> {
        let mut parts = Vec::with_capacity(set.ranges().len());
        for range in set.ranges() {
            // Two neighbours are read sooner as two than as a range.
            if range.end - range.start <= 2 {
                parts.extend(range.clone().map(|it| self.text(it)));
                continue;
            }
            let end = if matches!(self, Keys::Time(_)) || range.end < self.count() {
                self.text(range.end)
            } else {
                String::new()
            };
            parts.push(format!("{}..{end}", self.text(range.start)));
        }
        parts
    }
}

impl MultiKeys {
    fn term(&self, term: Piece<'_>) -> Result<PartitionSet, BadText> {
        let dimensions = self.dimensions();
        let mut chosen: Vec<Option<PartitionSet>> = vec![None; dimensions.len()];
        let mut current = None;
        for part in term.split(',') {
            let mut rest = part;
            if let Some((name, after)) = part.halves("=") {
                let index = self.dimension(name)?;
                if chosen[index].is_some() {
                    return Err(
                        name.wrong(format!("`{}` is said twice", name.text), format!("write {}=A,B", name.text))
                    );
                }
                (current, rest) = (Some(index), after);
            }
            let Some(index) = current else {
                let help = dimensions.iter().map(|it| format!("{}=..", it.0)).collect::<Vec<_>>().join(",");
                return Err(part.wrong("it is not said of which dimension this is", format!("write {help}")));
            };
            let more = dimensions[index].1.part(rest)?;
            let so_far = chosen[index].get_or_insert_default();
            *so_far = so_far.union(&more);
        }
        let product: Vec<PartitionSet> =
            chosen.into_iter().zip(dimensions).map(|(it, (_, keys))| it.unwrap_or_else(|| keys.all())).collect();
        Ok(product::combined(&product, &self.sizes()))
    }

    fn dimension(&self, name: Piece<'_>) -> Result<usize, BadText> {
        let names = || self.dimensions().iter().map(|it| &*it.0);
        names().position(|it| it == name.text).ok_or_else(|| {
            let help = match suggest::nearest(name.text, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there is `{}`", names().collect::<Vec<_>>().join("`, `")),
            };
            name.wrong(format!("there is no dimension `{}`", name.text), help)
        })
    }

    fn print(&self, set: &PartitionSet) -> String {
        let term = |product: &product::Product| {
            let parts = product.iter().zip(self.dimensions()).filter(|(set, (_, keys))| **set != keys.all());
            parts.map(|(set, (name, keys))| format!("{name}={}", keys.print_parts(set).join(","))).collect::<Vec<_>>()
        };
        product::products(set, &self.sizes()).iter().map(|it| term(it).join(",")).collect::<Vec<_>>().join(";")
    }
}

/// The first place of a range that begins so.
fn from_of(keys: &TimeKeys, from: Piece<'_>) -> Result<u64, BadText> {
    if from.text.is_empty() {
        return Ok(0);
    }
    let refused = |why| from.refused(no_window(keys, from.text, why));
    let place = keys.bound(from.text).map_err(refused)?;
    match u64::try_from(place) {
        // Whatever is too early was probably mistyped; to want all that there is needs no date.
        Err(_) => Err(BadText {
            help: Some(format!("the first is {}; to begin with it, leave this out: ..B", keys.key(0))),
            ..refused(NoWindow::TooEarly)
        }),
        Ok(place) if place >= keys.count() => Err(refused(NoWindow::TooLate)),
        Ok(place) => Ok(place),
    }
}

/// The place after the last of a range that ends so. It may well be in the future.
fn until_of(keys: &TimeKeys, until: Piece<'_>) -> Result<u64, BadText> {
    if until.text.is_empty() {
        return Ok(keys.count());
    }
    let place = keys.bound(until.text).map_err(|why| until.refused(no_window(keys, until.text, why)))?;
    Ok(u64::try_from(place).unwrap_or(0).min(keys.count()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::partition::{
        Definition,
        tests::{DAY, HOUR, any_time, keys, multi, names, time, time_keys},
    };

    fn days() -> Keys {
        time_keys(time(DAY, "Asia/Seoul", "2026-01-01"), "2026-03-20T00:00:00Z")
    }

    fn read(keys: &Keys, text: &str) -> String {
        match keys.parse(text) {
            Ok(set) => format!("{} {}", set.count(), keys.print(&set)),
            Err(it) => {
                let help = it.help.map(|it| format!("; {it}")).unwrap_or_default();
                format!("[{}] {}{help}", &text[it.at], it.message)
            }
        }
    }

    #[test]
    fn ranges_are_half_open() {
        let keys = days();
        assert_eq!(read(&keys, "2026-01-01..2026-02-01"), "31 2026-01-01..2026-02-01");
        assert_eq!(read(&keys, "2026-01..2026-02"), "31 2026-01-01..2026-02-01");
        assert_eq!(read(&keys, "2026-03-15"), "1 2026-03-15");
        assert_eq!(read(&keys, "2026-03-15..2026-03-17"), "2 2026-03-15,2026-03-16");
        assert_eq!(read(&keys, "2026-03-15, 2026-01-01 .. 2026-01-04"), "4 2026-01-01..2026-01-04,2026-03-15");
        assert_eq!(read(&keys, "2026-03-01.."), "19 2026-03-01..2026-03-20");
        assert_eq!(read(&keys, "2026-03..2027"), "19 2026-03-01..2026-03-20");
        assert_eq!(read(&keys, "..2026-01-03;latest"), "3 2026-01-01,2026-01-02,2026-03-19");
        assert_eq!(read(&keys, "all"), "78 all");
        assert_eq!(read(&keys, "none"), "0 none");
        let hourly = time_keys(time(HOUR, "America/New_York", "2026-01-01"), "2026-12-01T00:00:00Z");
        assert_eq!(read(&hourly, "2026-11-01..2026-11-02"), "25 2026-11-01T00..2026-11-02T00");
        assert_eq!(read(&hourly, "2026-03-08T02..2026-03-08T04"), "1 2026-03-08T03");
        assert_eq!(read(&hourly, "2026-03-08T06:30..2026-03-08T0830"), "2 2026-03-08T07,2026-03-08T08");
    }

    #[test]
    fn what_is_wrong_has_its_place_and_a_way_out() {
        let keys = days();
        for (text, told) in [
            ("2026-03-15,2026-02-30", "[2026-02-30] \"2026-02-30\" is not a key; keys are written as in 2026-01-01"),
            ("2026-03", "[2026-03] \"2026-03\" is not a key; for all that begin in it: 2026-03..2026-04"),
            ("2025", "[2025] \"2025\" is not a key; keys are written as in 2026-01-01"),
            ("2026-03-20", "[2026-03-20] 2026-03-20 is not over yet; there are 2026-01-01 to 2026-03-19"),
            (
                "2016-03-01..2026-03-02",
                "[2016-03-01] 2016-03-01 is before the first partition; the first is 2026-01-01; to begin with it, leave this out: ..B",
            ),
            (
                "2026-03-02..2026-03-02",
                "[2026-03-02..2026-03-02] no partition is in this range; a range ends before its second key: A..B does not hold B",
            ),
            (
                "2026-03-01...2026-03-02",
                "[2026-03-01...2026-03-02] a range has two dots; a range is written A..B; B is not in it",
            ),
            ("2026-03-01,,", "[] a partition is missing here; write a key, a range A..B, or all"),
            (
                "stale",
                "[stale] `stale` is not supported yet; it asks what was recorded of partitions; name keys or ranges for now",
            ),
        ] {
            assert_eq!(read(&keys, text), told);
        }
        let region = keys_of(&["de", "jp", "us"]);
        assert_eq!(read(&region, "de..us"), "2 de,jp");
        assert_eq!(
            read(&region, "us..de"),
            "[us..de] no partition is in this range; a range ends before its second key: A..B does not hold B"
        );
        assert_eq!(read(&region, "latest"), "[latest] only partitions by time have a latest");
        assert_eq!(read(&Keys::Whole, "all"), "1 all");
        assert_eq!(read(&Keys::Whole, "x"), "[x] the asset has no partitions");
    }

    fn keys_of(them: &[&str]) -> Keys {
        keys(&Definition::Static(names(them)), "2026-01-01T00:00:00Z")
    }

    #[test]
    fn dimensions_are_combined() {
        let keys = multi("2026-01-01", "2026-02-01T00:00:00Z");
        assert_eq!(read(&keys, "day=2026-01-05,region=jp,customer=zeta"), "1 day=2026-01-05,region=jp,customer=zeta");
        assert_eq!(read(&keys, "region=jp"), "62 region=jp");
        assert_eq!(read(&keys, "region=us,jp,day=latest"), "4 day=2026-01-31");
        assert_eq!(
            read(&keys, "day=2026-01-05..2026-01-09,2026-01-20,region=jp"),
            "10 day=2026-01-05..2026-01-09,2026-01-20,region=jp"
        );
        assert_eq!(read(&keys, "region=jp;customer=acme"), "93 customer=acme;region=jp,customer=zeta");
        assert_eq!(read(&keys, "regoin=jp"), "[regoin] there is no dimension `regoin`; did you mean `region`?");
        assert_eq!(read(&keys, "day=latest,day=2026-01-01"), "[day] `day` is said twice; write day=A,B");
        assert_eq!(
            read(&keys, "2026-01-01,region=jp"),
            "[2026-01-01] it is not said of which dimension this is; write day=..,region=..,customer=.."
        );
        assert_eq!(read(&keys, "day=2026-01-05,region=kr"), "[kr] there is no partition `kr`; there is `jp`, `us`");
    }

    fn some_of(count: u64, picked: &[(f64, u64)]) -> PartitionSet {
        let start = |at: f64| (at * count as f64) as u64;
        PartitionSet::of(picked.iter().map(|(at, length)| start(*at)..(start(*at) + length).min(count)))
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_as_the_same(of in any_time(), picked in prop::collection::vec((0.0..1.0_f64, 0_u64..9), 0..6)) {
            let keys = time_keys(of, "2026-12-01T00:00:00Z");
            let set = some_of(keys.count(), &picked);
            let text = keys.print(&set);
            prop_assert_eq!(keys.parse(&text), Ok(set), "{}", text);
        }

        #[test]
        fn and_so_are_combinations(picked in prop::collection::vec((0.0..1.0_f64, 0_u64..40), 0..9)) {
            let keys = multi("2026-01-01", "2026-01-08T00:00:00Z");
            let set = some_of(keys.count(), &picked);
            let text = keys.print(&set);
            prop_assert_eq!(keys.parse(&text), Ok(set), "{}", text);
        }
    }
}
