//! The store on disk: a SQLite database, its log, and the journal beside it.
//!
//! Reads never wait for the writer: they use it while it is idle, and else connections of their own. Commits that
//! come at the same time are written in one transaction by whoever gets the writer first. Damage that a query meets
//! is mended behind it, and the query is asked again.

mod compact;
mod connect;
mod examine;
mod migrate;
mod place;
mod read;
mod rebuild;
mod schema;
mod seal;
mod standing;
mod still;
mod summary;
mod trouble;
mod write;

#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use rusqlite::Connection;

pub use self::connect::Disk;
use self::{
    connect::ReadConnection,
    place::{Held, Place},
    standing::{Damage, Ready, Standing},
    summary::Summary,
    trouble::Trouble,
    write::Writing,
};
use super::{
    Change, StateStore, StoreError,
    journal::{self, Journal, Payload},
    memory::MemoryStore,
};
use crate::{
    base::{digest::Digest, fs},
    model::{
        key::{AssetKey, PartitionKey},
        project::Durability,
    },
    plan::backfill::Backfill,
    plan::hash::Sweep,
    plan::record::{Attempt, AttemptId, Materialization, Observation, RunId, RunRecord, Session},
};

/// A store, and what people should know of how it was opened.
pub struct Opened {
    pub store: SqliteStore,
    pub notes: Vec<String>,
}

/// Keeps records in `state.db`. See the module.
pub struct SqliteStore {
    place: Place,
    disk: Disk,
    writes: bool,
    backing: RwLock<Backing>,
    waiting: Mutex<Vec<Arc<Ticket>>>,
    notes: Mutex<Vec<String>>,
}

enum Backing {
    Database(Database),
    /// What a reader is given if there is no database, or only a damaged one.
    Memory(MemoryStore),
    /// Mending failed; it is tried again by whoever asks next.
    Closed(Damage),
}

impl Backing {
    fn inode(&self) -> Option<u64> {
        match self {
            Backing::Database(database) => database.inode,
            Backing::Memory(_) => None,
            Backing::Closed(damage) => damage.inode,
        }
    }
}

struct Database {
    /// Fields go in this order: the writer last, because it tidies up the log.
    readers: Mutex<Vec<ReadConnection>>,
    writer: Option<Mutex<Writer>>,
    inode: Option<u64>,
    /// All rows that decisions are made from were seen to be there.
    verified: AtomicBool,
    _held: Option<Held>,
}

struct Writer {
    connection: Connection,
    journal: Journal,
    /// The first append to the journal that failed.
    failed: Option<StoreError>,
}

/// One call of `commit` on its way.
struct Ticket {
    changes: Vec<Change>,
    /// What goes to the journal, if anything does.
    payload: Option<Payload>,
    result: Mutex<Option<Result<(), StoreError>>>,
}

impl Ticket {
    fn new(changes: &[Change]) -> Arc<Self> {
        let kept: Vec<_> = changes.iter().filter(|it| journal::holds(it)).collect();
        let payload = (!kept.is_empty()).then(|| Payload::new(false, &kept));
        Arc::new(Ticket { changes: changes.to_vec(), payload, result: Mutex::default() })
    }
}

