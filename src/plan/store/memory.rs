//! The simplest store: everything in maps behind one lock, gone with the process.
//!
//! What the other stores are compared with, and what stands in for a database that cannot be read.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::{PoisonError, RwLock, RwLockReadGuard},
};

use super::{Change, KEPT, OBSERVED_KEPT, SEALED_KEPT, StateStore, StoreError};
use crate::{
    base::digest::Digest,
    model::key::{AssetKey, PartitionKey},
    plan::{
        backfill::{Backfill, spare},
        record::{
            Attempt, AttemptId, AttemptState, Materialization, Observation, RunId, RunRecord, Session, StepRecord,
        },
    },
};

type OpPartition = (String, PartitionKey);

#[derive(Default)]
struct Records {
    generation: u64,
    /// How many attempts were ever started: their order.
    started: u64,
    /// Newest first.
    stored: BTreeMap<(AssetKey, PartitionKey), VecDeque<Materialization>>,
    /// Newest first.
    observed: BTreeMap<AssetKey, VecDeque<Observation>>,
    attempts: BTreeMap<AttemptId, (u64, Attempt)>,
    /// The latest of each op's partition among the attempts that have ended.
    latest_ended: BTreeMap<OpPartition, AttemptId>,
    /// Oldest first.
    runs: Vec<RunRecord>,
    texts: BTreeMap<Digest, String>,
    sessions: Vec<Session>,
    /// Oldest first.
    backfills: Vec<Backfill>,
}

/// Keeps records in memory.
#[derive(Default)]
pub struct MemoryStore {
    records: RwLock<Records>,
    /// Set if nothing may be written: where the state would be.
    read_only: Option<PathBuf>,
}

impl MemoryStore {
    pub fn new() -> Self {
        MemoryStore::default()
    }

    /// From now on every commit is refused. `path` is where the state would be.
    pub fn into_read_only(mut self, path: PathBuf) -> Self {
        self.read_only = Some(path);
        self
    }

    /// Nothing was ever recorded.
    pub fn is_empty(&self) -> bool {
        let records = self.records();
        records.generation == 0 && records.runs.is_empty() && records.texts.is_empty() && records.backfills.is_empty()
    }

    fn records(&self) -> RwLockReadGuard<'_, Records> {
        self.records.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Change {
    /// Whether a decision can depend on it; see [`StateStore::generation`].
    pub(super) fn moves_generation(&self) -> bool {
        !matches!(
            self,
            Change::RunStarted(_)
                | Change::RunStep { .. }
                | Change::RunEnded { .. }
                | Change::Text { .. }
                | Change::BackfillAsked(_)
                | Change::BackfillTurned { .. }
                | Change::BackfillBegun { .. }
        )
    }
}

impl Attempt {
    /// Takes a new name for an asset; `true` if that changed anything.
    pub(super) fn rename(&mut self, old: &AssetKey, new: &AssetKey) -> bool {
        let mut changed = false;
        if self.op == old.as_str() {
            self.op = new.as_str().to_owned();
            changed = true;
        }
        let intents = match &mut self.state {
            AttemptState::Committing(intents) => intents.as_mut_slice(),
            _ => &mut [],
        };
        let intended = intents.iter_mut().map(|it| &mut it.materialization.key);
        for key in self.outputs.iter_mut().chain(intended).filter(|it| *it == old) {
            *key = new.clone();
            changed = true;
        }
        changed
    }

