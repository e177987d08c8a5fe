//! Where the files of a store are, and the kernel lock that says who may replace them.

use std::{
    fs::File,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use crate::{base::fs, model::project::Durability, plan::store::StoreError};

/// Files of one store.
#[derive(Clone, Debug)]
pub struct Place {
    pub database: PathBuf,
    pub journal: PathBuf,
    pub lock: PathBuf,
    pub durability: Durability,
}

/// A lock on the files; freed by the kernel when this goes, however that comes about.
pub struct Held(#[expect(dead_code, reason = "the open file is the lock")] File);

/// How often a lock is tried for, 5 ms apart: five seconds.
const TRIES: u32 = 1000;

impl Place {
    /// The usual names inside a state folder.
    pub fn within(folder: &Path) -> Self {
        Place {
            database: folder.join("state.db"),
            journal: folder.join("journal"),
            lock: folder.join("locks").join("state"),
            durability: Durability::default(),
        }
    }

    /// A file beside the database: `-wal`, `-shm`, `.damaged-1`.
    pub fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.database.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    /// Held while the database is open for writing.
    pub fn hold_shared(&self) -> Result<Held, StoreError> {
        self.hold(FlockOperation::NonBlockingLockShared)
    }

    /// Held while the database is made, migrated or replaced: nobody else has it open for writing.
    pub fn hold_alone(&self) -> Result<Held, StoreError> {
        self.hold(FlockOperation::NonBlockingLockExclusive)
    }

    /// The same, for whoever has something to do without; `None` if somebody else is there.
    pub fn hold_alone_now(&self) -> Option<Held> {
        let file = fs::open(&self.lock).ok()?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some(Held(file))
    }

    fn hold(&self, how: FlockOperation) -> Result<Held, StoreError> {
        let file = fs::open_or_create(&self.lock)?;
        for _ in 0..TRIES {
            match flock(&file, how) {
                Ok(()) => return Ok(Held(file)),
                Err(Errno::WOULDBLOCK | Errno::INTR) => thread::sleep(Duration::from_millis(5)),
                Err(error) => {
                    return Err(StoreError::Unusable {
                        path: self.lock.clone(),
                        cause: format!("cannot lock: {error}"),
                    });
                }
            }
        }
        Err(StoreError::Busy { path: self.database.clone() })
    }
}
