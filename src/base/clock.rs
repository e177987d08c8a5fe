//! The only file that asks what time it is.

use jiff::Timestamp;

/// What time it is: the system's, or for tests a fixed one.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;

    /// Milliseconds that only go forward, from an arbitrary start.
    fn monotonic_ms(&self) -> u64;
}

#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic_ms(&self) -> u64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        u64::try_from(now.tv_sec).unwrap_or(0) * 1000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
    }
}
