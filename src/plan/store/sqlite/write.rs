//! Every change to the database. Whoever calls holds a write transaction.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{
    read::{self, Answer, Row, open_body},
    schema, seal,
    summary::Summary,
};
use crate::{
    base::digest::Digest,
    model::key::{AssetKey, PartitionKey},
    plan::{
        backfill::{Backfill, spare},
        record::{
            Attempt, AttemptId, AttemptState, Intent, Materialization, Observation, RunId, RunRecord, Session,
            StepRecord,
        },
        store::{
            Change, KEPT, OBSERVED_KEPT, SEALED_KEPT,
            encode::{self, Coded},
        },
    },
};

/// One transaction's view: the connection, and the summary as it will be.
pub struct Writing<'c> {
    connection: &'c Connection,
    found: Summary,
    pub summary: Summary,
}

fn sealed<T: Coded>(seal: &str, columns: &[&[u8]], number: u64, record: &T) -> (Vec<u8>, u64) {
    seal::seal(seal, columns, encode::encode_numbered(number, record))
}

fn shift(sum: &mut u64, minus: Option<u64>, plus: Option<u64>) {
    *sum = sum.wrapping_sub(minus.unwrap_or(0)).wrapping_add(plus.unwrap_or(0));
}

impl<'c> Writing<'c> {
    /// Inside a write transaction, so that the summary holds until it ends.
    pub fn begin(connection: &'c Connection) -> Answer<Self> {
        let found = Summary::load(connection)?;
        Ok(Writing { connection, summary: found.clone(), found })
    }

    pub fn finish(&self) -> Answer<()> {
        if self.summary == self.found { Ok(()) } else { self.summary.save(self.connection) }
    }

    fn execute(&self, sql: &str, params: impl rusqlite::Params) -> Answer<usize> {
        Ok(self.connection.prepare_cached(sql)?.execute(params)?)
    }

    fn one<T: Coded>(&self, seal: &str, sql: &str, params: impl rusqlite::Params) -> Answer<Option<Row<T>>> {
        Ok(read::rows(self.connection, seal, sql, params)?.into_iter().next())
    }

    pub fn apply(&mut self, change: &Change) -> Answer<()> {
        self.summary.generation += u64::from(change.moves_generation());
        match change {
            Change::RunStarted(run) => self.run_started(run),
            Change::RunStep { run, step } => self.run_step(run, step),
            Change::RunEnded { run, outcome, at } => self.change_run(run, |it| {
                it.outcome = Some(*outcome);
                it.ended_at = Some(*at);
            }),
            Change::AttemptStarted(attempt) => self.attempt_started(attempt),
            Change::AttemptCommitting { id, intents } => self.attempt_committing(id, intents),
            Change::AttemptEnded { id, state, at } => self.attempt_ended(id, state, *at),
            Change::Materialized(made) => self.materialized(made),
            Change::Refreshed(made) => self.refreshed(made),
            Change::Observed(seen) => self.observed(seen),
            Change::Text { digest, text } => self.text(digest, text),
            Change::SessionOpened(session) => self.session_opened(session),
            Change::SessionSealed(id) => self.session_sealed(id),
            Change::Renamed { old, new } if old == new => Ok(()),
            Change::Renamed { old, new } => self.renamed(old, new),
            Change::Forgotten(key) => self.forgotten(key),
            Change::RunForgotten(id) => self.run_forgotten(id),
            Change::BackfillAsked(asked) => self.backfill_asked(asked),
            Change::BackfillTurned { name, from, to, at } => {
                self.change_backfills(|it| it.name == *name && it.turn(from, *to, *at))
            }
            Change::BackfillBegun { name, run } => self.change_backfills(|it| it.name == *name && it.begin(run)),
        }
    }

    // Materializations. `latest` holds the newest of each asset partition; those before it stand in
    // `past`, in slots that are used in turn.

    fn latest_row(&self, key: &AssetKey, partition: &PartitionKey) -> Answer<Option<Row<Materialization>>> {
        let sql = "SELECT key, partition, body FROM latest WHERE key = ?1 AND partition = ?2";
        self.one("made", sql, [key.as_str(), partition.as_str()])
    }

    pub fn knows(&self, key: &AssetKey, partition: &PartitionKey) -> Answer<bool> {
        Ok(self.latest_row(key, partition)?.is_some())
    }

    fn put_latest(&mut self, number: u64, made: &Materialization, old: Option<u64>) -> Answer<()> {
        let (key, partition) = (made.key.as_str(), made.partition.as_str());
        let (body, check) = sealed("made", &[key.as_bytes(), partition.as_bytes()], number, made);
        shift(&mut self.summary.latest_sum, old, Some(check));
        self.execute(
            "INSERT OR REPLACE INTO latest (key, partition, body) VALUES (?1, ?2, ?3)",
            params![key, partition, body],
        )?;
        Ok(())
    }

