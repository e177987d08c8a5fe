//! Every question to the database. Each takes a connection and sees one moment of it.

use std::cmp::Reverse;

use rusqlite::{Connection, Params, params, types::ValueRef};

use super::{seal, summary::Summary, trouble::Trouble};
use crate::{
    base::digest::Digest,
    model::key::{AssetKey, PartitionKey},
    plan::{
        backfill::Backfill,
        record::{Attempt, AttemptId, Materialization, Observation, RunId, RunRecord, Session, StepRecord},
        store::encode::{self, Coded},
    },
};

pub type Answer<T> = Result<T, Trouble>;

/// What was read of a row: its number, its record, and the check that sums are made of.
pub struct Row<T> {
    pub number: u64,
    pub record: T,
    pub check: u64,
}

/// Takes the body of one row apart.
pub fn open_body<T: Coded>(seal: &str, columns: &[&[u8]], body: &[u8]) -> Answer<Row<T>> {
    let (payload, check) = seal::unseal(seal, columns, body)?;
    let (number, record) = encode::decode::<(u64, T)>(payload)?;
    Ok(Row { number, record, check })
}

/// Hands on every row of a statement that selects the sealed columns, at most two, and then the body.
pub fn each<P: Params>(
    connection: &Connection,
    sql: &str,
    params: P,
    mut take: impl FnMut(&[&[u8]], &[u8]) -> Answer<()>,
) -> Answer<()> {
    let mut statement = connection.prepare_cached(sql)?;
    let sealed = statement.column_count() - 1;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        let mut columns: [&[u8]; 2] = [&[]; 2];
        for (index, column) in columns.iter_mut().enumerate().take(sealed) {
            *column = match row.get_ref(index)? {
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes,
                _ => return Err(Trouble::Damaged("a column of the wrong type".to_owned())),
            };
        }
        take(&columns[..sealed], row.get_ref(sealed)?.as_blob()?)?;
    }
    Ok(())
}

/// All rows of a statement; see [`each`] for what it selects.
pub fn rows<T: Coded>(connection: &Connection, seal: &str, sql: &str, params: impl Params) -> Answer<Vec<Row<T>>> {
    let mut found = Vec::new();
    each(connection, sql, params, |columns, body| {
        found.push(open_body(seal, columns, body)?);
        Ok(())
    })?;
    Ok(found)
}

fn first<T: Coded>(connection: &Connection, seal: &str, sql: &str, params: impl Params) -> Answer<Option<T>> {
    Ok(rows(connection, seal, sql, params)?.into_iter().next().map(|it| it.record))
}

fn records<T>(rows: Vec<Row<T>>) -> Vec<T> {
    rows.into_iter().map(|it| it.record).collect()
}

/// The records, if none is missing or there twice.
fn complete<T>(what: &str, expected: u64, rows: Vec<Row<T>>) -> Answer<Vec<Row<T>>> {
    let sum = rows.iter().fold(0u64, |sum, it| sum.wrapping_add(it.check));
    if sum == expected { Ok(rows) } else { Err(Trouble::Damaged(format!("rows are missing among the {what}"))) }
}

fn one_moment<T>(connection: &Connection, ask: impl FnOnce() -> Answer<T>) -> Answer<T> {
    let moment = connection.unchecked_transaction()?;
    let answer = ask()?;
    moment.commit()?;
    Ok(answer)
}

pub fn latest_all(connection: &Connection) -> Answer<Vec<Materialization>> {
    one_moment(connection, || {
        let expected = Summary::load(connection)?.latest_sum;
        let mut found = Vec::new();
        let mut sum = 0u64;
        each(connection, "SELECT key, partition, body FROM latest ORDER BY key, partition", [], |columns, body| {
            let row = open_body("made", columns, body)?;
            sum = sum.wrapping_add(row.check);
            found.push(row.record);
            Ok(())
        })?;
        if sum == expected { Ok(found) } else { Err(Trouble::Damaged("materializations are missing".to_owned())) }
    })
}

/// Compares checks alone, of what decisions are made from.
pub fn verify(connection: &Connection) -> Answer<()> {
    one_moment(connection, || {
        let expected = Summary::load(connection)?.latest_sum;
        let mut sum = 0u64;
        each(connection, "SELECT key, partition, body FROM latest", [], |columns, body| {
            sum = sum.wrapping_add(seal::unseal("made", columns, body)?.1);
            Ok(())
        })?;
        if sum == expected { Ok(()) } else { Err(Trouble::Damaged("materializations are missing".to_owned())) }
    })
}

pub fn latest(connection: &Connection, key: &AssetKey, partition: &PartitionKey) -> Answer<Option<Materialization>> {
    let sql = "SELECT key, partition, body FROM latest WHERE key = ?1 AND partition = ?2";
    first(connection, "made", sql, [key.as_str(), partition.as_str()])
}

/// Newest first.
pub fn history(connection: &Connection, key: &AssetKey, partition: &PartitionKey) -> Answer<Vec<Materialization>> {
    let sql = "SELECT key, partition, body FROM latest WHERE key = ?1 AND partition = ?2
        UNION ALL SELECT key, partition, body FROM past WHERE key = ?1 AND partition = ?2";
    let mut found = rows(connection, "made", sql, [key.as_str(), partition.as_str()])?;
    found.sort_by_key(|it| Reverse(it.number));
    Ok(records(found))
}

