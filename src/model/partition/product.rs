//! Sets of combinations, as places and as products of one set for each dimension.
//!
//! Knows sizes only. The first dimension changes fastest.

use std::{collections::HashMap, ops::Range};

use super::PartitionSet;

/// One set for each dimension; stands for every combination of their members.
pub type Product = Vec<PartitionSet>;

/// The combinations of a product.
pub fn combined(product: &[PartitionSet], sizes: &[u64]) -> PartitionSet {
    let mut unit = 1;
    let mut found = PartitionSet::one(0);
    for (set, size) in product.iter().zip(sizes) {
        let whole = found == PartitionSet::range(0..unit);
        found = if whole {
            PartitionSet::of(set.ranges().iter().map(|it| it.start * unit..it.end * unit))
        } else {
            let shifted = |by: u64| found.ranges().iter().map(move |it| it.start + by * unit..it.end + by * unit);
            PartitionSet::of(set.iter().flat_map(shifted))
        };
        unit *= size;
    }
    found
}

/// Products that do not overlap and together are `set`: few if it is made of few.
pub fn products(set: &PartitionSet, sizes: &[u64]) -> Vec<Product> {
    let Some((last, before)) = sizes.split_last() else {
        return if set.is_empty() { Vec::new() } else { vec![Vec::new()] };
    };
    let unit: u64 = before.iter().product();
    if before.is_empty() {
        return if set.is_empty() { Vec::new() } else { vec![vec![set.clone()]] };
    }
    debug_assert!(set.last().is_none_or(|it| it < unit * last));
    let mut groups: Vec<(PartitionSet, Vec<Range<u64>>)> = Vec::new();
    let mut known: HashMap<PartitionSet, usize> = HashMap::new();
    for (slices, inner) in slices(set, unit) {
        let group = *known.entry(inner).or_insert_with_key(|inner| {
            groups.push((inner.clone(), Vec::new()));
            groups.len() - 1
        });
        groups[group].1.push(slices);
    }
    let with_last = |(inner, slices): (PartitionSet, Vec<Range<u64>>)| {
        let slices = PartitionSet::of(slices);
        products(&inner, before).into_iter().map(move |mut it| {
            it.push(slices.clone());
            it
        })
    };
    groups.into_iter().flat_map(with_last).collect()
}

/// Cuts places into slices of `unit`: the slices that have the same part of `set`, side by side, and
/// that part. Slices without any are left out.
fn slices(set: &PartitionSet, unit: u64) -> Vec<(Range<u64>, PartitionSet)> {
    let mut found: Vec<(Range<u64>, Vec<Range<u64>>)> = Vec::new();
    let mut add = |slices: Range<u64>, inner: Range<u64>| match found.last_mut() {
        _ if slices.is_empty() || inner.is_empty() => {}
        Some((last, ranges)) if *last == slices => ranges.push(inner),
        _ => found.push((slices, vec![inner])),
    };
    for range in set.ranges() {
        let (first, last) = (range.start / unit, range.end / unit);
        if first == last {
            add(first..first + 1, range.start % unit..range.end % unit);
            continue;
        }
        let whole = range.start.div_ceil(unit);
        add(first..whole, range.start % unit..unit);
        add(whole..last, 0..unit);
        add(last..last + 1, 0..range.end % unit);
    }
    found.into_iter().map(|(slices, inner)| (slices, PartitionSet::of(inner))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(ranges: &[Range<u64>]) -> PartitionSet {
        PartitionSet::of(ranges.iter().cloned())
    }

    #[test]
    fn days_of_one_region_are_one_range() {
        let sizes = [365, 3];
        let days = set(&[10..20, 30..31]);
        let january = combined(&[days.clone(), PartitionSet::one(1)], &sizes);
        assert_eq!(january.ranges(), [375..385, 395..396]);
        assert_eq!(products(&january, &sizes), [vec![days.clone(), PartitionSet::one(1)]]);
        let both = combined(&[days.clone(), set(&[0..1, 2..3])], &sizes);
        assert_eq!(products(&both, &sizes), [vec![days, set(&[0..1, 2..3])]]);
        let all = PartitionSet::range(0..3 * 365);
        assert_eq!(products(&all, &sizes), [vec![PartitionSet::range(0..365), PartitionSet::range(0..3)]]);
    }

    fn any_product() -> impl Strategy<Value = (Vec<u64>, PartitionSet)> {
        prop::collection::vec(1_u64..5, 1..4).prop_flat_map(|sizes| {
            let count = sizes.iter().product::<u64>();
            let places = prop::collection::vec(prop::bool::weighted(0.7), usize::try_from(count).unwrap());
            places.prop_map(move |them| {
                let chosen = (0..count).zip(them).filter(|it| it.1).map(|it| it.0);
                (sizes.clone(), chosen.collect())
            })
        })
    }

    proptest! {
        #[test]
        fn products_are_the_set_each_place_once((sizes, set) in any_product()) {
            let parts = products(&set, &sizes);
            let each: Vec<PartitionSet> = parts.iter().map(|it| combined(it, &sizes)).collect();
            prop_assert_eq!(each.iter().map(PartitionSet::count).sum::<u64>(), set.count());
            prop_assert_eq!(each.iter().fold(PartitionSet::empty(), |all, it| all.union(it)), set);
        }
    }
}