/// A thread that panicked holding a lock leaves nothing half done: transactions are rolled back.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SqliteStore {
    /// Opens the store inside a state folder for writing. It is made, migrated or mended as needed.
    pub fn open(folder: &Path, disk: Disk, durability: Durability) -> Result<Opened, StoreError> {
        let place = Place { durability, ..Place::within(folder) };
        let (backing, notes) = open_to_write(&place, disk, None).map_err(|it| it.at(&place.database))?;
        Ok(Opened { store: SqliteStore::with(place, disk, true, backing), notes })
    }

    /// Opens for reading. Takes no lock that a writer waits for, and makes, changes and mends nothing:
    /// a missing state is an empty one, a damaged one is answered for by its journal.
    pub fn open_read_only(folder: &Path, disk: Disk) -> Result<Opened, StoreError> {
        let place = Place::within(folder);
        let (backing, notes) = open_to_read(&place, disk, None).map_err(|it| it.at(&place.database))?;
        Ok(Opened { store: SqliteStore::with(place, disk, false, backing), notes })
    }

    /// Looks at everything in a state folder: one sentence for each thing that is not as it should be.
    pub fn examine(folder: &Path, disk: Disk) -> Result<Vec<String>, StoreError> {
        let place = Place::within(folder);
        examine::examine(&place, disk).map_err(|it| it.at(&place.database))
    }

    /// Whether the state in a folder on a local disk is whole and of this generation, told without opening
    /// the database if nobody has written to it since that was last asked.
    pub fn is_at(folder: &Path, generation: u64, sweep: &Sweep) -> bool {
        still::is_at(folder, generation, sweep)
    }

    fn with(place: Place, disk: Disk, writes: bool, backing: Backing) -> Self {
        SqliteStore {
            place,
            disk,
            writes,
            backing: RwLock::new(backing),
            waiting: Mutex::default(),
            notes: Mutex::default(),
        }
    }

    /// Asks the database, or what stands in for it.
    fn ask<T>(
        &self,
        query: impl Fn(&Connection) -> Result<T, Trouble>,
        stand_in: impl Fn(&MemoryStore) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.mending(|backing| match backing {
            Backing::Memory(memory) => Ok(stand_in(memory)?),
            Backing::Database(database) => database.read(&self.place, self.disk, &query),
            Backing::Closed(damage) => Err(Trouble::Damaged(damage.cause.clone())),
        })
    }

    /// Does it; if it meets damage, mends that and does it again.
    fn mending<T>(&self, act: impl Fn(&Backing) -> Result<T, Trouble>) -> Result<T, StoreError> {
        let (tried, inode) = self.act(&act);
        // A reader that may not read on has met a database that is just being made anew.
        let tried = match tried {
            Err(Trouble::ReadOnly) if !self.writes => Err(Trouble::Damaged("it is being replaced".to_owned())),
            Err(Trouble::Unreadable(cause)) if !self.writes => Err(Trouble::Damaged(cause)),
            other => other,
        };
        let tried = match tried {
            Err(Trouble::Damaged(cause)) => {
                self.mend(Damage { cause, inode }).map_err(|it| it.at(&self.place.database))?;
                self.act(&act).0
            }
            other => other,
        };
        tried.map_err(|it| it.at(&self.place.database))
    }

    fn act<T>(&self, act: impl Fn(&Backing) -> Result<T, Trouble>) -> (Result<T, Trouble>, Option<u64>) {
        let backing = self.backing.read().unwrap_or_else(PoisonError::into_inner);
        (act(&backing), backing.inode())
    }

    fn mend(&self, damage: Damage) -> Result<(), Trouble> {
        let mut backing = self.backing.write().unwrap_or_else(PoisonError::into_inner);
        if backing.inode() != damage.inode {
            // Another thread has mended it.
            return Ok(());
        }
        // Closes its connections and lets go of its lock.
        *backing = Backing::Closed(damage.clone());
        let opened = if self.writes {
            open_to_write(&self.place, self.disk, Some(damage))
        } else {
            open_to_read(&self.place, self.disk, Some(damage))
        };
        let (opened, notes) = opened?;
        *backing = opened;
        lock(&self.notes).extend(notes);
        Ok(())
    }

    fn lead(&self, backing: &Backing, own: &Arc<Ticket>) -> Result<(), Trouble> {
        let Backing::Database(Database { writer: Some(writer), .. }) = backing else {
            return match backing {
                Backing::Closed(damage) => Err(Trouble::Damaged(damage.cause.clone())),
                _ => Err(Trouble::ReadOnly),
            };
        };
        let mut writer = lock(writer);
        if let Some(result) = lock(&own.result).take() {
            return result.map_err(Trouble::Store);
        }
        let mut group = std::mem::take(&mut *lock(&self.waiting));
        group.retain(|it| !Arc::ptr_eq(it, own));
        group.push(own.clone());
        let together = writer.commit(&group);
        if let (Err(Trouble::Damaged(_)), _) | (_, 1) = (&together, group.len()) {
            // Damage is met by the others too, each in its own turn.
            group.pop();
            lock(&self.waiting).append(&mut group);
            return together;
        }
        for ticket in &group {
            let result = match &together {
                Ok(()) => Ok(()),
                // One of them spoiled it for all: each for itself.
                Err(_) => writer.commit(std::slice::from_ref(ticket)).map_err(|it| it.at(&self.place.database)),
            };
            *lock(&ticket.result) = Some(result);
        }
        lock(&own.result).take().unwrap_or(Ok(())).map_err(Trouble::Store)
    }
}

fn open_to_write(place: &Place, disk: Disk, damage: Option<Damage>) -> Result<(Backing, Vec<String>), Trouble> {
    let Ready { connection, held, notes } = standing::open(place, disk, damage)?;
    let writer = Writer { connection, journal: Journal::new(place.journal.clone()), failed: None };
    let database = Database {
        readers: Mutex::default(),
        writer: Some(Mutex::new(writer)),
        inode: standing::inode(place)?,
        verified: AtomicBool::new(false),
        _held: Some(held),
    };
    Ok((Backing::Database(database), notes))
}

