//! Whether anybody else has written to a database since this tool did, told without reading a table.
//!
//! A database that is not in WAL mode counts its changes in its header, by one for each transaction that
//! wrote. The seal is the count that our own last transaction ended with, written inside that transaction.
//! Equal: nobody has written since. In WAL mode there is no such count, so there is no seal, and tables are
//! read in full. A copy takes its seal with it and may have counted as far, so the file itself is a part of it.
//! Whoever finds a seal broken gives the next one another number, so that what others wrote between two looks shows
//! also where all of it was taken back. Source: <https://sqlite.org/fileformat2.html#file_change_counter>

use std::{
    collections::{HashMap, hash_map::Entry},
    fs::File,
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction};

use super::kept::look;
use crate::base::{digest::Digest, fs};

const TABLE: &str = "create table if not exists main._assets_seal (
    one integer primary key check (one = 1), counter integer not null, breaks integer not null
);";
/// Which form whoever reads has to know: 1 without WAL, 2 with it.
const VERSION_AT: usize = 19;
const VERSION_OF_JOURNAL: u8 = 1;
const COUNTER_AT: usize = 24;
const HEADER_BYTES: usize = 28;
/// The bits of a seal that count.
const COUNT: i64 = 0xffff_ffff;

/// What the seal will be, if the transaction in which it was taken is committed.
pub struct Seal {
    counter: Option<i64>,
    breaks: i64,
}

impl Seal {
    /// At the start of a transaction that writes. If others have written since the last one, every table is doubted.
    pub fn taken(transaction: &Transaction<'_>, database: &Path) -> rusqlite::Result<Seal> {
        let (counter, last) = (counter(transaction, database)?, last(transaction)?);
        let holds = last.is_some_and(|it| Some(it.0) == counter);
        if !holds && super::table::exists(transaction, "_assets_tables")? {
            transaction.execute("update main._assets_tables set doubted = 1", [])?;
        }
        let breaks = match last {
            Some((_, breaks)) => breaks.wrapping_add(i64::from(!holds)),
            // It may have been sealed before.
            None => transaction.query_row("select random()", [], |it| it.get(0))?,
        };
        // The count alone, which is what the lower half is.
        Ok(Seal { counter: counter.map(|it| it & !COUNT | (it + 1) & COUNT), breaks })
    }

    /// Before the commit.
    pub fn renew(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        transaction.execute_batch(TABLE)?;
        let Some(counter) = self.counter else {
            return transaction.execute("delete from main._assets_seal", []).map(drop);
        };
        let write = || {
            let row = "insert or replace into main._assets_seal (one, counter, breaks) values (1, ?, ?)";
            transaction.prepare_cached(row)?.execute([counter, self.breaks])
        };
        write().or_else(|error| match is_of_shape(&error) {
            // One of earlier times, which had no breaks.
            true => transaction.execute_batch(&format!("drop table main._assets_seal; {TABLE}")).and_then(|()| write()),
            false => Err(error),
        })?;
        Ok(())
    }

    /// Which seal holds: inside of a transaction, in which nobody writes. `None`: others have written since.
    pub fn holding(connection: &Connection, database: &Path) -> rusqlite::Result<Option<i64>> {
        let Some((counted, breaks)) = last(connection)? else { return Ok(None) };
        Ok((Some(counted) == counter(connection, database)?).then_some(breaks))
    }

    /// Whether there can be one: not in WAL mode. Inside of a transaction.
    pub fn is_possible(connection: &Connection, database: &Path) -> rusqlite::Result<bool> {
        Ok(counter(connection, database)?.is_some())
    }
}

/// The last seal: the count, and how often seals were found broken before it.
fn last(connection: &Connection) -> rusqlite::Result<Option<(i64, i64)>> {
    match connection.prepare_cached("select counter, breaks from main._assets_seal") {
        Ok(mut row) => row.query_row([], |it| Ok((it.get(0)?, it.get(1)?))).optional(),
        // There is none yet.
        Err(error) if is_of_shape(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a table or column is not there.
fn is_of_shape(error: &rusqlite::Error) -> bool {
    let code = match error {
        rusqlite::Error::SqlInputError { error, .. } => Some(error.code),
        other => other.sqlite_error_code(),
    };
    code == Some(ErrorCode::Unknown)
}

/// Which file it is, and the count of changes as it stands on disk; `None` in WAL mode, or for a database that is not there yet.
fn counter(connection: &Connection, database: &Path) -> rusqlite::Result<Option<i64>> {
    // The transaction holds its lock before the header is looked at.
    look(connection)?;
    Ok(header(database))
}

/// The files stay open as long as this process lives: closing one would take away the locks that SQLite
/// holds on it in the same process (POSIX locks belong to the process and the file).
static OPEN: Mutex<Option<HashMap<(u64, u64), File>>> = Mutex::new(None);

fn header(database: &Path) -> Option<i64> {
    let found = fs::look_through(database).ok()??;
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let files = open.get_or_insert_default();
    let file = match files.entry((found.dev(), found.ino())) {
        Entry::Occupied(it) => it.into_mut(),
        Entry::Vacant(it) => it.insert(fs::open(database).ok()?),
    };
    let which = Digest::of(format!("{}.{}", found.dev(), found.ino()).as_bytes());
    let which = i64::from(u32::from_be_bytes(which.0[..4].try_into().expect("four bytes"))) << 32;
    let mut bytes = [0; HEADER_BYTES];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) if bytes[VERSION_AT] != VERSION_OF_JOURNAL => None,
        Ok(()) => bytes[COUNTER_AT..].try_into().ok().map(|it| which | i64::from(u32::from_be_bytes(it))),
        // Nothing was written to it yet.
        Err(_) if found.len() == 0 => Some(which),
        Err(_) => None,
    }
}
