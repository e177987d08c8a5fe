//! How things stand with the files of a store when it is opened, and putting them right.
//!
//! The usual case costs one small query and one `stat`.

use std::{os::unix::fs::MetadataExt, thread, time::Duration};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{
    compact,
    connect::{self, Disk, ReadConnection},
    migrate,
    place::{Held, Place},
    rebuild, schema,
    summary::Summary,
    trouble::Trouble,
};
use crate::{
    base::fs,
    plan::store::{StoreError, journal},
};

/// What a database was found to be.
#[derive(PartialEq, Eq, Debug)]
pub enum Standing {
    Ready,
    /// No database, or one that nothing was ever written to.
    Absent,
    Older(u32),
    /// The journal does not have all that the database has.
    JournalBehind,
    /// The journal has what the database has lost.
    JournalAhead,
    /// The journal was written anew since; this is some copy from before.
    Outdated,
}

/// Damage that a query found, and in which file.
#[derive(Clone)]
pub struct Damage {
    pub cause: String,
    pub inode: Option<u64>,
}

/// An open writer, its lock, and what people should know.
pub struct Ready {
    pub connection: Connection,
    pub held: Held,
    pub notes: Vec<String>,
}

/// # Errors
/// `Damaged` also if the two places that hold the version disagree: a changed bit is not a newer version.
fn version(connection: &Connection, place: &Place) -> Result<u32, Trouble> {
    let said = || connection.query_row::<u32, _, _>("PRAGMA user_version", [], |row| row.get(0));
    let mut version = said()?;
    if version == 0 {
        let tables: u32 = connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
        if tables == 0 {
            return Ok(0);
        }
        // Made between the two questions: whoever made it said its version in the same transaction.
        version = said()?;
    }
    if version == 0 {
        return Err(Trouble::Damaged("it does not say its version".to_owned()));
    }
    if Summary::version(connection)? != u64::from(version) {
        return Err(Trouble::Damaged("it says two versions".to_owned()));
    }
    if version > schema::VERSION {
        let path = place.database.clone();
        return Err(StoreError::Newer { path, found: version, known: schema::VERSION }.into());
    }
    Ok(version)
}

/// Looks, and changes nothing.
pub fn look(connection: &Connection, place: &Place) -> Result<Standing, Trouble> {
    match version(connection, place)? {
        0 => return Ok(Standing::Absent),
        schema::VERSION => {}
        older => return Ok(Standing::Older(older)),
    }
    let summary = Summary::load(connection)?;
    let Some(len) = journal::len(&place.journal, summary.journal)? else {
        let newer = journal::files(&place.journal)?.iter().any(|it| it.generation > summary.journal.generation);
        return Ok(match summary.journal_bytes {
            _ if newer => Standing::Outdated,
            0 => Standing::Ready,
            _ => Standing::JournalBehind,
        });
    };
    if len == summary.journal_bytes {
        return Ok(Standing::Ready);
    }
    // A commit comes before its frame. So what is longer than a summary that is read *after* the
    // length holds commits that the database does not know any more.
    let later = Summary::load(connection)?;
    Ok(if later.journal == summary.journal && len > later.journal_bytes {
        Standing::JournalAhead
    } else if later == summary {
        Standing::JournalBehind
    } else {
        Standing::Ready
    })
}

/// How often a reader looks again, 5 ms apart, at a database that is just being made: one second.
const LOOKS: u32 = 200;

/// Looks at the database as a reader does. `None` if there is nothing to read.
pub fn look_read_only(place: &Place, disk: Disk) -> Result<Option<(ReadConnection, Standing)>, Trouble> {
    let mut again = LOOKS;
    loop {
        match look_once(place, disk) {
            // Until it has its log, another process must end what is begun: a reader cannot. And files that
            // are moved aside one after the other do not belong together for a moment.
            Err(Trouble::ReadOnly | Trouble::Unreadable(_)) if again > 0 => {
                again -= 1;
                thread::sleep(Duration::from_millis(5));
            }
            found => return found,
        }
    }
}

fn look_once(place: &Place, disk: Disk) -> Result<Option<(ReadConnection, Standing)>, Trouble> {
    loop {
        let Some(reader) = ReadConnection::open(place, disk)? else { return Ok(None) };
        let standing = look(&reader.connection, place);
        if reader.still_true(place)? {
            return Ok(Some((reader, standing?)));
        }
    }
}

