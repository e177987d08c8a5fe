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

/// Nanoseconds since 1970 by the clock that the kernel stamps files of local file systems with: as
/// coarse as its tick. Not what time it is for people; that is [`Clock`].
pub fn file_clock_ns() -> i64 {
    #[cfg(target_os = "linux")]
    let id = rustix::time::ClockId::RealtimeCoarse;
    #[cfg(not(target_os = "linux"))]
    let id = rustix::time::ClockId::Realtime;
    let now = rustix::time::clock_gettime(id);
    now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec)
}

/// Milliseconds since the system was started, also while it slept.
pub fn uptime_ms() -> u64 {
    #[cfg(target_os = "linux")]
    let id = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let id = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(id);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}
