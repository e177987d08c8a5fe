//! From the journal to a database again: after damage, after deletion, and when the database has lost
//! what the journal still has. Nothing is thrown away: what is replaced is moved aside.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{
    compact,
    connect::{self, Disk},
    place::Place,
    read::{Answer, open_body},
    schema,
    standing::{begin, prepare, random},
    summary::Summary,
    write::Writing,
};
use crate::{
    base::fs,
    plan::{
        record::{Attempt, Materialization, Observation, RunRecord, StepRecord},
        store::{
            Change, StateStore, StoreError,
            encode::Coded,
            journal::{self, Contents},
            memory::MemoryStore,
        },
    },
};

/// Makes the database anew. `what` says what was wrong with it: "was missing".
///
/// All of it is one transaction: whoever is killed in it leaves an empty database and the journal.
pub fn rebuild(place: &Place, disk: Disk, what: &str) -> Answer<String> {
    let aside = move_aside(place)?;
    let contents = journal::read(&place.journal)?;
    let (damage, files) = (contents.said_of_damage(), contents.files.clone());
    let (generation, sequence) = (contents.generation, contents.sequence());
    let mut connection = connect::writer(place, disk)?;
    prepare(&connection, disk)?;
    let transaction = begin(&mut connection)?;
    schema::create(&transaction, &Summary::new(schema::VERSION, generation, random()?))?;
    let mut writing = Writing::begin(&transaction)?;
    writing.summary.sequence = sequence;
    contents.changes().iter().try_for_each(|it| writing.apply(it))?;
    if let Some(aside) = &aside {
        salvage(aside, &mut writing)?;
    }
    writing.finish()?;
    let made: i64 = transaction.query_row("SELECT count(*) FROM latest", [], |row| row.get(0))?;
    compact::rewrite(&transaction, &mut writing.summary, place)?;
    writing.finish()?;
    let current = writing.summary.journal;
    transaction.commit()?;
    if damage.is_some() {
        for file in files {
            fs::rename(&file, &file.with_extension("damaged"))?;
        }
    }
    compact::remove_older(place, current)?;
    Ok(note(place, what, aside.as_deref(), made, damage))
}

fn note(place: &Place, what: &str, aside: Option<&Path>, made: i64, damage: Option<String>) -> String {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut note = format!("{} {what}: rebuilt from the journal, {made} materializations", name(&place.database));
    if let Some(aside) = aside {
        note += &format!("; the old file is kept as {}", name(aside));
    }
    if let Some(damage) = damage {
        note += &format!("; left out of it: {damage} of the journal");
    }
    note
}

/// Moves the database away, with its log; `None` if there was none.
fn move_aside(place: &Place) -> Answer<Option<PathBuf>> {
    let mut aside = None;
    if fs::look(&place.database)?.is_some_and(|it| it.len() > 0) {
        let free = (1..).map(|n| place.beside(&format!(".damaged-{n}")));
        for path in free {
            if fs::look(&path)?.is_none() {
                fs::rename(&place.database, &path)?;
                aside = Some(path);
                break;
            }
        }
    }
    for suffix in ["-wal", "-shm", "-journal"] {
        let from = place.beside(suffix);
        match &aside {
            Some(aside) if fs::look(&from)?.is_some() => {
                let mut to = aside.clone().into_os_string();
                to.push(suffix);
                fs::rename(&from, Path::new(&to))?;
            }
            _ => fs::remove_file(&from)?,
        }
    }
    Ok(aside)
}

