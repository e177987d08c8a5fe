//! Threads that do one thing after another and wait for more: what keeps something for each thread, as allocators
//! and engines do, would begin anew with a new one.
//!
//! Knows nothing of what they do. They are not waited for: one that hangs ends with the tool.

use std::{io, sync::Arc};

use crate::exec::todo::Todo;

type Job = Box<dyn FnOnce() + Send>;

/// As many threads as were ever busy at once.
#[derive(Default)]
pub struct Crew {
    todo: Arc<Todo<Job>>,
}

impl Crew {
    /// Does it at once, on a thread of its own.
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn begin(&self, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let Err(job) = self.todo.push_to_idle(Box::new(job)) else { return Ok(()) };
        let todo = Arc::clone(&self.todo);
        let work = move || {
            job();
            while let Some(next) = todo.next() {
                next();
            }
        };
        std::thread::Builder::new().name("query".to_owned()).spawn(work).map(drop)
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.todo.close();
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
        while crew.todo.idle() == 0 {
            std::thread::yield_now();
        }
        assert_eq!(tell(), first);

        let (go, wait) = channel::<()>();
        while crew.todo.idle() == 0 {
            std::thread::yield_now();
        }
        crew.begin(move || wait.recv().unwrap()).unwrap();
        assert_ne!(tell(), first, "the first one is busy");
        go.send(()).unwrap();
    }
}
