//! Ending what runs now, and what is begun after: a query in this process, or a worker that runs one.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use adbc_core::CancelHandle;

/// Asked for once, from any thread: whatever runs then, or is begun after, ends.
#[derive(Default)]
pub struct Stop {
    asked: AtomicBool,
    running: Mutex<Option<Box<dyn CancelHandle>>>,
}

impl Stop {
    /// May be said again: a driver may have been between two statements.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::SeqCst);
        if let Some(running) = &*self.running.lock().unwrap_or_else(PoisonError::into_inner) {
            // One that cannot be stopped is waited for.
            let _ = running.try_cancel();
        }
    }

    /// This is what runs now; `false` if it is to end already.
    pub fn watch(&self, running: Box<dyn CancelHandle>) -> bool {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
        !self.asked.load(Ordering::SeqCst)
    }

    /// It runs no more.
    pub fn unwatch(&self) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
