//! Many changes to one rebuild. Pure: time is an argument.

/// Waits until changes pause, but not for ever.
#[derive(Clone, Copy, Debug)]
pub struct Debounce {
    quiet_ms: u64,
    longest_ms: u64,
    first: Option<u64>,
    last: u64,
}

impl Debounce {
    /// A rebuild is due `quiet_ms` after the last change, and at the latest `longest_ms` after the first.
    pub fn new(quiet_ms: u64, longest_ms: u64) -> Self {
        Debounce { quiet_ms, longest_ms: longest_ms.max(quiet_ms), first: None, last: 0 }
    }

    pub fn changed(&mut self, now_ms: u64) {
        self.first.get_or_insert(now_ms);
        self.last = now_ms;
    }

    /// Milliseconds until a rebuild is due; `None` if nothing changed.
    pub fn due_in(&self, now_ms: u64) -> Option<u64> {
        let first = self.first?;
        let due = (self.last + self.quiet_ms).min(first + self.longest_ms);
        Some(due.saturating_sub(now_ms))
    }

    /// Starts over.
    pub fn reset(&mut self) {
        self.first = None;
    }
}

#[cfg(test)]
mod tests {
    use super::Debounce;

    #[test]
    fn waits_for_a_pause() {
        let mut it = Debounce::new(50, 1000);
        assert_eq!(it.due_in(0), None);
        it.changed(100);
        assert_eq!(it.due_in(100), Some(50));
        it.changed(140);
        assert_eq!(it.due_in(150), Some(40));
        assert_eq!(it.due_in(190), Some(0));
        it.reset();
        assert_eq!(it.due_in(200), None);
    }

    #[test]
    fn a_storm_is_cut_short() {
        let mut it = Debounce::new(50, 1000);
        for now in (0..=980).step_by(20) {
            it.changed(now);
        }
        assert_eq!(it.due_in(980), Some(20));
    }
}
