//! Exit codes: named, documented, public. The same with and without `--json` and `-q`.

/// How the program ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// Done, or everything is fresh.
    Done = 0,
    /// An asset failed.
    Failed = 1,
    /// Usage or manifest.
    Usage = 2,
    /// `status` found something that is not fresh, or a backfill was paused or called off.
    NotFresh = 3,
    /// A blocking check failed.
    CheckFailed = 4,
    /// State cannot be reached or is locked.
    State = 5,
    /// Ended by Ctrl-C.
    Interrupted = 130,
    /// Ended by SIGTERM.
    Terminated = 143,
}

impl Exit {
    pub const ALL: [(Exit, &'static str); 8] = [
        (Exit::Done, "done, or everything is fresh"),
        (Exit::Failed, "an asset failed"),
        (Exit::Usage, "wrong usage, or a mistake in the manifest"),
        (Exit::NotFresh, "`status` found something that is not fresh, or a backfill was paused or cancelled"),
        (Exit::CheckFailed, "a blocking check failed"),
        (Exit::State, "the state cannot be reached, or is locked"),
        (Exit::Interrupted, "interrupted (Ctrl-C)"),
        (Exit::Terminated, "terminated (SIGTERM, SIGHUP)"),
    ];

    pub fn code(self) -> u8 {
        self as u8
    }
}