/// What can still be read of a damaged database, and is not in the journal: attempts, steps of runs,
/// and materializations and observations that the rebuilt one has nothing of.
fn salvage(damaged: &Path, writing: &mut Writing<'_>) -> Answer<()> {
    let Ok(old) =
        Connection::open_with_flags(damaged, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
    else {
        return Ok(());
    };
    for Salvaged { record: made, .. } in readable(&old, "made", "SELECT 0, key, partition, body FROM latest") {
        let made: Materialization = made;
        if !writing.knows(&made.key, &made.partition)? {
            writing.apply(&Change::Materialized(Box::new(made)))?;
        }
    }
    for Salvaged { record: seen, .. } in readable(&old, "seen", "SELECT 0, key, body FROM source") {
        let seen: Observation = seen;
        if !writing.knows_source(&seen.key)? {
            writing.apply(&Change::Observed(seen))?;
        }
    }
    let mut attempts = readable::<Attempt>(&old, "attempt", "SELECT 0, id, body FROM attempt");
    attempts.extend(readable(&old, "attempt", "SELECT 0, id, body FROM unfinished"));
    attempts.sort_by_key(|it| it.number);
    for attempt in attempts {
        writing.apply(&Change::AttemptStarted(attempt.record))?;
    }
    let runs = readable::<RunRecord>(&old, "run", "SELECT n, id, body FROM run");
    for step in readable::<StepRecord>(&old, "step", "SELECT run, body FROM step ORDER BY run, n") {
        if let Some(run) = runs.iter().find(|it| it.of == step.of) {
            writing.apply(&Change::RunStep { run: run.record.id.clone(), step: step.record })?;
        }
    }
    Ok(())
}

struct Salvaged<T> {
    /// The first column that the statement selects.
    of: i64,
    number: u64,
    record: T,
}

/// Records whose seal holds, up to where the table cannot be read on. The statement selects a number,
/// the sealed columns and the body.
fn readable<T: Coded>(old: &Connection, seal: &str, sql: &str) -> Vec<Salvaged<T>> {
    let mut found = Vec::new();
    let Ok(mut statement) = old.prepare(sql) else { return found };
    let sealed = statement.column_count() - 2;
    let Ok(mut rows) = statement.query([]) else { return found };
    while let Ok(Some(row)) = rows.next() {
        let columns: Result<Vec<&[u8]>, _> = (0..sealed)
            .map(|it| row.get_ref(it + 1).map_err(|_| ()).and_then(|it| it.as_bytes().map_err(|_| ())))
            .collect();
        let (Ok(of), Ok(columns), Ok(body)) = (row.get(0), columns, row.get_ref(sealed + 1)) else { continue };
        if let Ok(row) = body.as_blob().map_err(Into::into).and_then(|it| open_body::<T>(seal, &columns, it)) {
            found.push(Salvaged { of, number: row.number, record: row.record });
        }
    }
    found
}

/// Brings a database up to what its journal holds.
pub fn catch_up(connection: &mut Connection, place: &Place) -> Answer<String> {
    let contents = journal::read(&place.journal)?;
    let transaction = begin(connection)?;
    let mut writing = Writing::begin(&transaction)?;
    let (known, sequence) = (writing.summary.sequence, contents.sequence());
    let Contents { mut frames, .. } = contents;
    frames.retain(|it| it.sequence > known);
    frames.sort_by_key(|it| it.sequence);
    frames.iter().flat_map(|it| &it.changes).try_for_each(|it| writing.apply(it))?;
    writing.summary.sequence = known.max(sequence);
    writing.finish()?;
    compact::rewrite(&transaction, &mut writing.summary, place)?;
    writing.finish()?;
    let current = writing.summary.journal;
    transaction.commit()?;
    compact::remove_older(place, current)?;
    let name = place.database.file_name().unwrap_or_default().to_string_lossy();
    Ok(match frames.len() {
        0 => format!("the journal of {name} had bytes in it that nobody wrote: it was written anew"),
        some => format!("{name} had lost its latest commits: {some} were put back from the journal"),
    })
}

/// What the journal knows, in memory: for a reader that may not mend anything.
///
/// Also what of the journal is damaged.
pub fn in_memory(place: &Place) -> Result<(MemoryStore, Option<String>), StoreError> {
    let contents = journal::read(&place.journal)?;
    let damage = contents.said_of_damage();
    let store = MemoryStore::new();
    store.commit(&contents.changes())?;
    Ok((store.into_read_only(place.database.clone()), damage))
}
