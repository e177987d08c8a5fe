//! Signals to the tool as messages: what to do about them is decided by the run loop.
//!
//! The usual answers: the first interrupt cancels politely, the second kills; a stop pauses the
//! executor, then [`stop_ourselves`], and a continue lets it go on. SIGPIPE is ignored by Rust's
//! runtime from the start: a closed pipe is an error of the write.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use signal_hook::{
    consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP},
    iterator::{Handle, Signals},
};

/// What was asked of us.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    Terminate,
    /// The terminal went away.
    HangUp,
    /// Ctrl-\.
    Quit,
    /// Ctrl-Z.
    Stop,
    /// `fg`, `bg`, or whoever stopped us.
    Continue,
    /// Of no signal of the system: what is at work comes to its end, and nothing more is started.
    Finish,
}

impl Signal {
    const ALL: [(i32, Signal); 6] = [
        (SIGINT, Signal::Interrupt),
        (SIGTERM, Signal::Terminate),
        (SIGHUP, Signal::HangUp),
        (SIGQUIT, Signal::Quit),
        (SIGTSTP, Signal::Stop),
        (SIGCONT, Signal::Continue),
    ];

    /// Exit status of a run that it ended, by the rule of shells; `None` for those that end nothing.
    pub fn exit_code(self) -> Option<u8> {
        match self {
            Signal::Interrupt => Some(130),
            Signal::Terminate => Some(143),
            Signal::HangUp => Some(129),
            Signal::Quit => Some(131),
            Signal::Stop | Signal::Continue | Signal::Finish => None,
        }
    }
}

/// Signals are messages while it lives; afterwards they do what they do by default.
pub struct SignalWatch {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
    by_default: Arc<AtomicBool>,
}

/// Calls `send` for every signal, on a thread of its own.
pub fn watch(mut send: impl FnMut(Signal) + Send + 'static) -> io::Result<SignalWatch> {
    let by_default = Arc::new(AtomicBool::new(false));
    let mut signals = Signals::new(Signal::ALL.map(|it| it.0))?;
    for (number, signal) in Signal::ALL {
        if signal != Signal::Continue {
            signal_hook::flag::register_conditional_default(number, Arc::clone(&by_default))?;
        }
    }
    let handle = signals.handle();
    let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for number in signals.forever() {
            if let Some((_, signal)) = Signal::ALL.iter().find(|it| it.0 == number) {
                send(*signal);
            }
        }
    })?;
    Ok(SignalWatch { handle, thread: Some(thread), by_default })
}

impl SignalWatch {
    /// The switch between messages and what signals do by default.
    pub fn attention(&self) -> Attention {
        Attention(Arc::clone(&self.by_default))
    }
}

/// Whether signals are messages (somebody reads them) or do what they do by default (nobody does now).
#[derive(Clone)]
pub struct Attention(Arc<AtomicBool>);

impl Attention {
    /// From here on signals do what they do by default, but where attention is paid.
    pub fn rest(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Signals are messages while `work` goes on.
    pub fn paid<T>(&self, work: impl FnOnce() -> T) -> T {
        self.with(false, work)
    }

    /// Signals do what they do by default while `work` goes on: it can be ended at any point.
    pub fn unpaid<T>(&self, work: impl FnOnce() -> T) -> T {
        self.with(true, work)
    }

    fn with<T>(&self, by_default: bool, work: impl FnOnce() -> T) -> T {
        let before = self.0.swap(by_default, Ordering::SeqCst);
        let done = work();
        self.0.store(before, Ordering::SeqCst);
        done
    }
}

impl Drop for SignalWatch {
    fn drop(&mut self) {
        self.by_default.store(true, Ordering::SeqCst);
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // A panic in `send` was already told on its own thread.
            let _ = thread.join();
        }
    }
}

/// Stops this process as Ctrl-Z would; returns when it is continued.
pub fn stop_ourselves() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    #[test]
    fn attention_is_what_it_was_before() {
        let by_default = || Arc::new(AtomicBool::new(true));
        let it = Attention(by_default());
        let now = || it.0.load(Ordering::SeqCst);
        it.paid(|| {
            assert!(!now());
            it.unpaid(|| assert!(now()));
            assert!(!now());
        });
        assert!(now());
    }

    #[test]
    fn signals_arrive_as_messages() {
        let (sender, arrived) = mpsc::channel();
        let watch = watch(move |it| sender.send(it).unwrap()).unwrap();
        for (number, expected) in Signal::ALL {
            signal_hook::low_level::raise(number).unwrap();
            assert_eq!(arrived.recv_timeout(Duration::from_secs(10)), Ok(expected));
        }
        drop(watch);
        assert!(arrived.recv().is_err());
    }
}
