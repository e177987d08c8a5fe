//! Opening connections: for writing, and for reading without leaving a trace.

use std::{os::unix::ffi::OsStrExt, path::Path, time::Duration};

use rusqlite::{Connection, FileControl, MAIN_DB, OpenFlags};

use super::{place::Place, schema, trouble::Trouble};
use crate::base::fs;

/// What kind of file system the state is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disk {
    Local,
    /// Memory cannot be shared between machines: no write-ahead log.
    Network,
}

/// How long a statement waits for another process.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the log grows before it is moved to the database, which syncs.
const LOG_BYTES: u32 = 64 * 1024 * 1024;
const LOG_PAGES: u32 = LOG_BYTES / schema::PAGE_SIZE;

fn uri(path: &Path, query: &str) -> String {
    use std::fmt::Write;
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            write!(uri, "%{byte:02X}").expect("a String takes everything");
        }
    }
    uri + query
}

fn open(path: &Path, query: &str, flags: OpenFlags) -> Result<Connection, Trouble> {
    check_header(path)?;
    let flags = flags | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri(path, query), flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// What SQLite would take for a database that it may only read, or for one of the future.
fn check_header(path: &Path) -> Result<(), Trouble> {
    let Some(header) = fs::read_start(path, 24)? else { return Ok(()) };
    let [.., write, read, reserved, 64, 32, 32] = header.as_slice() else {
        let empty = header.is_empty();
        return if empty { Ok(()) } else { Err(Trouble::Damaged("its header is damaged".to_owned())) };
    };
    let known = [1, 2].contains(write) && read == write && *reserved == 0;
    if known { Ok(()) } else { Err(Trouble::Damaged("its header is damaged".to_owned())) }
}

/// A connection that writes, and makes the file if it is not there.
pub fn writer(place: &Place, disk: Disk) -> Result<Connection, Trouble> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let connection = open(&place.database, "", flags)?;
    // Opened for reading only where it may not be written: say so before anything is tried.
    if connection.is_readonly(MAIN_DB)? {
        return Err(Trouble::ReadOnly);
    }
    let settings = match disk {
        Disk::Local => format!(
            "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = {LOG_PAGES}; PRAGMA journal_size_limit = {LOG_BYTES};
             PRAGMA cell_size_check = ON; PRAGMA cache_size = -16000;"
        ),
        Disk::Network => "PRAGMA synchronous = NORMAL; PRAGMA cell_size_check = ON; PRAGMA locking_mode = EXCLUSIVE;
             PRAGMA journal_mode = DELETE; PRAGMA locking_mode = NORMAL;"
            .to_owned(),
    };
    connection.execute_batch(&settings)?;
    // The log stays when the last writer goes, emptied: readers then never have to make it.
    connection.file_control(Some(MAIN_DB), FileControl::PersistWal(&mut 1))?;
    Ok(connection)
}

/// A connection that only reads.
pub struct ReadConnection {
    pub connection: Connection,
    /// Reads the file as if nobody could write to it; true only while there is no log.
    alone: bool,
}

impl ReadConnection {
    /// `None` if there is no database. Makes and changes no file.
    pub fn open(place: &Place, disk: Disk) -> Result<Option<Self>, Trouble> {
        let Some(found) = fs::look_through(&place.database)? else { return Ok(None) };
        if found.len() == 0 {
            return Ok(None);
        }
        // SQLite would make the log and its index. Without them no writer can be at work; whoever
        // begins to write makes the log first, and `still_true` sees it.
        let alone = disk == Disk::Local && !has_log(place)?;
        let query = if alone { "?mode=ro&immutable=1" } else { "?mode=ro" };
        let connection = open(&place.database, query, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.execute_batch("PRAGMA cell_size_check = ON;")?;
        Ok(Some(ReadConnection { connection, alone }))
    }

    /// Asked after a read: whether what was read can be relied on.
    pub fn still_true(&self, place: &Place) -> Result<bool, Trouble> {
        Ok(!self.alone || !has_log(place)?)
    }
}

fn has_log(place: &Place) -> Result<bool, Trouble> {
    Ok(fs::look(&place.beside("-wal"))?.is_some() || fs::look(&place.beside("-journal"))?.is_some())
}
