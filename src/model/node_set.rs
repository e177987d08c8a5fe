//! A set of nodes of one project, one bit each.

use crate::{base::id::Id, model::project::NodeId};

/// Sets are only combined with sets of the same project, so of the same size.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeSet {
    words: Vec<u64>,
    /// How many nodes there are, in the set or not.
    size: usize,
}

impl NodeSet {
    /// None of `size` nodes.
    pub fn none(size: usize) -> Self {
        NodeSet { words: vec![0; size.div_ceil(64)], size }
    }

    /// All of `size` nodes.
    pub fn all(size: usize) -> Self {
        let mut set = NodeSet { words: vec![u64::MAX; size.div_ceil(64)], size };
        set.clear_tail();
        set
    }

    /// These of `size` nodes.
    pub fn of(size: usize, nodes: impl IntoIterator<Item = NodeId>) -> Self {
        let mut set = NodeSet::none(size);
        for node in nodes {
            set.insert(node);
        }
        set
    }

    /// Bits past the last node stay 0, so that equal sets are equal words.
    fn clear_tail(&mut self) {
        if let Some(last) = self.words.last_mut()
            && !self.size.is_multiple_of(64)
        {
            *last &= (1 << (self.size % 64)) - 1;
        }
    }

    /// Whether it is new.
    pub fn insert(&mut self, node: NodeId) -> bool {
        assert!(node.index() < self.size, "{node} is no node of a project of {}", self.size);
        let (word, bit) = (&mut self.words[node.index() / 64], 1 << (node.index() % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    pub fn remove(&mut self, node: NodeId) {
        if let Some(word) = self.words.get_mut(node.index() / 64) {
            *word &= !(1 << (node.index() % 64));
        }
    }

    pub fn contains(&self, node: NodeId) -> bool {
        self.words.get(node.index() / 64).is_some_and(|it| it & (1 << (node.index() % 64)) != 0)
    }

    pub fn union(&mut self, other: &NodeSet) {
        self.combine(other, |a, b| a | b);
    }

    pub fn intersect(&mut self, other: &NodeSet) {
        self.combine(other, |a, b| a & b);
    }

    pub fn subtract(&mut self, other: &NodeSet) {
        self.combine(other, |a, b| a & !b);
    }

    /// What is not in it.
    #[must_use]
    pub fn complement(&self) -> NodeSet {
        let mut set = NodeSet { words: self.words.iter().map(|it| !it).collect(), size: self.size };
        set.clear_tail();
        set
    }

    fn combine(&mut self, other: &NodeSet, with: impl Fn(u64, u64) -> u64) {
        assert_eq!(self.size, other.size, "sets of one project");
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a = with(*a, *b);
        }
    }

    /// In the order of ids.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros();
                rest &= rest.checked_sub(1)?;
                Some(NodeId::new(index * 64 + bit as usize))
            })
        })
    }

    /// How many are in it.
    pub fn len(&self) -> usize {
        self.words.iter().map(|it| it.count_ones() as usize).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|it| *it == 0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn both(size: usize, them: &BTreeSet<usize>) -> NodeSet {
        NodeSet::of(size, them.iter().filter(|it| **it < size).map(|it| NodeId::new(*it)))
    }

    fn indices(set: &NodeSet) -> Vec<usize> {
        set.iter().map(Id::index).collect()
    }

    proptest! {
        #[test]
        fn it_is_a_set(
            size in 0usize..200,
            a in prop::collection::btree_set(0usize..200, 0..60),
            b in prop::collection::btree_set(0usize..200, 0..60),
        ) {
            let (a, b): (BTreeSet<usize>, BTreeSet<usize>) =
                (a.into_iter().filter(|it| *it < size).collect(), b.into_iter().filter(|it| *it < size).collect());
            let (left, right) = (both(size, &a), both(size, &b));
            prop_assert_eq!(indices(&left), a.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(left.len(), a.len());
            let mut set = left.clone();
            set.union(&right);
            prop_assert_eq!(indices(&set), a.union(&b).copied().collect::<Vec<_>>());
            let mut set = left.clone();
            set.intersect(&right);
            prop_assert_eq!(indices(&set), a.intersection(&b).copied().collect::<Vec<_>>());
            let mut set = left.clone();
            set.subtract(&right);
            prop_assert_eq!(indices(&set), a.difference(&b).copied().collect::<Vec<_>>());
            prop_assert_eq!(left.complement().complement(), left.clone());
            let mut set = left.complement();
            set.union(&left);
            prop_assert_eq!(set, NodeSet::all(size));
        }
    }
}