/// Opens for writing: makes, migrates, mends and catches up as needed.
pub fn open(place: &Place, disk: Disk, mut damage: Option<Damage>) -> Result<Ready, Trouble> {
    let mut notes = Vec::new();
    loop {
        let held = place.hold_shared()?;
        match look_to_write(place, disk, damage.as_ref()) {
            Ok((connection, standing @ (Standing::Ready | Standing::JournalBehind))) => {
                if is_behind(&connection, place, standing)? || Summary::load(&connection)?.wants_compaction() {
                    compact::rewrite_now(&connection, place)?;
                }
                return Ok(Ready { connection, held, notes });
            }
            Ok(_) | Err(Trouble::Damaged(_)) => {}
            Err(other) => return Err(other),
        }
        // Two that both hold it shared would wait for each other for ever.
        drop(held);
        let _alone = place.hold_alone()?;
        notes.extend(put_right(place, disk, damage.take())?);
    }
}

/// Between a commit and its frame every journal is behind for a moment: that of a process at work is
/// given time.
fn is_behind(connection: &Connection, place: &Place, standing: Standing) -> Result<bool, Trouble> {
    if standing != Standing::JournalBehind {
        return Ok(false);
    }
    thread::sleep(Duration::from_millis(10));
    Ok(look(connection, place)? == Standing::JournalBehind)
}

fn look_to_write(place: &Place, disk: Disk, damage: Option<&Damage>) -> Result<(Connection, Standing), Trouble> {
    if let Some(damage) = damage
        && damage.inode == inode(place)?
    {
        return Err(Trouble::Damaged(damage.cause.clone()));
    }
    let connection = connect::writer(place, disk)?;
    let standing = look(&connection, place)?;
    if disk == Disk::Local && standing != Standing::Absent {
        // It may come from a network. Who reads alone relies on it that whoever writes makes the log.
        connection.execute_batch("PRAGMA journal_mode = WAL")?;
    }
    Ok((connection, standing))
}

/// With nobody else there. Looks again first: somebody may have put it right in the meantime.
fn put_right(place: &Place, disk: Disk, damage: Option<Damage>) -> Result<Option<String>, Trouble> {
    let (mut connection, standing) = match look_to_write(place, disk, damage.as_ref()) {
        Err(Trouble::Damaged(cause)) => {
            return rebuild::rebuild(place, disk, &format!("was damaged ({cause})")).map(Some);
        }
        found => found?,
    };
    match standing {
        Standing::Ready | Standing::JournalBehind => Ok(None),
        Standing::Absent if journal::files(&place.journal)?.is_empty() => {
            create(&mut connection, disk)?;
            Ok(None)
        }
        Standing::Absent => {
            drop(connection);
            rebuild::rebuild(place, disk, "was missing").map(Some)
        }
        Standing::Outdated => {
            drop(connection);
            rebuild::rebuild(place, disk, "was older than its journal").map(Some)
        }
        Standing::JournalAhead => rebuild::catch_up(&mut connection, place).map(Some),
        Standing::Older(from) => migrate::migrate(&mut connection, place, from).map(Some),
    }
}

/// A write transaction: from its begin on nobody else writes.
pub fn begin(connection: &mut Connection) -> Result<Transaction<'_>, Trouble> {
    Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

fn create(connection: &mut Connection, disk: Disk) -> Result<(), Trouble> {
    prepare(connection, disk)?;
    let transaction = begin(connection)?;
    schema::create(&transaction, &Summary::new(schema::VERSION, 0, random()?))?;
    transaction.commit()?;
    Ok(())
}

/// Settings that a database keeps; only while it is empty.
pub fn prepare(connection: &Connection, disk: Disk) -> Result<(), Trouble> {
    let mode = if disk == Disk::Local { "WAL" } else { "DELETE" };
    connection.execute_batch(&format!("PRAGMA page_size = {}; PRAGMA journal_mode = {mode};", schema::PAGE_SIZE))?;
    Ok(())
}

pub fn random() -> Result<u64, Trouble> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| Trouble::Other(error.to_string()))?;
    Ok(u64::from_le_bytes(bytes))
}

/// Which file it is; a rebuilt database is another one.
pub fn inode(place: &Place) -> Result<Option<u64>, Trouble> {
    Ok(fs::look(&place.database)?.map(|it| it.ino()))
}
