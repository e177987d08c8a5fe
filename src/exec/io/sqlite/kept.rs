//! Connections to one database that are kept from one question to the next: to open one is to read how every table
//! in it is defined.
//!
//! SQLite tells by a count whether others have written. A copy that somebody puts over the database may have the
//! same count, so a connection is kept only while the file is the one that it last saw, to its last change.

use std::{
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::BUSY_MAX;
use crate::{base::fs, exec::io::IoError};

/// How long a question waits for what is being written: most of it is done by then, and a connection of its own would have to
/// read anew how every table is defined.
const PATIENCE: Duration = Duration::from_millis(50);

pub struct Connections {
    database: PathBuf,
    shown: String,
    /// One writes, one after the other, so that nobody waits by asking again and again.
    writer: Slot,
    /// For questions while something large is written.
    reader: Mutex<Option<Open>>,
}

/// A connection for one at a time.
#[derive(Default)]
struct Slot {
    state: Mutex<State>,
    free: Condvar,
}

#[derive(Default)]
struct State {
    taken: bool,
    kept: Option<Open>,
}

/// Until it is dropped, the slot is nobody else's.
struct Turn<'a> {
    slot: &'a Slot,
    kept: Option<Open>,
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> Turn<'_> {
        let state = self.free.wait_while(self.state(), |it| it.taken).unwrap_or_else(PoisonError::into_inner);
        self.begin(state)
    }

    /// `None` if it was not free for so long.
    fn turn_within(&self, patience: Duration) -> Option<Turn<'_>> {
        let waited = self.free.wait_timeout_while(self.state(), patience, |it| it.taken);
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        (!state.taken).then(|| self.begin(state))
    }

    fn begin(&self, mut state: MutexGuard<'_, State>) -> Turn<'_> {
        state.taken = true;
        Turn { slot: self, kept: state.kept.take() }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.slot.state();
        (state.taken, state.kept) = (false, self.kept.take());
        drop(state);
        self.slot.free.notify_one();
    }
}

struct Open {
    connection: Connection,
    seen: Stamp,
}

/// What changes whenever somebody writes to a file, or puts another in its place.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    size: u64,
    changed: (i64, i64),
}

impl Connections {
    pub fn new(database: PathBuf, shown: String) -> Self {
        Connections { database, shown, writer: Slot::default(), reader: Mutex::default() }
    }

    /// What is answered inside of one transaction; `None` if there is no database.
    ///
    /// # Errors
    /// Those of the question, a file that is no database.
    pub fn ask<T>(&self, question: impl FnOnce(&Connection) -> Result<T, IoError>) -> Result<Option<T>, IoError> {
        match self.writer.turn_within(PATIENCE) {
            Some(mut turn) => self.answer(&mut turn.kept, question),
            None => self.answer(&mut self.reader.lock().unwrap_or_else(PoisonError::into_inner), question),
        }
    }

    fn answer<T>(
        &self,
        kept: &mut Option<Open>,
        question: impl FnOnce(&Connection) -> Result<T, IoError>,
    ) -> Result<Option<T>, IoError> {
        let Some(seen) = self.stamp()? else { return Ok(None) };
        let mut open = self.take(kept, Some(seen))?;
        let transaction = open.connection.transaction().map_err(|it| self.error(&it))?;
        // What is known of the tables is looked at again here, if others have changed one.
        look(&transaction).map_err(|it| self.error(&it))?;
        let answer = question(&transaction)?;
        transaction.finish().map_err(|it| self.error(&it))?;
        *kept = Some(open);
        Ok(Some(answer))
    }

    /// Does what writes, and makes the database if need be. The act says whether its connection is as it was before.
    ///
    /// # Errors
    /// Those of the act, a file that is no database.
    pub fn write(&self, act: impl FnOnce(&mut Connection) -> Result<bool, IoError>) -> Result<(), IoError> {
        let mut turn = self.writer.turn();
        let seen = self.stamp()?;
        if let (None, Some(folder)) = (&seen, self.database.parent()) {
            fs::create_folder(folder)?;
        }
        let mut open = self.take(&mut turn.kept, seen)?;
        if act(&mut open.connection)? {
            turn.kept = self.stamp()?.map(|seen| Open { seen, ..open });
        }
        Ok(())
    }

    /// Whoever fails does not put it back.
    fn take(&self, kept: &mut Option<Open>, seen: Option<Stamp>) -> Result<Open, IoError> {
        if let Some(open) = kept.take().filter(|it| Some(it.seen) == seen) {
            return Ok(open);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.database, flags).map_err(|it| self.error(&it))?;
        connection.busy_timeout(BUSY_MAX).map_err(|it| self.error(&it))?;
        // As SQLite is by itself: else a table that others refer to could not be replaced, or would take their rows along.
        connection.execute_batch("pragma foreign_keys = off").map_err(|it| self.error(&it))?;
        // Of a database that is not there yet no stamp is the same.
        let seen = seen.unwrap_or(Stamp { file: (0, 0), size: 0, changed: (0, 0) });
        Ok(Open { connection, seen })
    }

    fn stamp(&self) -> Result<Option<Stamp>, IoError> {
        Ok(fs::look_through(&self.database)?.map(|it| Stamp {
            file: (it.dev(), it.ino()),
            size: it.len(),
            changed: (it.ctime(), it.ctime_nsec()),
        }))
    }

    pub fn error(&self, error: &rusqlite::Error) -> IoError {
        IoError::Other { path: self.shown.clone(), cause: error.to_string() }
    }
}

/// Takes the lock of a transaction that reads, and notices tables that others have made or changed.
pub fn look(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .prepare_cached("select count(*) from (select 1 from main.sqlite_master limit 1)")?
        .query_row([], |_| Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::io::sqlite::table::exists;

    fn database(folder: &tempfile::TempDir, name: &str, statements: &str) -> PathBuf {
        let path = folder.path().join(name);
        Connection::open(&path).unwrap().execute_batch(statements).unwrap();
        path
    }

    fn knows(connections: &Connections, table: &str) -> bool {
        connections.ask(|it| exists(it, table).map_err(|it| connections.error(&it))).unwrap().unwrap()
    }

    #[test]
    fn what_others_change_is_seen_by_the_next_question() {
        let folder = tempfile::tempdir().unwrap();
        let path = database(&folder, "it.sqlite", "create table one (a)");
        let connections = Connections::new(path.clone(), "it.sqlite".to_owned());
        assert!(knows(&connections, "one") && !knows(&connections, "two"));
        Connection::open(&path).unwrap().execute_batch("create table two (a); drop table one").unwrap();
        assert!(!knows(&connections, "one") && knows(&connections, "two"));
    }

    /// Two databases with the same count of changes: SQLite itself would go on with what it knows of the first.
    #[test]
    fn another_database_put_over_it_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = database(&folder, "it.sqlite", "create table one (a)");
        let other = database(&folder, "other.sqlite", "create table two (a)");
        let connections = Connections::new(path.clone(), "it.sqlite".to_owned());
        assert!(knows(&connections, "one"));
        fs::write(&path, &fs::read(&other).unwrap()).unwrap();
        assert!(knows(&connections, "two") && !knows(&connections, "one"));
        fs::remove(&path).unwrap();
        assert!(connections.ask(|_| Ok(())).unwrap().is_none());
        database(&folder, "it.sqlite", "create table three (a)");
        assert!(knows(&connections, "three") && !knows(&connections, "two"));
    }
}
