//! Opening connections: for writing, and for reading without leaving a trace.
//!
//! Nothing but SQLite ever opens the database's files: the kernel drops a process's locks on a file
//! when *any* descriptor of it is closed.

use std::{os::unix::ffi::OsStrExt, path::Path, time::Duration};

use rusqlite::{Connection, FileControl, MAIN_DB, OpenFlags};

use super::{place::Place, schema, trouble::Trouble};
use crate::{base::fs, model::project::Durability};

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
    let flags = flags | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri(path, query), flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// A connection that writes, and makes the file if it is not there.
pub fn writer(place: &Place, disk: Disk) -> Result<Connection, Trouble> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let connection = open(&place.database, "", flags)?;
    let synchronous = match place.durability {
        Durability::Strict => "FULL",
        Durability::Epoch => "NORMAL",
        Durability::Off => "OFF",
    };
    let settings = match disk {
        Disk::Local => format!(
            "PRAGMA synchronous = {synchronous}; PRAGMA wal_autocheckpoint = {LOG_PAGES}; PRAGMA journal_size_limit = {LOG_BYTES};
             PRAGMA cell_size_check = ON; PRAGMA cache_size = -16000;"
        ),
        Disk::Network => format!(
            "PRAGMA synchronous = {synchronous}; PRAGMA cell_size_check = ON; PRAGMA locking_mode = EXCLUSIVE;
             PRAGMA journal_mode = DELETE; PRAGMA locking_mode = NORMAL;"
        ),
    };
    connection.execute_batch(&settings)?;
    // The log stays when the last writer goes, emptied: readers then never have to make it.
    connection.file_control(Some(MAIN_DB), FileControl::PersistWal(&mut 1))?;
    // Reads the first page; that of a damaged header may say that only a later version of SQLite writes.
    connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK")?;
    match connection.is_readonly(MAIN_DB)? {
        false => Ok(connection),
        true if is_writable(place) => Err(Trouble::Damaged("its header is damaged".to_owned())),
        true => Err(Trouble::ReadOnly),
    }
}

fn is_writable(place: &Place) -> bool {
    fs::is_writable(&place.database) && place.database.parent().is_some_and(fs::is_writable)
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
