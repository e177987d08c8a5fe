//! What is to be done, for whichever thread is free: one is woken for each, and no other.
//!
//! Knows neither what it is nor whose the threads are.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

pub struct Todo<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    items: VecDeque<T>,
    /// Threads that wait for one.
    idle: usize,
    over: bool,
}

impl<T> Default for Todo<T> {
    fn default() -> Self {
        let state = State { items: VecDeque::new(), idle: 0, over: false };
        Todo { state: Mutex::new(state), changed: Condvar::new() }
    }
}

impl<T> Todo<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn push(&self, item: T) {
        self.state().items.push_back(item);
        self.changed.notify_one();
    }

    /// Gives it to a thread that waits for one; back, if none does.
    ///
    /// # Errors
    /// All are busy.
    pub fn push_to_idle(&self, item: T) -> Result<(), T> {
        let mut state = self.state();
        if state.idle <= state.items.len() {
            return Err(item);
        }
        state.items.push_back(item);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for it; `None` once all is done and there will be no more.
    pub fn next(&self) -> Option<T> {
        let mut state = self.state();
        state.idle += 1;
        let nothing = |it: &mut State<T>| it.items.is_empty() && !it.over;
        let mut state = self.changed.wait_while(state, nothing).unwrap_or_else(PoisonError::into_inner);
        state.idle -= 1;
        state.items.pop_front()
    }

    /// Threads that wait for something.
    pub fn idle(&self) -> usize {
        self.state().idle
    }

    /// There will be no more.
    pub fn close(&self) {
        self.state().over = true;
        self.changed.notify_all();
    }
}