    fn put_past(&mut self, number: u64, made: &Materialization) -> Answer<()> {
        let (key, partition) = (made.key.as_str(), made.partition.as_str());
        let (body, _) = sealed("made", &[key.as_bytes(), partition.as_bytes()], number, made);
        self.put_past_body(key, partition, number, &body)
    }

    fn put_past_body(&mut self, key: &str, partition: &str, number: u64, body: &[u8]) -> Answer<()> {
        let slot = number % (KEPT as u64 - 1);
        self.execute(
            "INSERT OR REPLACE INTO past (key, partition, slot, body) VALUES (?1, ?2, ?3, ?4)",
            params![key, partition, slot.cast_signed(), body],
        )?;
        Ok(())
    }

    /// What was the latest moves to the past as it is, unread but for its number.
    fn materialized(&mut self, made: &Materialization) -> Answer<()> {
        let (key, partition) = (made.key.as_str(), made.partition.as_str());
        let mut old = None;
        let sql = "SELECT key, partition, body FROM latest WHERE key = ?1 AND partition = ?2";
        read::each(self.connection, sql, [key, partition], |columns, body| {
            let (payload, check) = seal::unseal("made", columns, body)?;
            old = Some((encode::number_of(payload)?, check, body.to_vec()));
            Ok(())
        })?;
        let Some((number, check, body)) = old else { return self.put_latest(0, made, None) };
        self.put_past_body(key, partition, number, &body)?;
        self.put_latest(number + 1, made, Some(check))
    }

    fn refreshed(&mut self, made: &Materialization) -> Answer<()> {
        match self.latest_row(&made.key, &made.partition)? {
            Some(old) if old.record.attempt == made.attempt => self.put_latest(old.number, made, Some(old.check)),
            _ => Ok(()),
        }
    }

    // Sources: the same division, with versions in the place of slots.

    fn source_row(&self, key: &AssetKey) -> Answer<Option<Row<Observation>>> {
        self.one("seen", "SELECT key, body FROM source WHERE key = ?1", [key.as_str()])
    }

    pub fn knows_source(&self, key: &AssetKey) -> Answer<bool> {
        Ok(self.source_row(key)?.is_some())
    }

    fn put_source(&mut self, number: u64, seen: &Observation, old: Option<u64>) -> Answer<()> {
        let (body, check) = sealed("seen", &[seen.key.as_str().as_bytes()], number, seen);
        shift(&mut self.summary.source_sum, old, Some(check));
        self.execute(
            "INSERT OR REPLACE INTO source (key, version, body) VALUES (?1, ?2, ?3)",
            params![seen.key.as_str(), seen.data_version.0, body],
        )?;
        Ok(())
    }

    fn put_past_source(&mut self, number: u64, seen: &Observation) -> Answer<()> {
        let (body, _) = sealed("seen", &[seen.key.as_str().as_bytes()], number, seen);
        self.execute(
            "INSERT OR REPLACE INTO past_source (key, version, n, body) VALUES (?1, ?2, ?3, ?4)",
            params![seen.key.as_str(), seen.data_version.0, number.cast_signed(), body],
        )?;
        Ok(())
    }

    fn observed(&mut self, seen: &Observation) -> Answer<()> {
        let old = self.source_row(&seen.key)?;
        let number = old.as_ref().map_or(0, |it| it.number + 1);
        if let Some(old) = old.as_ref().filter(|it| it.record.data_version != seen.data_version) {
            self.put_past_source(old.number, &old.record)?;
            let key = seen.key.as_str();
            self.execute("DELETE FROM past_source WHERE key = ?1 AND version = ?2", params![key, seen.data_version.0])?;
            self.execute(
                "DELETE FROM past_source WHERE key = ?1 AND n <=
                     (SELECT n FROM past_source WHERE key = ?1 ORDER BY n DESC LIMIT 1 OFFSET ?2)",
                params![key, OBSERVED_KEPT as i64 - 1],
            )?;
        }
        self.put_source(number, seen, old.map(|it| it.check))
    }

    // Attempts: `unfinished` is small and written often; an attempt leaves it once, when it ends.

    fn unfinished_row(&self, id: &AttemptId) -> Answer<Option<Row<Attempt>>> {
        self.one("attempt", "SELECT id, body FROM unfinished WHERE id = ?1", [&id.0])
    }