    pub(super) fn is_unfinished(&self) -> bool {
        matches!(self.state, AttemptState::Running | AttemptState::Committing(_))
    }
}

impl Records {
    fn apply(&mut self, change: &Change) {
        self.generation += u64::from(change.moves_generation());
        match change {
            Change::RunStarted(run) => {
                self.runs.retain(|it| it.id != run.id);
                self.runs.push(run.clone());
            }
            Change::RunStep { run, step } => self.change_run(run, |it| it.steps.push(step.clone())),
            Change::RunEnded { run, outcome, at } => self.change_run(run, |it| {
                it.outcome = Some(*outcome);
                it.ended_at = Some(*at);
            }),
            Change::AttemptStarted(attempt) => self.start(attempt),
            Change::AttemptCommitting { id, intents } => {
                if let Some(attempt) = self.unfinished(id) {
                    attempt.state = AttemptState::Committing(intents.clone());
                }
            }
            Change::AttemptEnded { id, state, at } => {
                if let Some(attempt) = self.unfinished(id) {
                    attempt.state = state.clone();
                    attempt.ended_at = Some(*at);
                    self.note_end(id);
                }
            }
            Change::Materialized(made) => {
                let kept = self.stored.entry((made.key.clone(), made.partition.clone())).or_default();
                kept.push_front((**made).clone());
                kept.truncate(KEPT);
            }
            Change::Refreshed(made) => {
                let latest = self.stored.get_mut(&(made.key.clone(), made.partition.clone()));
                if let Some(latest) = latest.and_then(|it| it.front_mut()).filter(|it| it.attempt == made.attempt) {
                    *latest = (**made).clone();
                }
            }
            Change::Observed(seen) => {
                let kept = self.observed.entry(seen.key.clone()).or_default();
                kept.retain(|it| it.data_version != seen.data_version);
                kept.push_front(seen.clone());
                kept.truncate(OBSERVED_KEPT);
            }
            Change::Text { digest, text } => {
                self.texts.entry(*digest).or_insert_with(|| text.clone());
            }
            Change::SessionOpened(session) => match self.sessions.iter_mut().find(|it| it.id == session.id) {
                Some(known) => *known = session.clone(),
                None => self.sessions.push(session.clone()),
            },
            Change::SessionSealed(id) => {
                self.sessions.iter_mut().filter(|it| it.id == *id).for_each(|it| it.sealed = true);
                let mut spare = self.sessions.iter().filter(|it| it.sealed).count().saturating_sub(SEALED_KEPT);
                self.sessions.retain(|it| {
                    let goes = it.sealed && spare > 0;
                    spare -= usize::from(goes);
                    !goes
                });
            }
            Change::Renamed { old, new } if old == new => {}
            Change::Renamed { old, new } => self.rename(old, new),
            Change::Forgotten(key) => self.forget(key),
            Change::RunForgotten(id) => self.forget_run(id),
            Change::BackfillAsked(asked) => self.ask(asked),
            Change::BackfillTurned { name, from, to, at } => {
                if let Some(it) = self.backfills.iter_mut().find(|it| it.name == *name) {
                    it.turn(from, *to, *at);
                }
            }
            Change::BackfillBegun { name, run } => {
                if let Some(it) = self.backfills.iter_mut().find(|it| it.name == *name) {
                    it.begin(run);
                }
            }
        }
    }

    fn change_run(&mut self, id: &RunId, change: impl FnOnce(&mut RunRecord)) {
        if let Some(run) = self.runs.iter_mut().find(|it| it.id == *id) {
            change(run);
        }
    }

    fn ask(&mut self, asked: &Backfill) {
        if self.backfills.iter().any(|it| it.name == asked.name) {
            return;
        }
        self.backfills.push(asked.clone());
        let spare = spare(&self.backfills);
        self.backfills.retain(|it| !spare.contains(&it.name));
    }

    fn start(&mut self, attempt: &Attempt) {
        self.started += 1;
        self.attempts.insert(attempt.id.clone(), (self.started, attempt.clone()));
        if !attempt.is_unfinished() {
            self.note_end(&attempt.id);
        }
    }

    fn unfinished(&mut self, id: &AttemptId) -> Option<&mut Attempt> {
        self.attempts.get_mut(id).map(|(_, it)| it).filter(|it| it.is_unfinished())
    }

    fn note_end(&mut self, id: &AttemptId) {
        let (started, attempt) = &self.attempts[id];
        let latest = self.latest_ended.entry((attempt.op.clone(), attempt.partition.clone())).or_insert(id.clone());
        if self.attempts[latest].0 < *started {
            *latest = id.clone();
        }
    }

    fn latest_attempts(&self) -> Vec<Attempt> {
        let unfinished = self.attempts.values().filter(|(_, it)| it.is_unfinished());
        let ended = self.latest_ended.values().map(|id| &self.attempts[id]);
        let mut latest: BTreeMap<(&str, &PartitionKey), &(u64, Attempt)> = BTreeMap::new();
        for found in unfinished.chain(ended) {
            let best = latest.entry((&found.1.op, &found.1.partition)).or_insert(found);
            if best.0 < found.0 {
                *best = found;
            }
        }
        latest.into_values().map(|(_, it)| it.clone()).collect()
    }

    fn rename(&mut self, old: &AssetKey, new: &AssetKey) {
        let named = |key: &AssetKey, wanted: &AssetKey| key == wanted;
        if self.stored.keys().any(|(key, _)| named(key, old)) {
            self.stored.retain(|(key, _), _| !named(key, new));
            let moved: Vec<_> = self.stored.extract_if(.., |(key, _), _| named(key, old)).collect();
            for ((_, partition), mut kept) in moved {
                kept.iter_mut().for_each(|it| it.key = new.clone());
                self.stored.insert((new.clone(), partition), kept);
            }
        }
        if let Some(mut kept) = self.observed.remove(old) {
            kept.iter_mut().for_each(|it| it.key = new.clone());
            self.observed.insert(new.clone(), kept);
        }
        if self.latest_ended.keys().any(|(op, _)| op == old.as_str()) {
            self.latest_ended.retain(|(op, _), _| op != new.as_str());
            let moved: Vec<_> = self.latest_ended.extract_if(.., |(op, _), _| op == old.as_str()).collect();
            for ((_, partition), id) in moved {
                self.latest_ended.insert((new.as_str().to_owned(), partition), id);
            }
        }
        for (_, attempt) in self.attempts.values_mut() {
            attempt.rename(old, new);
        }
        for step in self.runs.iter_mut().flat_map(|it| &mut it.steps).filter(|it| it.key == *old) {
            step.key = new.clone();
        }
        for backfill in &mut self.backfills {
            backfill.rename(old, new);
        }
    }

