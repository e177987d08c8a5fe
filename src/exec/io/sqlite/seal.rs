//! Whether anybody else has written to a database since this tool did, told without reading a table.
//!
//! A database that is not in WAL mode counts its changes in its header, by one for each transaction that
//! wrote. The seal is the count that our own last transaction ended with, written inside that transaction.
//! Equal: nobody has written since. In WAL mode there is no such count, so there is no seal, and tables are
//! read in full. A copy takes its seal with it and may have counted as far, so the file itself is a part of it. Source: <https://sqlite.org/fileformat2.html#file_change_counter>

use std::{
    collections::{HashMap, hash_map::Entry},
    fs::File,
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::kept::look;
use crate::base::{digest::Digest, fs};

const TABLE: &str = "create table if not exists main._assets_seal (
    one integer primary key check (one = 1), counter integer not null
);";
/// Which form whoever reads has to know: 1 without WAL, 2 with it.
const VERSION_AT: usize = 19;
const VERSION_OF_JOURNAL: u8 = 1;
const COUNTER_AT: usize = 24;
const HEADER_BYTES: usize = 28;
/// The bits of a seal that count.
const COUNT: i64 = 0xffff_ffff;

/// What the seal will be, if the transaction in which it was taken is committed.
pub struct Seal(Option<i64>);

impl Seal {
    /// At the start of a transaction that writes. If others have written since the last one, every table is doubted.
    pub fn taken(transaction: &Transaction<'_>, database: &Path) -> rusqlite::Result<Seal> {
        let counter = counter(transaction, database)?;
        if !Self::holds(transaction, database)? && super::table::exists(transaction, "_assets_tables")? {
            transaction.execute("update main._assets_tables set doubted = 1", [])?;
        }
        // The count alone, which is what the lower half is.
        Ok(Seal(counter.map(|it| it & !COUNT | (it + 1) & COUNT)))
    }

    /// Before the commit.
    pub fn renew(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        transaction.execute_batch(TABLE)?;
        match self.0 {
            Some(counter) => {
                transaction.execute("insert or replace into main._assets_seal values (1, ?)", [counter])?
            }
            None => transaction.execute("delete from main._assets_seal", [])?,
        };
        Ok(())
    }

    /// Inside a transaction: nobody writes meanwhile.
    pub fn holds(connection: &Connection, database: &Path) -> rusqlite::Result<bool> {
        if !super::table::exists(connection, "_assets_seal")? {
            return Ok(false);
        }
        let sealed: Option<i64> =
            connection.query_row("select counter from main._assets_seal", [], |it| it.get(0)).optional()?;
        Ok(sealed.is_some() && sealed == counter(connection, database)?)
    }
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
