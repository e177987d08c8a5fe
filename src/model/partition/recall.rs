//! Sets of partitions as they are kept for later, when the definition may be another one.
//!
//! What people write is refused if it does not fit (`text`); what was fit once is read as far as it still
//! means something, and what does not any more is handed back.

use super::{Keys, Names, PartitionSet, product, time::TimeKeys};

/// What is left of a set that was written down.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recalled {
    pub set: PartitionSet,
    /// Pieces of the text that stand for nothing any more.
    pub lost: Vec<String>,
}

/// Ranges of more names than these are written by their ends.
const LISTED_MAX: u64 = 1_000;

impl Keys {
    /// A text that means the same partitions later, whatever comes before, after or, of names, between them:
    /// windows as ranges of time, names one by one.
    pub fn written(&self, set: &PartitionSet) -> String {
        match self {
            Keys::Whole => if set.is_empty() { "none" } else { "all" }.to_owned(),
            _ if set.is_empty() => "none".to_owned(),
            Keys::Multi(it) => {
                let dimensions = it.dimensions();
                let part =
                    |(set, (name, keys)): (&PartitionSet, &(_, Keys))| format!("{name}={}", keys.written_parts(set));
                let term = |it: &product::Product| it.iter().zip(dimensions).map(part).collect::<Vec<_>>().join(",");
                product::products(set, &it.sizes()).iter().map(term).collect::<Vec<_>>().join(";")
            }
            _ => self.written_parts(set),
        }
    }

    fn written_parts(&self, set: &PartitionSet) -> String {
        let mut parts = Vec::new();
        for range in set.ranges() {
            let len = range.end - range.start;
            if len == 1 || matches!(self, Keys::Names(_)) && len <= LISTED_MAX {
                parts.extend(range.clone().map(|it| self.text(it)));
            } else {
                // After the last name there is none to end with.
                let ends = matches!(self, Keys::Time(_)) || range.end < self.count();
                let end = if ends { self.text(range.end) } else { String::new() };
                parts.push(format!("{}..{end}", self.text(range.start)));
            }
        }
        parts.join(",")
    }

    /// What [`Keys::written`] wrote, as far as it stands for partitions that there are.
    pub fn recall(&self, text: &str) -> Recalled {
        let mut recalled = Recalled::default();
        match (self, text) {
            (_, "none") => {}
            (Keys::Whole, "all") => recalled.set = self.all(),
            (Keys::Multi(it), _) => {
                for term in text.split(';') {
                    let product = self.recalled_term(term, &mut recalled.lost);
                    recalled.set = recalled.set.union(&product::combined(&product, &it.sizes()));
                }
            }
            _ => {
                let parts: Vec<&str> = text.split(',').collect();
                recalled.set = self.recalled_parts(&parts, &mut recalled.lost);
            }
        }
        recalled
    }

    fn recalled_term(&self, term: &str, lost: &mut Vec<String>) -> Vec<PartitionSet> {
        let Keys::Multi(it) = self else { return Vec::new() };
        let mut parts: Vec<(&str, Vec<&str>)> = Vec::new();
        for part in term.split(',') {
            match (part.split_once('='), parts.last_mut()) {
                (Some((name, first)), _) => parts.push((name, vec![first])),
                (None, Some((_, parts))) => parts.push(part),
                (None, None) => lost.push(part.to_owned()),
            }
        }
        let known = |name: &str| it.dimensions().iter().any(|it| &*it.0 == name);
        let unknown = parts.iter().filter(|it| !known(it.0)).map(|it| it.0.to_owned());
        let unknown: Vec<String> = unknown.collect();
        let gone = !unknown.is_empty();
        lost.extend(unknown);
        // A dimension that has come since is taken whole; one that has gone leaves nothing to go by.
        let of = |(name, keys): &(std::sync::Arc<str>, Keys)| match parts.iter().find(|it| it.0 == &**name) {
            _ if gone => PartitionSet::empty(),
            Some((_, parts)) => keys.recalled_parts(parts, lost),
            None => keys.all(),
        };
        it.dimensions().iter().map(of).collect()
    }

    fn recalled_parts(&self, parts: &[&str], lost: &mut Vec<String>) -> PartitionSet {
        let mut ranges = Vec::new();
        for part in parts {
            let found = match (part.split_once(".."), self) {
                (Some((from, until)), Keys::Time(it)) => clipped(it, from, until),
                (Some((from, until)), Keys::Names(it)) => between(it, from, until),
                (Some(_), _) => None,
                (None, _) => self.place(part).ok().map(|it| it..it + 1),
            };
            match found.filter(|it| !it.is_empty()) {
                Some(range) => ranges.push(range),
                None => lost.push((*part).to_owned()),
            }
        }
        PartitionSet::of(ranges)
    }
}

/// The windows that begin in a range, among those that there are.
fn clipped(keys: &TimeKeys, from: &str, until: &str) -> Option<std::ops::Range<u64>> {
    let place = |text: &str| {
        let place = keys.bound(text).ok()?;
        Some(u64::try_from(place).unwrap_or(0).min(keys.count()))
    };
    Some(place(from)?..place(until)?)
}