    fn put_unfinished(&mut self, number: u64, attempt: &Attempt, old: Option<u64>) -> Answer<()> {
        let (body, check) = sealed("attempt", &[attempt.id.0.as_bytes()], number, attempt);
        shift(&mut self.summary.unfinished_sum, old, Some(check));
        self.execute("INSERT OR REPLACE INTO unfinished (id, body) VALUES (?1, ?2)", params![attempt.id.0, body])?;
        Ok(())
    }

    fn put_ended(&mut self, number: u64, attempt: &Attempt) -> Answer<()> {
        let (body, _) = sealed("attempt", &[attempt.id.0.as_bytes()], number, attempt);
        self.execute(
            "INSERT OR REPLACE INTO attempt (id, run, body) VALUES (?1, ?2, ?3)",
            params![attempt.id.0, attempt.run.0, body],
        )?;
        Ok(())
    }

    fn put_last(&mut self, number: u64, attempt: &Attempt) -> Answer<()> {
        let (body, _) = sealed("attempt", &[attempt.id.0.as_bytes()], number, attempt);
        self.execute(
            "INSERT OR REPLACE INTO last_attempt (op, partition, id, body) VALUES (?1, ?2, ?3, ?4)",
            params![attempt.op, attempt.partition.as_str(), attempt.id.0, body],
        )?;
        Ok(())
    }

    fn attempt_started(&mut self, attempt: &Attempt) -> Answer<()> {
        let number = self.summary.next_number();
        if attempt.is_unfinished() {
            let old = self.unfinished_row(&attempt.id)?.map(|it| it.check);
            self.put_unfinished(number, attempt, old)
        } else {
            self.end(number, attempt)
        }
    }

    fn attempt_committing(&mut self, id: &AttemptId, intents: &[Intent]) -> Answer<()> {
        let Some(mut row) = self.unfinished_row(id)? else { return Ok(()) };
        row.record.state = AttemptState::Committing(intents.to_vec());
        self.put_unfinished(row.number, &row.record, Some(row.check))
    }

    fn attempt_ended(&mut self, id: &AttemptId, state: &AttemptState, at: Timestamp) -> Answer<()> {
        let Some(mut row) = self.unfinished_row(id)? else { return Ok(()) };
        row.record.state = state.clone();
        row.record.ended_at = Some(at);
        self.execute("DELETE FROM unfinished WHERE id = ?1", [&id.0])?;
        shift(&mut self.summary.unfinished_sum, Some(row.check), None);
        self.end(row.number, &row.record)
    }

    fn end(&mut self, number: u64, attempt: &Attempt) -> Answer<()> {
        self.put_ended(number, attempt)?;
        let sql = "SELECT id, body FROM last_attempt WHERE op = ?1 AND partition = ?2";
        let last: Option<Row<Attempt>> = self.one("attempt", sql, [&*attempt.op, attempt.partition.as_str()])?;
        if last.is_some_and(|it| it.number > number) { Ok(()) } else { self.put_last(number, attempt) }
    }

    // Runs.

    fn put_run(&self, number: u64, run: &RunRecord) -> Answer<()> {
        let (body, _) = sealed("run", &[run.id.0.as_bytes()], number, run);
        let sql = "INSERT OR REPLACE INTO run (n, id, body) VALUES (?1, ?2, ?3)";
        self.execute(sql, params![number.cast_signed(), run.id.0, body])?;
        Ok(())
    }

    /// Steps are numbered within their run, so that they leave the summary as it is.
    fn add_step(&self, run: u64, step: &StepRecord) -> Answer<()> {
        let sql = "SELECT coalesce(max(n) + 1, 0) FROM step WHERE run = ?1";
        let number: i64 = self.connection.prepare_cached(sql)?.query_row([run.cast_signed()], |row| row.get(0))?;
        self.put_step(run, number.cast_unsigned(), step)
    }

    fn put_step(&self, run: u64, number: u64, step: &StepRecord) -> Answer<()> {
        let (body, _) = sealed("step", &[], number, step);
        let sql = "INSERT OR REPLACE INTO step (run, n, body) VALUES (?1, ?2, ?3)";
        self.execute(sql, params![run.cast_signed(), number.cast_signed(), body])?;
        Ok(())
    }

    fn run_started(&mut self, run: &RunRecord) -> Answer<()> {
        self.remove_run(&run.id)?;
        let number = self.summary.next_number();
        self.put_run(number, &RunRecord { steps: Vec::new(), ..run.clone() })?;
        run.steps.iter().try_for_each(|it| self.add_step(number, it))
    }

    fn run_step(&mut self, run: &RunId, step: &StepRecord) -> Answer<()> {
        let Some(row) = read::run_row(self.connection, run)? else { return Ok(()) };
        self.add_step(row.number, step)
    }

