//! Writing the journal anew from the database: when it has grown old, and when something is missing
//! in it.

use std::io::{BufWriter, Write};

use rusqlite::Connection;

use super::{
    place::Place,
    read::{self, Answer, Row},
    standing::random,
    summary::Summary,
};
use crate::{
    base::fs::{self, FsError},
    plan::{
        record::{Materialization, Observation, RunRecord},
        store::{
            Change,
            encode::Coded,
            journal::{self, JournalName, Payload},
        },
    },
};

/// In a transaction of its own.
pub fn rewrite_now(connection: &Connection, place: &Place) -> Answer<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let done = rewrite_in(connection, place).and_then(|summary| {
        connection.execute_batch("COMMIT")?;
        remove_older(place, summary.journal)
    });
    if done.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    done
}

fn rewrite_in(connection: &Connection, place: &Place) -> Answer<Summary> {
    let mut summary = Summary::load(connection)?;
    rewrite(connection, &mut summary, place)?;
    summary.save(connection)?;
    Ok(summary)
}

/// In the transaction of the caller, who saves the summary and calls [`remove_older`] after the commit.
pub fn rewrite(connection: &Connection, summary: &mut Summary, place: &Place) -> Answer<()> {
    let name = JournalName { generation: summary.journal.generation + 1, seed: random()? };
    let path = name.path_in(&place.journal);
    let unfinished = path.with_extension("new");
    let written = write_file(connection, summary.sequence, name, &unfinished);
    match written.and_then(|bytes| Ok(fs::rename(&unfinished, &path).map(|()| bytes)?)) {
        Ok(bytes) => {
            summary.journal = name;
            summary.journal_bytes = bytes;
            summary.compacted_bytes = bytes;
            Ok(())
        }
        Err(error) => {
            let _ = fs::remove_file(&unfinished);
            Err(error)
        }
    }
}

/// Only older ones: another process may have written the next by now.
pub fn remove_older(place: &Place, current: JournalName) -> Answer<()> {
    let older = |it: &JournalName| it.generation <= current.generation && *it != current;
    for name in journal::files(&place.journal)?.into_iter().filter(older) {
        fs::remove_file(&name.path_in(&place.journal))?;
    }
    Ok(())
}

struct Frames<'a> {
    file: BufWriter<std::fs::File>,
    path: &'a std::path::Path,
    name: JournalName,
    sequence: u64,
    bytes: u64,
    buffer: Vec<u8>,
}

impl Frames<'_> {
    fn push(&mut self, starts_over: bool, changes: &[&Change]) -> Answer<()> {
        self.buffer.clear();
        Payload::new(starts_over, changes).frame(self.name, self.sequence, &mut self.buffer);
        self.bytes += self.buffer.len() as u64;
        let written = self.file.write_all(&self.buffer);
        Ok(written.map_err(|source| FsError { doing: "write", path: self.path.to_owned(), source })?)
    }

    fn push_all<T>(&mut self, rows: Vec<Row<T>>, change: impl Fn(T) -> Change) -> Answer<()> {
        rows.into_iter().try_for_each(|it| self.push(false, &[&change(it.record)]))
    }
}

fn write_file(connection: &Connection, sequence: u64, name: JournalName, path: &std::path::Path) -> Answer<u64> {
    let file = BufWriter::with_capacity(1 << 18, fs::create(path)?);
    let mut frames = Frames { file, path, name, sequence, bytes: 0, buffer: Vec::new() };
    frames.push(true, &[])?;
    for session in read::sessions(connection)? {
        frames.push(false, &[&Change::SessionOpened(session)])?;
    }
    let runs = rows::<RunRecord>(connection, "run", "SELECT id, body FROM run ORDER BY n")?;
    frames.push_all(runs, Change::RunStarted)?;
    let backfills = read::backfill_rows(connection)?;
    frames.push_all(backfills, |it| Change::BackfillAsked(Box::new(it)))?;
    let texts = "SELECT digest, body FROM text";
    read::each(connection, texts, [], |columns, body| {
        let digest = columns[0].try_into().map(crate::base::digest::Digest);
        let digest = digest.map_err(|_| super::trouble::Trouble::Damaged("a text without its digest".to_owned()))?;
        let text = read::open_body::<String>("text", columns, body)?.record;
        frames.push(false, &[&Change::Text { digest, text }])
    })?;
    let seen = "SELECT key, body FROM past_source ORDER BY key, n";
    frames.push_all(rows::<Observation>(connection, "seen", seen)?, Change::Observed)?;
    let seen = "SELECT key, body FROM source";
    frames.push_all(rows::<Observation>(connection, "seen", seen)?, Change::Observed)?;
    let mut past = rows::<Materialization>(connection, "made", "SELECT key, partition, body FROM past")?;
    past.sort_by_key(|it| it.number);
    frames.push_all(past, |it| Change::Materialized(Box::new(it)))?;
    read::each(connection, "SELECT key, partition, body FROM latest", [], |columns, body| {
        let made = read::open_body::<Materialization>("made", columns, body)?.record;
        frames.push(false, &[&Change::Materialized(Box::new(made))])
    })?;
    frames.file.flush().map_err(|source| FsError { doing: "write", path: path.to_owned(), source })?;
    Ok(frames.bytes)
}

fn rows<T: Coded>(connection: &Connection, seal: &str, sql: &str) -> Answer<Vec<Row<T>>> {
    read::rows(connection, seal, sql, [])
}