/// From one name to another; where one has gone, by the alphabet if that is the order.
fn between(names: &Names, from: &str, until: &str) -> Option<std::ops::Range<u64>> {
    let sorted = names.iter().is_sorted();
    let place = |text: &str| match names.place(text) {
        Some(at) => Some(at),
        None if sorted => Some(names.iter().take_while(|it| *it < text).count()),
        None => None,
    };
    let until = if until.is_empty() { Some(names.len()) } else { place(until) };
    Some(place(from)? as u64..until? as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::partition::{
        Definition,
        tests::{DAY, HOUR, any_time, keys, multi, names, time, time_keys},
    };

    const NOW: &str = "2026-03-20T00:00:00Z";

    fn told(keys: &Keys, text: &str) -> (String, Vec<String>) {
        let it = keys.recall(text);
        (keys.print(&it.set), it.lost)
    }

    fn of_names(them: &[&str]) -> Keys {
        keys(&Definition::Static(names(them)), NOW)
    }

    #[test]
    fn what_is_not_defined_any_more_is_left_out_and_told() {
        let days = time_keys(time(DAY, "UTC", "2026-03-01"), NOW);
        let all = |text: &str| (text.to_owned(), Vec::<String>::new());
        let text = days.written(&days.all());
        assert_eq!(text, "2026-03-01..2026-03-20");
        let later = time_keys(time(DAY, "UTC", "2026-03-18"), NOW);
        assert_eq!(told(&later, &text), all("all"));
        assert_eq!(later.recall(&text).set.count(), 2);
        let earlier = time_keys(time(DAY, "UTC", "2026-02-01"), NOW);
        assert_eq!(told(&earlier, &text), all("2026-03-01..2026-03-20"));
        let hours = time_keys(time(HOUR, "UTC", "2026-03-01"), NOW);
        assert_eq!(hours.recall(&text).set.count(), 19 * 24, "the same time, cut otherwise");
        let none = time_keys(time(DAY, "UTC", "2026-03-19"), NOW);
        let lost = ("none".to_owned(), vec!["2026-03-02..2026-03-05".to_owned(), "2026-03-09".to_owned()]);
        assert_eq!(told(&none, "2026-03-02..2026-03-05,2026-03-09"), lost);
    }

    #[test]
    fn names_are_kept_by_name_and_not_by_place() {
        let regions = of_names(&["jp", "us", "eu"]);
        let text = regions.written(&regions.all());
        assert_eq!(text, "jp,us,eu");
        let other = of_names(&["us", "fr", "jp"]);
        assert_eq!(told(&other, &text), ("us,jp".to_owned(), vec!["eu".to_owned()]));
        let many: Vec<String> = (0..3_000).map(|it| format!("c{it:04}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let customers = of_names(&many);
        assert_eq!(customers.written(&PartitionSet::range(10..2_500)), "c0010..c2500");
        assert_eq!(customers.written(&PartitionSet::range(10..3_000)), "c0010..");
        let fewer = of_names(&many[20..2_400]);
        assert_eq!(fewer.recall("c0010..c2500").set.count(), 2_380);
    }

    #[test]
    fn dimensions_that_come_and_go() {
        let then = multi("2026-01-01", "2026-01-08T00:00:00Z");
        let text = then.written(&then.parse("day=2026-01-02,region=jp").unwrap());
        assert_eq!(text, "day=2026-01-02,region=jp,customer=acme,zeta");
        let now = multi("2026-01-01", "2026-02-01T00:00:00Z");
        assert_eq!(told(&now, &text), ("day=2026-01-02,region=jp".to_owned(), Vec::new()));
        let text = "day=2026-01-02,planet=mars";
        assert_eq!(told(&now, text), ("none".to_owned(), vec!["planet".to_owned()]));
        assert_eq!(told(&now, "day=2026-01-02,region=jp").0, "day=2026-01-02,region=jp");
    }

    proptest! {
        #[test]
        fn what_is_written_is_recalled(of in any_time(), picked in prop::collection::vec((0.0..1.0_f64, 0_u64..9), 0..6)) {
            let keys = time_keys(of, "2026-12-01T00:00:00Z");
            let start = |at: f64| (at * keys.count() as f64) as u64;
            let set = PartitionSet::of(picked.iter().map(|(at, len)| start(*at)..(start(*at) + len).min(keys.count())));
            let text = keys.written(&set);
            prop_assert_eq!(keys.recall(&text), Recalled { set, lost: Vec::new() }, "{}", text);
        }

        #[test]
        fn and_so_are_combinations(picked in prop::collection::vec((0.0..1.0_f64, 0_u64..40), 0..9)) {
            let keys = multi("2026-01-01", "2026-01-08T00:00:00Z");
            let start = |at: f64| (at * keys.count() as f64) as u64;
            let set = PartitionSet::of(picked.iter().map(|(at, len)| start(*at)..(start(*at) + len).min(keys.count())));
            let text = keys.written(&set);
            prop_assert_eq!(keys.recall(&text), Recalled { set, lost: Vec::new() }, "{}", text);
        }
    }
}
