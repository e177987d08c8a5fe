//! What SQLite complains of, sorted by what can be done about it.

use std::path::Path;

use rusqlite::{ErrorCode, ffi::SQLITE_IOERR_SHMSIZE};

use crate::{
    base::fs::FsError,
    plan::store::{StoreError, encode::Malformed},
};

/// What went wrong with the database, before it is known whether it can be mended.
#[derive(Debug)]
pub enum Trouble {
    /// What is in the file is not what was written.
    Damaged(String),
    Busy,
    ReadOnly,
    Full,
    /// It cannot be opened as things stand.
    CannotOpen,
    /// The system could not do what was asked of it. The number in it is SQLite's for the very call.
    Unreadable(String),
    Other(String),
    Store(StoreError),
}

impl Trouble {
    pub fn at(self, path: &Path) -> StoreError {
        let path = path.to_owned();
        match self {
            Trouble::Damaged(cause) => StoreError::Damaged { path, cause },
            Trouble::Busy => StoreError::Busy { path },
            Trouble::ReadOnly => StoreError::ReadOnly { path },
            Trouble::Full => StoreError::Full { path },
            Trouble::CannotOpen => StoreError::Unusable { path, cause: "it cannot be opened".to_owned() },
            Trouble::Unreadable(cause) | Trouble::Other(cause) => StoreError::Unusable { path, cause },
            Trouble::Store(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        let (E::SqliteFailure(failure, _) | E::SqlInputError { error: failure, .. }) = &error else {
            // A value of the wrong type, a row too few: nothing that our own statements would store.
            return Trouble::Damaged(error.to_string());
        };
        match failure.code {
            // The index of the log is shared memory in a file, which could not be made long enough.
            ErrorCode::SystemIoFailure if failure.extended_code == SQLITE_IOERR_SHMSIZE => Trouble::Full,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Trouble::Busy,
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Trouble::ReadOnly,
            ErrorCode::DiskFull => Trouble::Full,
            ErrorCode::CannotOpen => Trouble::CannotOpen,
            ErrorCode::SystemIoFailure => Trouble::Unreadable(format!("{error} (SQLite {})", failure.extended_code)),
            ErrorCode::OutOfMemory | ErrorCode::FileLockingProtocolFailed => Trouble::Other(error.to_string()),
            // The statements are fixed: if one is refused, the schema is not what was written.
            _ => Trouble::Damaged(error.to_string()),
        }
    }
}

impl From<rusqlite::types::FromSqlError> for Trouble {
    fn from(error: rusqlite::types::FromSqlError) -> Self {
        Trouble::Damaged(error.to_string())
    }
}

impl From<Malformed> for Trouble {
    fn from(error: Malformed) -> Self {
        Trouble::Damaged(error.to_string())
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Trouble::Store(error)
    }
}

impl From<FsError> for Trouble {
    fn from(error: FsError) -> Self {
        Trouble::Store(error.into())
    }
}