    fn change_run(&mut self, id: &RunId, change: impl FnOnce(&mut RunRecord)) -> Answer<()> {
        let Some(mut row) = read::run_row(self.connection, id)? else { return Ok(()) };
        change(&mut row.record);
        self.put_run(row.number, &row.record)
    }

    fn remove_run(&self, id: &RunId) -> Answer<()> {
        if let Some(row) = read::run_row(self.connection, id)? {
            self.execute("DELETE FROM step WHERE run = ?1", [row.number.cast_signed()])?;
            self.execute("DELETE FROM run WHERE n = ?1", [row.number.cast_signed()])?;
        }
        Ok(())
    }

    fn run_forgotten(&mut self, id: &RunId) -> Answer<()> {
        self.remove_run(id)?;
        let sql = "SELECT id, body FROM attempt WHERE run = ?1";
        for row in read::rows::<Attempt>(self.connection, "attempt", sql, [&id.0])? {
            let attempt = row.record;
            self.execute(
                "DELETE FROM last_attempt WHERE op = ?1 AND partition = ?2 AND id = ?3",
                [&*attempt.op, attempt.partition.as_str(), &attempt.id.0],
            )?;
            self.execute("DELETE FROM attempt WHERE id = ?1", [&attempt.id.0])?;
        }
        Ok(())
    }

    // Texts and sessions.

    fn text(&mut self, digest: &Digest, text: &String) -> Answer<()> {
        let (body, _) = sealed("text", &[&digest.0], 0, text);
        self.execute("INSERT OR IGNORE INTO text (digest, body) VALUES (?1, ?2)", params![digest.0, body])?;
        Ok(())
    }

    fn put_session(&self, number: u64, session: &Session) -> Answer<()> {
        let (body, _) = sealed("session", &[session.id.as_bytes()], number, session);
        let sql = "INSERT OR REPLACE INTO session (n, id, body) VALUES (?1, ?2, ?3)";
        self.execute(sql, params![number.cast_signed(), session.id, body])?;
        Ok(())
    }

    fn session_row(&self, id: &str) -> Answer<Option<Row<Session>>> {
        self.one("session", "SELECT id, body FROM session WHERE id = ?1", [id])
    }

    fn session_opened(&mut self, session: &Session) -> Answer<()> {
        let known = self.session_row(&session.id)?;
        let number = known.map_or_else(|| self.summary.next_number(), |it| it.number);
        self.put_session(number, session)
    }

    fn session_sealed(&mut self, id: &str) -> Answer<()> {
        let Some(mut row) = self.session_row(id)? else { return Ok(()) };
        row.record.sealed = true;
        self.put_session(row.number, &row.record)?;
        let mut sealed = read::sessions(self.connection)?;
        sealed.retain(|it| it.sealed);
        let spare = sealed.len().saturating_sub(SEALED_KEPT);
        for session in &sealed[..spare] {
            self.execute("DELETE FROM session WHERE id = ?1", [&session.id])?;
        }
        Ok(())
    }

    // Backfills: few, and seldom written.

    fn put_backfill(&self, number: u64, backfill: &Backfill) -> Answer<()> {
        let (body, _) = sealed("backfill", &[backfill.name.as_bytes()], number, backfill);
        let sql = "INSERT OR REPLACE INTO backfill (n, name, body) VALUES (?1, ?2, ?3)";
        self.execute(sql, params![number.cast_signed(), backfill.name, body])?;
        Ok(())
    }

    fn backfill_asked(&mut self, asked: &Backfill) -> Answer<()> {
        self.execute(schema::CREATE_BACKFILLS, [])?;
        let known = read::backfill_rows(self.connection)?.into_iter().map(|it| it.record);
        let mut all: Vec<Backfill> = known.collect();
        if all.iter().any(|it| it.name == asked.name) {
            return Ok(());
        }
        let number = self.summary.next_number();
        self.put_backfill(number, asked)?;
        all.push(asked.clone());
        for name in spare(&all) {
            self.execute("DELETE FROM backfill WHERE name = ?1", [name])?;
        }
        Ok(())
    }

    /// `change` says of each whether it changed it.
    fn change_backfills(&mut self, mut change: impl FnMut(&mut Backfill) -> bool) -> Answer<()> {
        for mut row in read::backfill_rows(self.connection)? {
            if change(&mut row.record) {
                self.put_backfill(row.number, &row.record)?;
            }
        }
        Ok(())
    }

    // Names.