fn open_to_read(place: &Place, disk: Disk, damage: Option<Damage>) -> Result<(Backing, Vec<String>), Trouble> {
    let found = match damage {
        Some(damage) => Err(Trouble::Damaged(damage.cause)),
        None => standing::look_read_only(place, disk),
    };
    let what = match found {
        Ok(Some((reader, Standing::Ready | Standing::JournalBehind))) => {
            let database = Database {
                readers: Mutex::new(vec![reader]),
                writer: None,
                inode: standing::inode(place)?,
                verified: AtomicBool::new(false),
                _held: None,
            };
            return Ok((Backing::Database(database), Vec::new()));
        }
        Ok(None | Some((_, Standing::Absent))) => "is missing".to_owned(),
        Ok(Some((_, Standing::Older(version)))) => format!("is of version {version}"),
        Ok(Some((_, Standing::JournalAhead | Standing::Outdated))) => "is older than its journal".to_owned(),
        Err(Trouble::Damaged(cause)) => format!("is damaged ({cause})"),
        Err(Trouble::CannotOpen | Trouble::ReadOnly) => "cannot be read in this folder".to_owned(),
        Err(Trouble::Unreadable(cause)) => format!("cannot be read ({cause})"),
        Err(Trouble::Full) => "cannot be read as the disk is full".to_owned(),
        Err(other) => return Err(other),
    };
    let (memory, damage) = rebuild::in_memory(place)?;
    let missing = what == "is missing" && memory.is_empty();
    let mut notes = Vec::new();
    if !missing {
        let mut note = format!("state.db {what}: read from the journal instead; the next run puts it right");
        if let Some(damage) = damage {
            note += &format!("; left out of it: {damage} of the journal");
        }
        notes.push(note);
    }
    Ok((Backing::Memory(memory), notes))
}

impl Database {
    fn read<T>(
        &self,
        place: &Place,
        disk: Disk,
        query: impl Fn(&Connection) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        // The writer has at hand what it wrote, of which a reader has to read all again after each commit. Nobody
        // waits for it.
        if let Some(writer) = self.writer.as_ref().and_then(|it| it.try_lock().ok()) {
            return query(&writer.connection);
        }
        loop {
            let idle = lock(&self.readers).pop();
            let reader = match idle {
                Some(reader) => reader,
                None => ReadConnection::open(place, disk)?
                    .ok_or_else(|| Trouble::Damaged("it is not there any more".to_owned()))?,
            };
            let answer = query(&reader.connection);
            if !reader.still_true(place)? {
                continue;
            }
            if answer.is_ok() {
                lock(&self.readers).push(reader);
            }
            return answer;
        }
    }
}

impl Writer {
    /// All tickets in one transaction, then their frames in one write.
    fn commit(&mut self, tickets: &[Arc<Ticket>]) -> Result<(), Trouble> {
        let transaction = standing::begin(&mut self.connection)?;
        let mut writing = Writing::begin(&transaction)?;
        let journal = writing.summary.journal;
        let mut frames = Vec::new();
        for ticket in tickets {
            ticket.changes.iter().try_for_each(|it| writing.apply(it))?;
            if let Some(payload) = &ticket.payload {
                writing.summary.sequence += 1;
                payload.frame(journal, writing.summary.sequence, &mut frames);
            }
        }
        writing.summary.journal_bytes += frames.len() as u64;
        writing.finish()?;
        transaction.commit()?;
        // It is committed. A frame that is missing is noticed by its length when the state is next
        // opened, and the journal is then written anew.
        if !frames.is_empty()
            && let Err(error) = self.journal.append(journal, &frames)
        {
            self.failed.get_or_insert(error);
        }
        Ok(())
    }

    fn sync(&mut self, place: &Place) -> Result<(), Trouble> {
        if Summary::load(&self.connection)?.wants_compaction() {
            compact::rewrite_now(&self.connection, place)?;
        }
        let (pages, moved): (i64, i64) =
            self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get(1)?, row.get(2)?)))?;
        if moved < pages {
            // A reader keeps the log from being moved, and then SQLite may not even sync it.
            fs::sync(&place.beside("-wal"))?;
        }
        journal::sync(&place.journal, Summary::load(&self.connection)?.journal)?;
        if let Some(folder) = place.database.parent() {
            fs::sync(folder)?;
        }
        Ok(())
    }
}