    fn forget(&mut self, key: &AssetKey) {
        self.stored.retain(|(stored, _), _| stored != key);
        self.observed.remove(key);
        let attempts = &self.attempts;
        self.latest_ended.retain(|_, id| attempts[id].1.outputs != [key.clone()]);
    }

    fn forget_run(&mut self, id: &RunId) {
        self.runs.retain(|it| it.id != *id);
        self.attempts.retain(|_, (_, it)| it.run != *id || it.is_unfinished());
        let attempts = &self.attempts;
        self.latest_ended.retain(|_, id| attempts.contains_key(id));
    }
}

fn without_steps(run: &RunRecord) -> RunRecord {
    RunRecord { steps: Vec::<StepRecord>::new(), ..run.clone() }
}

impl StateStore for MemoryStore {
    fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
        if let Some(path) = &self.read_only {
            return Err(StoreError::ReadOnly { path: path.clone() });
        }
        let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
        changes.iter().for_each(|it| records.apply(it));
        Ok(())
    }

    fn generation(&self) -> Result<u64, StoreError> {
        Ok(self.records().generation)
    }

    fn latest_all(&self) -> Result<Vec<Materialization>, StoreError> {
        Ok(self.records().stored.values().filter_map(|it| it.front().cloned()).collect())
    }

    fn latest(&self, key: &AssetKey, partition: &PartitionKey) -> Result<Option<Materialization>, StoreError> {
        Ok(self.history(key, partition)?.into_iter().next())
    }

    fn history(&self, key: &AssetKey, partition: &PartitionKey) -> Result<Vec<Materialization>, StoreError> {
        let records = self.records();
        let kept = records.stored.get(&(key.clone(), partition.clone()));
        Ok(kept.into_iter().flatten().cloned().collect())
    }

    fn last_attempts(&self) -> Result<Vec<Attempt>, StoreError> {
        Ok(self.records().latest_attempts())
    }

    fn unfinished_attempts(&self) -> Result<Vec<Attempt>, StoreError> {
        Ok(self.records().attempts.values().filter(|(_, it)| it.is_unfinished()).map(|(_, it)| it.clone()).collect())
    }

    fn attempt(&self, id: &AttemptId) -> Result<Option<Attempt>, StoreError> {
        Ok(self.records().attempts.get(id).map(|(_, it)| it.clone()))
    }

    fn attempts_of(&self, run: &RunId) -> Result<Vec<Attempt>, StoreError> {
        let records = self.records();
        let mut found: Vec<_> = records.attempts.values().filter(|(_, it)| it.run == *run).collect();
        found.sort_by_key(|(started, _)| *started);
        Ok(found.into_iter().map(|(_, it)| it.clone()).collect())
    }

    fn observations(&self) -> Result<Vec<Observation>, StoreError> {
        Ok(self.records().observed.values().filter_map(|it| it.front().cloned()).collect())
    }

    fn observation(&self, key: &AssetKey, version: &Digest) -> Result<Option<Observation>, StoreError> {
        let records = self.records();
        let mut kept = records.observed.get(key).into_iter().flatten();
        Ok(kept.find(|it| it.data_version == *version).cloned())
    }

    fn runs(&self, limit: usize) -> Result<Vec<RunRecord>, StoreError> {
        Ok(self.records().runs.iter().rev().take(limit).map(without_steps).collect())
    }

    fn run(&self, id: &RunId) -> Result<Option<RunRecord>, StoreError> {
        Ok(self.records().runs.iter().find(|it| it.id == *id).cloned())
    }

    fn text(&self, digest: &Digest) -> Result<Option<String>, StoreError> {
        Ok(self.records().texts.get(digest).cloned())
    }

    fn sessions(&self) -> Result<Vec<Session>, StoreError> {
        Ok(self.records().sessions.clone())
    }

    fn backfills(&self) -> Result<Vec<Backfill>, StoreError> {
        Ok(self.records().backfills.clone())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::store::conformance;

    #[test]
    fn the_memory_store_conforms() {
        conformance::check(&|| Box::new(MemoryStore::new()));
    }
}
