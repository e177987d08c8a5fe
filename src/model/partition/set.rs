//! A set of partitions of one asset, as ranges of their places.
//!
//! Knows numbers only; what they stand for is with [`Keys`](super::Keys). Places are told of one
//! enumeration and are never stored: a later one may number the same keys differently.

use std::ops::Range;

/// Sorted half-open ranges that neither touch nor are empty, so that equal sets are equal ranges.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct PartitionSet {
    ranges: Vec<Range<u64>>,
}

impl PartitionSet {
    pub fn empty() -> Self {
        PartitionSet::default()
    }

    pub fn range(range: Range<u64>) -> Self {
        PartitionSet { ranges: if range.is_empty() { Vec::new() } else { vec![range] } }
    }

    pub fn one(place: u64) -> Self {
        PartitionSet::range(place..place.saturating_add(1))
    }

    /// The union of ranges in any order.
    pub fn of(ranges: impl IntoIterator<Item = Range<u64>>) -> Self {
        let mut given: Vec<Range<u64>> = ranges.into_iter().filter(|it| !it.is_empty()).collect();
        given.sort_unstable_by_key(|it| it.start);
        let mut joined: Vec<Range<u64>> = Vec::with_capacity(given.len());
        for range in given {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        PartitionSet { ranges: joined }
    }

    /// The ranges, from the first place to the last.
    pub fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many places are in it.
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|it| it.end - it.start).sum()
    }

    pub fn first(&self) -> Option<u64> {
        self.ranges.first().map(|it| it.start)
    }

    pub fn last(&self) -> Option<u64> {
        self.ranges.last().map(|it| it.end - 1)
    }

    pub fn contains(&self, place: u64) -> bool {
        let at = self.ranges.partition_point(|it| it.end <= place);
        self.ranges.get(at).is_some_and(|it| it.contains(&place))
    }

    /// Whether any place is in both.
    pub fn meets(&self, other: &PartitionSet) -> bool {
        !self.intersection(other).is_empty()
    }

    /// Every place, one after the other; costs nothing for those not asked for.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        self.ranges.iter().cloned().flatten()
    }

    #[must_use]
    pub fn union(&self, other: &PartitionSet) -> PartitionSet {
        PartitionSet::of(self.ranges.iter().chain(&other.ranges).cloned())
    }

    #[must_use]
    pub fn intersection(&self, other: &PartitionSet) -> PartitionSet {
        let (mut left, mut right) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        let mut ranges = Vec::new();
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            let both = a.start.max(b.start)..a.end.min(b.end);
            if !both.is_empty() {
                ranges.push(both);
            }
            if a.end <= b.end {
                left.next()
            } else {
                right.next()
            };
        }
        PartitionSet { ranges }
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &PartitionSet) -> PartitionSet {
        let mut ranges = Vec::new();
        let mut taken = other.ranges.iter().peekable();
        for range in &self.ranges {
            let mut from = range.start;
            while let Some(cut) = taken.next_if(|it| it.end <= range.end) {
                if from < cut.start {
                    ranges.push(from..cut.start);
                }
                from = from.max(cut.end);
            }
            // The next cut reaches past this range, and perhaps into the following ones.
            let until = taken.peek().map_or(range.end, |it| it.start.clamp(range.start, range.end));
            if from < until {
                ranges.push(from..until);
            }
        }
        PartitionSet { ranges }
    }
}

impl FromIterator<u64> for PartitionSet {
    fn from_iter<It: IntoIterator<Item = u64>>(places: It) -> Self {
        PartitionSet::of(places.into_iter().map(|it| it..it.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(ranges: &[Range<u64>]) -> PartitionSet {
        PartitionSet::of(ranges.iter().cloned())
    }

    #[test]
    fn ranges_that_touch_are_one() {
        assert_eq!(set(&[3..5, 0..3, 9..9, 7..8]).ranges(), [0..5, 7..8]);
        assert_eq!(set(&[0..5, 1..2]), PartitionSet::range(0..5));
        assert_eq!([5, 1, 2, 2, 0].into_iter().collect::<PartitionSet>().ranges(), [0..3, 5..6]);
    }

    #[test]
    fn a_million_places_are_one_range() {
        let all = PartitionSet::range(0..1_000_000);
        let rest = all.difference(&PartitionSet::one(500_000));
        assert_eq!(rest.ranges(), [0..500_000, 500_001..1_000_000]);
        assert_eq!((rest.count(), rest.first(), rest.last()), (999_999, Some(0), Some(999_999)));
        assert_eq!(rest.iter().next_back(), Some(999_999));
    }

    fn any_set() -> impl Strategy<Value = PartitionSet> {
        prop::collection::vec((0_u64..40, 0_u64..6), 0..8)
            .prop_map(|them| PartitionSet::of(them.into_iter().map(|(start, length)| start..start + length)))
    }

    proptest! {
        #[test]
        fn it_is_the_algebra_of_sets(a in any_set(), b in any_set()) {
            let (x, y): (BTreeSet<u64>, BTreeSet<u64>) = (a.iter().collect(), b.iter().collect());
            for (found, wanted) in [
                (a.union(&b), &x | &y),
                (a.intersection(&b), &x & &y),
                (a.difference(&b), &x - &y),
            ] {
                prop_assert_eq!(found.iter().collect::<BTreeSet<u64>>(), wanted.clone());
                prop_assert_eq!(found.count(), wanted.len() as u64);
                prop_assert!(found.ranges().iter().all(|it| !it.is_empty()));
                prop_assert!(found.ranges().windows(2).all(|it| it[0].end < it[1].start));
            }
            prop_assert_eq!(a.meets(&b), !x.is_disjoint(&y));
            for place in 0..50 {
                prop_assert_eq!(a.contains(place), x.contains(&place));
            }
        }
    }
}
