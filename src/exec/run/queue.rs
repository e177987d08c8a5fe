//! Which ready step is started next: longest way to the end first, as far as there is room.
//!
//! Knows weights and rooms; nothing of what a step is.

use std::collections::BTreeSet;

use crate::{exec::run::rooms::RoomId, model::event::StepIndex};

/// Steps that could start now, and how many more each room holds.
#[derive(Debug, Default)]
pub struct Queue {
    /// Heaviest first; ties in plan order.
    ready: BTreeSet<(std::cmp::Reverse<u64>, StepIndex)>,
    room: Vec<usize>,
}

impl Queue {
    pub fn new(limits: impl IntoIterator<Item = usize>) -> Self {
        Queue { ready: BTreeSet::new(), room: limits.into_iter().collect() }
    }

    pub fn push(&mut self, step: StepIndex, weight: u64) {
        self.ready.insert((std::cmp::Reverse(weight), step));
    }

    /// The heaviest step whose room is not full; takes its place there.
    pub fn pop(&mut self, room_of: impl Fn(StepIndex) -> Option<RoomId>) -> Option<StepIndex> {
        let found = self.ready.iter().find(|(_, step)| room_of(*step).is_none_or(|it| self.room[it] > 0)).copied()?;
        self.ready.remove(&found);
        if let Some(room) = room_of(found.1) {
            self.room[room] -= 1;
        }
        Some(found.1)
    }

    /// Gives back a place.
    pub fn leave(&mut self, room: Option<RoomId>) {
        if let Some(room) = room {
            self.room[room] += 1;
        }
    }

    pub fn clear(&mut self) -> Vec<StepIndex> {
        std::mem::take(&mut self.ready).into_iter().map(|(_, step)| step).collect()
    }
}

/// For each step the time from its start to the end of the longest way down from it: the critical
/// path. `duration_ms` is what a step took last time; `dependents` are later in the plan.
pub fn weights(duration_ms: &[u64], dependents: &[Vec<StepIndex>]) -> Vec<u64> {
    let mut weights = vec![0; duration_ms.len()];
    for step in (0..duration_ms.len()).rev() {
        let below = dependents[step].iter().map(|it| weights[*it]).max().unwrap_or(0);
        // One more for each step, so that length counts where nothing is known of time.
        weights[step] = duration_ms[step].saturating_add(below).saturating_add(1);
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_way_goes_first() {
        // 0 -> 1 -> 3, 0 -> 2 (slow)
        assert_eq!(weights(&[0, 5, 100, 5], &[vec![1, 2], vec![3], vec![], vec![]]), [102, 12, 101, 6]);
    }

    #[test]
    fn a_full_room_is_passed_over() {
        let room = 0;
        let mut queue = Queue::new([1]);
        for (step, weight) in [(0, 9), (1, 8), (2, 1)] {
            queue.push(step, weight);
        }
        let room_of = |step| (step < 2).then_some(room);
        assert_eq!(queue.pop(room_of), Some(0));
        assert_eq!(queue.pop(room_of), Some(2));
        assert_eq!(queue.pop(room_of), None);
        queue.leave(Some(room));
        assert_eq!(queue.pop(room_of), Some(1));
    }
}