fn unfinished_rows(connection: &Connection) -> Answer<Vec<Row<Attempt>>> {
    let expected = Summary::load(connection)?.unfinished_sum;
    let found = rows(connection, "attempt", "SELECT id, body FROM unfinished ORDER BY id", [])?;
    complete("unfinished attempts", expected, found)
}

pub fn unfinished_attempts(connection: &Connection) -> Answer<Vec<Attempt>> {
    one_moment(connection, || unfinished_rows(connection).map(records))
}

pub fn last_attempts(connection: &Connection) -> Answer<Vec<Attempt>> {
    let mut found = one_moment(connection, || {
        let mut found = unfinished_rows(connection)?;
        let sql = "SELECT id, body FROM last_attempt ORDER BY op, partition";
        found.extend(rows::<Attempt>(connection, "attempt", sql, [])?);
        Ok(found)
    })?;
    // Of one op's partition the one that started last comes first, and only that one is kept.
    found.sort_by(|a, b| {
        let place = (&a.record.op, &a.record.partition).cmp(&(&b.record.op, &b.record.partition));
        place.then(b.number.cmp(&a.number))
    });
    found.dedup_by(|b, a| a.record.op == b.record.op && a.record.partition == b.record.partition);
    Ok(records(found))
}

pub fn last_attempt(connection: &Connection, op: &str, partition: &PartitionKey) -> Answer<Option<Attempt>> {
    let found = one_moment(connection, || {
        let mut found = unfinished_rows(connection)?;
        found.retain(|it| it.record.op == op && it.record.partition == *partition);
        let sql = "SELECT id, body FROM last_attempt WHERE op = ?1 AND partition = ?2";
        found.extend(rows(connection, "attempt", sql, [op, partition.as_str()])?);
        Ok(found)
    })?;
    Ok(found.into_iter().max_by_key(|it| it.number).map(|it| it.record))
}

pub fn attempt(connection: &Connection, id: &AttemptId) -> Answer<Option<Attempt>> {
    let sql = "SELECT id, body FROM unfinished WHERE id = ?1 UNION ALL SELECT id, body FROM attempt WHERE id = ?1";
    first(connection, "attempt", sql, [&id.0])
}

pub fn attempts_of(connection: &Connection, run: &RunId) -> Answer<Vec<Attempt>> {
    let mut found = one_moment(connection, || {
        let mut found = unfinished_rows(connection)?;
        found.retain(|it| it.record.run == *run);
        found.extend(rows(connection, "attempt", "SELECT id, body FROM attempt WHERE run = ?1", [&run.0])?);
        Ok(found)
    })?;
    found.sort_by_key(|it| it.number);
    Ok(records(found))
}

pub fn observations(connection: &Connection) -> Answer<Vec<Observation>> {
    one_moment(connection, || {
        let expected = Summary::load(connection)?.source_sum;
        let found = rows(connection, "seen", "SELECT key, body FROM source ORDER BY key", [])?;
        complete("observations", expected, found).map(records)
    })
}

pub fn observation(connection: &Connection, key: &AssetKey, version: &Digest) -> Answer<Option<Observation>> {
    let sql = "SELECT key, body FROM source WHERE key = ?1 AND version = ?2
        UNION ALL SELECT key, body FROM past_source WHERE key = ?1 AND version = ?2";
    first(connection, "seen", sql, params![key.as_str(), version.0])
}

/// Newest first, without steps.
pub fn runs(connection: &Connection, limit: usize) -> Answer<Vec<RunRecord>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    rows(connection, "run", "SELECT id, body FROM run ORDER BY n DESC LIMIT ?1", [limit]).map(records)
}

/// A run without its steps, and its number.
pub fn run_row(connection: &Connection, id: &RunId) -> Answer<Option<Row<RunRecord>>> {
    Ok(rows(connection, "run", "SELECT id, body FROM run WHERE id = ?1", [&id.0])?.into_iter().next())
}

/// With steps.
pub fn run(connection: &Connection, id: &RunId) -> Answer<Option<RunRecord>> {
    one_moment(connection, || {
        let Some(Row { number, record: mut run, .. }) = run_row(connection, id)? else { return Ok(None) };
        let steps = rows::<StepRecord>(
            connection,
            "step",
            "SELECT body FROM step WHERE run = ?1 ORDER BY n",
            [number.cast_signed()],
        )?;
        run.steps = records(steps);
        Ok(Some(run))
    })
}

pub fn text(connection: &Connection, digest: &Digest) -> Answer<Option<String>> {
    first(connection, "text", "SELECT digest, body FROM text WHERE digest = ?1", [digest.0])
}

/// In the order in which they were asked for.
pub fn backfill_rows(connection: &Connection) -> Answer<Vec<Row<Backfill>>> {
    let known = "SELECT count(*) FROM sqlite_master WHERE name = 'backfill'";
    let known: i64 = connection.prepare_cached(known)?.query_row([], |row| row.get(0))?;
    if known == 0 {
        return Ok(Vec::new());
    }
    rows(connection, "backfill", "SELECT name, body FROM backfill ORDER BY n", [])
}

pub fn backfills(connection: &Connection) -> Answer<Vec<Backfill>> {
    one_moment(connection, || backfill_rows(connection).map(records))
}

/// In the order in which they were first opened.
pub fn sessions(connection: &Connection) -> Answer<Vec<Session>> {
    rows(connection, "session", "SELECT id, body FROM session ORDER BY n", []).map(records)
}
