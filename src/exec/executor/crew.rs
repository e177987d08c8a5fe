//! Threads that do one thing after another and wait for more: what keeps something for each thread, as allocators
//! and engines do, would begin anew with a new one.
//!
//! Knows nothing of what they do. They are not waited for: one that hangs ends with the tool.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

type Job = Box<dyn FnOnce() + Send>;

/// As many threads as were ever busy at once.
#[derive(Default)]
pub struct Crew {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Threads that wait for one.
    idle: usize,
    over: bool,
}

impl Crew {
    /// Does it at once, on a thread of its own.
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn begin(&self, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut state = self.shared.state();
        if state.idle > state.jobs.len() {
            state.jobs.push_back(Box::new(job));
            self.shared.changed.notify_one();
            return Ok(());
        }
        drop(state);
        let shared = Arc::clone(&self.shared);
        let work = move || {
            job();
            while let Some(next) = shared.next() {
                next();
            }
        };
        std::thread::Builder::new().name("query".to_owned()).spawn(work).map(drop)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for it; `None` once there will be none.
    fn next(&self) -> Option<Job> {
        let mut state = self.state();
        state.idle += 1;
        let nothing = |it: &mut State| it.jobs.is_empty() && !it.over;
        let mut state = self.changed.wait_while(state, nothing).unwrap_or_else(PoisonError::into_inner);
        state.idle -= 1;
        state.jobs.pop_front()
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.shared.state().over = true;
        self.shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc::channel,
        thread::{ThreadId, current},
    };

    use super::*;

    #[test]
    fn one_after_another_has_one_thread_and_two_at_once_have_two() {
        let crew = Crew::default();
        let (sender, told) = channel::<ThreadId>();
        let tell = || {
            let sender = sender.clone();
            crew.begin(move || sender.send(current().id()).unwrap()).unwrap();
            told.recv().unwrap()
        };
        let first = tell();
        // It has told before it waits.
        while crew.shared.state().idle == 0 {
            std::thread::yield_now();
        }
        assert_eq!(tell(), first);

        let (go, wait) = channel::<()>();
        while crew.shared.state().idle == 0 {
            std::thread::yield_now();
        }
        crew.begin(move || wait.recv().unwrap()).unwrap();
        assert_ne!(tell(), first, "the first one is busy");
        go.send(()).unwrap();
    }
}
