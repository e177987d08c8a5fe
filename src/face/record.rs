//! Keeps what becomes of each step of a run in the state's history.
//!
//! A listener like any other. What it cannot write is told once and fails nothing: the records that
//! decisions stand on are written by the steps themselves.

use crate::{
    base::clock::Clock,
    model::event::{Listener, RunEvent, StepOutcome, StepReport},
    plan::{
        checked::{CheckHistory, Look, Said},
        record::{RunId, StepRecord},
        store::{Change, StateStore},
    },
};

/// Steps kept back for one write.
const BATCH: usize = 200;

pub struct Recorder<'a> {
    store: &'a dyn StateStore,
    checked: &'a CheckHistory,
    clock: &'a dyn Clock,
    run: RunId,
    waiting: Vec<Change>,
    trouble: Option<String>,
}

impl<'a> Recorder<'a> {
    pub fn new(store: &'a dyn StateStore, checked: &'a CheckHistory, clock: &'a dyn Clock, run: RunId) -> Self {
        Recorder { store, checked, clock, run, waiting: Vec::new(), trouble: None }
    }

    /// What could not be written, for people.
    pub fn trouble(self) -> Option<String> {
        self.trouble
    }

    fn flush(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        if let Err(error) = self.store.commit(&self.waiting) {
            self.trouble.get_or_insert_with(|| format!("the history of this run is not complete: {error}"));
        }
        self.waiting.clear();
    }

    fn look(&mut self, report: &StepReport) {
        if report.checks.is_empty() {
            return;
        }
        let built = report.outcome == StepOutcome::Built;
        let look = Look {
            at: self.clock.now(),
            run: self.run.0.clone(),
            partition: None,
            data_version: report.data_version.filter(|_| built).map(|it| it.to_string()),
            checks: report.checks.iter().map(Said::from).collect(),
        };
        if let Err(error) = self.checked.add(&report.key, &report.partition, &look) {
            self.trouble.get_or_insert_with(|| format!("the history of checks is not complete: {error}"));
        }
    }

    fn step(&self, report: &StepReport) -> Change {
        let step = StepRecord {
            key: report.key.clone(),
            partition: report.partition.clone(),
            outcome: report.outcome,
            duration_ms: report.duration_ms,
            attempt: None,
            data_version: report.data_version,
            bytes: report.bytes,
            rows: report.rows,
            error: report.error.as_ref().map(|it| it.message.clone()),
        };
        Change::RunStep { run: self.run.clone(), step }
    }
}

impl Listener for Recorder<'_> {
    fn on_event(&mut self, event: &RunEvent) {
        match event {
            RunEvent::StepFinished { reports, .. } => {
                reports.iter().for_each(|it| self.look(it));
                let steps: Vec<Change> = reports.iter().map(|it| self.step(it)).collect();
                self.waiting.extend(steps);
                if self.waiting.len() >= BATCH {
                    self.flush();
                }
            }
            RunEvent::RunFinished { outcome, .. } => {
                self.waiting.push(Change::RunEnded { run: self.run.clone(), outcome: *outcome, at: self.clock.now() });
                self.flush();
            }
            _ => {}
        }
    }

    fn on_tick(&mut self, _now_ms: u64) {
        if self.waiting.len() >= BATCH {
            self.flush();
        }
    }
}