impl StateStore for SqliteStore {
    fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
        if !self.writes {
            return Err(StoreError::ReadOnly { path: self.place.database.clone() });
        }
        let ticket = Ticket::new(changes);
        lock(&self.waiting).push(ticket.clone());
        self.mending(|backing| self.lead(backing, &ticket))
    }

    fn generation(&self) -> Result<u64, StoreError> {
        self.ask(|it| Ok(Summary::load(it)?.generation), MemoryStore::generation)
    }

    fn latest_all(&self) -> Result<Vec<Materialization>, StoreError> {
        let found = self.ask(read::latest_all, MemoryStore::latest_all)?;
        self.set_verified();
        Ok(found)
    }

    fn latest(&self, key: &AssetKey, partition: &PartitionKey) -> Result<Option<Materialization>, StoreError> {
        let found = self.ask(|it| read::latest(it, key, partition), |it| it.latest(key, partition))?;
        if found.is_some() || self.is_verified() {
            return Ok(found);
        }
        self.verify()?;
        self.ask(|it| read::latest(it, key, partition), |it| it.latest(key, partition))
    }

    fn history(&self, key: &AssetKey, partition: &PartitionKey) -> Result<Vec<Materialization>, StoreError> {
        self.ask(|it| read::history(it, key, partition), |it| it.history(key, partition))
    }

    fn last_attempts(&self) -> Result<Vec<Attempt>, StoreError> {
        self.ask(read::last_attempts, MemoryStore::last_attempts)
    }

    fn last_attempt(&self, op: &str, partition: &PartitionKey) -> Result<Option<Attempt>, StoreError> {
        self.ask(|it| read::last_attempt(it, op, partition), |it| it.last_attempt(op, partition))
    }

    fn unfinished_attempts(&self) -> Result<Vec<Attempt>, StoreError> {
        self.ask(read::unfinished_attempts, MemoryStore::unfinished_attempts)
    }

    fn attempt(&self, id: &AttemptId) -> Result<Option<Attempt>, StoreError> {
        self.ask(|it| read::attempt(it, id), |it| it.attempt(id))
    }

    fn attempts_of(&self, run: &RunId) -> Result<Vec<Attempt>, StoreError> {
        self.ask(|it| read::attempts_of(it, run), |it| it.attempts_of(run))
    }

    fn observations(&self) -> Result<Vec<Observation>, StoreError> {
        self.ask(read::observations, MemoryStore::observations)
    }

    fn observation(&self, key: &AssetKey, version: &Digest) -> Result<Option<Observation>, StoreError> {
        self.ask(|it| read::observation(it, key, version), |it| it.observation(key, version))
    }

    fn runs(&self, limit: usize) -> Result<Vec<RunRecord>, StoreError> {
        self.ask(|it| read::runs(it, limit), |it| it.runs(limit))
    }

    fn run(&self, id: &RunId) -> Result<Option<RunRecord>, StoreError> {
        self.ask(|it| read::run(it, id), |it| it.run(id))
    }

    fn text(&self, digest: &Digest) -> Result<Option<String>, StoreError> {
        self.ask(|it| read::text(it, digest), |it| it.text(digest))
    }

    fn sessions(&self) -> Result<Vec<Session>, StoreError> {
        self.ask(read::sessions, MemoryStore::sessions)
    }

    fn backfills(&self) -> Result<Vec<Backfill>, StoreError> {
        self.ask(read::backfills, MemoryStore::backfills)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.mending(|backing| match backing {
            Backing::Database(Database { writer: Some(writer), .. }) => lock(writer).sync(&self.place),
            Backing::Closed(damage) => Err(Trouble::Damaged(damage.cause.clone())),
            _ => Ok(()),
        })
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = std::mem::take(&mut *lock(&self.notes));
        if let Backing::Database(Database { writer: Some(writer), .. }) =
            &*self.backing.read().unwrap_or_else(PoisonError::into_inner)
            && let Some(error) = lock(writer).failed.take()
        {
            notes.push(format!("the journal is not complete until the next run: {error}"));
        }
        notes
    }
}

impl SqliteStore {
    fn is_verified(&self) -> bool {
        match &*self.backing.read().unwrap_or_else(PoisonError::into_inner) {
            Backing::Database(database) => database.verified.load(Ordering::Relaxed),
            Backing::Memory(_) => true,
            Backing::Closed(_) => false,
        }
    }

    /// A row that is not found may be one that damage hides: all rows are compared with their sum,
    /// once for an open store.
    fn verify(&self) -> Result<(), StoreError> {
        self.mending(|backing| {
            let Backing::Database(database) = backing else { return Ok(()) };
            database.read(&self.place, self.disk, read::verify)
        })?;
        self.set_verified();
        Ok(())
    }

    fn set_verified(&self) {
        if let Backing::Database(database) = &*self.backing.read().unwrap_or_else(PoisonError::into_inner) {
            database.verified.store(true, Ordering::Relaxed);
        }
    }
}