    fn renamed(&mut self, old: &AssetKey, new: &AssetKey) -> Answer<()> {
        let latest =
            self.all_of::<Materialization>("made", "SELECT key, partition, body FROM latest WHERE key = ?1", old)?;
        let past =
            self.all_of::<Materialization>("made", "SELECT key, partition, body FROM past WHERE key = ?1", old)?;
        if !latest.is_empty() {
            self.forget_made(new)?;
            self.forget_made(old)?;
            for mut row in latest {
                row.record.key = new.clone();
                self.put_latest(row.number, &row.record, None)?;
            }
            for mut row in past {
                row.record.key = new.clone();
                self.put_past(row.number, &row.record)?;
            }
        }
        if let Some(mut row) = self.source_row(old)? {
            let past = self.all_of::<Observation>("seen", "SELECT key, body FROM past_source WHERE key = ?1", old)?;
            self.forget_seen(new)?;
            self.forget_seen(old)?;
            row.record.key = new.clone();
            self.put_source(row.number, &row.record, None)?;
            for mut row in past {
                row.record.key = new.clone();
                self.put_past_source(row.number, &row.record)?;
            }
        }
        self.change_backfills(|it| it.rename(old, new))?;
        self.rename_attempts(old, new)?;
        self.rename_steps(old, new)
    }

    fn all_of<T: Coded>(&self, seal: &str, sql: &str, key: &AssetKey) -> Answer<Vec<Row<T>>> {
        read::rows(self.connection, seal, sql, [key.as_str()])
    }

    fn rename_attempts(&mut self, old: &AssetKey, new: &AssetKey) -> Answer<()> {
        let sql = "SELECT id, body FROM last_attempt WHERE op = ?1";
        if !self.all_of::<Attempt>("attempt", sql, old)?.is_empty() {
            self.execute("DELETE FROM last_attempt WHERE op = ?1", [new.as_str()])?;
        }
        for mut row in read::rows::<Attempt>(self.connection, "attempt", "SELECT id, body FROM last_attempt", [])? {
            if row.record.rename(old, new) {
                self.execute("DELETE FROM last_attempt WHERE id = ?1", [&row.record.id.0])?;
                self.put_last(row.number, &row.record)?;
            }
        }
        for mut row in read::rows::<Attempt>(self.connection, "attempt", "SELECT id, body FROM attempt", [])? {
            if row.record.rename(old, new) {
                self.put_ended(row.number, &row.record)?;
            }
        }
        for mut row in read::rows::<Attempt>(self.connection, "attempt", "SELECT id, body FROM unfinished", [])? {
            if row.record.rename(old, new) {
                self.put_unfinished(row.number, &row.record, Some(row.check))?;
            }
        }
        Ok(())
    }

    fn rename_steps(&mut self, old: &AssetKey, new: &AssetKey) -> Answer<()> {
        let mut found = Vec::new();
        let mut statement = self.connection.prepare_cached("SELECT run, body FROM step")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let run: i64 = row.get(0)?;
            let step = open_body::<StepRecord>("step", &[], row.get_ref(1)?.as_blob()?)?;
            if step.record.key == *old {
                found.push((run.cast_unsigned(), step));
            }
        }
        for (run, mut step) in found {
            step.record.key = new.clone();
            self.put_step(run, step.number, &step.record)?;
        }
        Ok(())
    }

    fn forget_made(&mut self, key: &AssetKey) -> Answer<()> {
        let sql = "SELECT key, partition, body FROM latest WHERE key = ?1";
        for row in self.all_of::<Materialization>("made", sql, key)? {
            shift(&mut self.summary.latest_sum, Some(row.check), None);
        }
        self.execute("DELETE FROM latest WHERE key = ?1", [key.as_str()])?;
        self.execute("DELETE FROM past WHERE key = ?1", [key.as_str()])?;
        Ok(())
    }

    fn forget_seen(&mut self, key: &AssetKey) -> Answer<()> {
        let old = self.source_row(key)?.map(|it| it.check);
        shift(&mut self.summary.source_sum, old, None);
        self.execute("DELETE FROM source WHERE key = ?1", [key.as_str()])?;
        self.execute("DELETE FROM past_source WHERE key = ?1", [key.as_str()])?;
        Ok(())
    }

    fn forgotten(&mut self, key: &AssetKey) -> Answer<()> {
        self.forget_made(key)?;
        self.forget_seen(key)?;
        for row in read::rows::<Attempt>(self.connection, "attempt", "SELECT id, body FROM last_attempt", [])? {
            if row.record.outputs == [key.clone()] {
                self.execute("DELETE FROM last_attempt WHERE id = ?1", [&row.record.id.0])?;
            }
        }
        Ok(())
    }
}
