//! What a run came to so far: counts and failures, as every listener that talks to people keeps them.

use std::{borrow::Cow, collections::HashMap};

use crate::{
    face::ui::{line, words},
    model::event::{RunEvent, StepError, StepOutcome, StepReport},
};

/// How many assets ended in which way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    pub built: usize,
    /// Of those built: the content is what it was.
    pub unchanged: usize,
    pub restored: usize,
    pub cut_off: usize,
    pub fresh: usize,
    pub failed: usize,
    pub skipped: usize,
}

impl Counts {
    pub fn add(&mut self, report: &StepReport) {
        self.add_outcome(report.outcome);
        self.unchanged += usize::from(report.outcome == StepOutcome::Built && report.unchanged);
    }

    pub fn add_outcome(&mut self, outcome: StepOutcome) {
        let counter = match outcome {
            StepOutcome::Built => &mut self.built,
            StepOutcome::Restored => &mut self.restored,
            StepOutcome::CutOff => &mut self.cut_off,
            StepOutcome::Fresh => &mut self.fresh,
            StepOutcome::Failed => &mut self.failed,
            StepOutcome::Skipped => &mut self.skipped,
        };
        *counter += 1;
    }

    pub fn total(&self) -> usize {
        self.built + self.restored + self.cut_off + self.fresh + self.failed + self.skipped
    }

    /// `12 built (3 unchanged), 1 failed, 980 fresh`.
    pub fn in_words(&self) -> String {
        let named = [
            (self.built, "built"),
            (self.restored, "restored"),
            (self.failed, "failed"),
            (self.skipped, "skipped"),
            (self.cut_off, "cut off"),
            (self.fresh, "fresh"),
        ];
        let mut parts: Vec<String> = Vec::new();
        for (number, name) in named.into_iter().filter(|it| it.0 > 0) {
            let mut part = format!("{} {name}", words::thousands(number as u64));
            if name == "built" && self.unchanged > 0 {
                part.push_str(&format!(" ({} unchanged)", words::thousands(self.unchanged as u64)));
            }
            parts.push(part);
        }
        if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
    }
}

#[derive(Debug, Default)]
pub struct Tally {
    pub steps: usize,
    pub steps_done: usize,
    pub counts: Counts,
    pub failures: Vec<StepReport>,
    /// By what is told of them, places of failures: a server that is down stops many assets, and is told of once.
    causes: Vec<Vec<usize>>,
    /// Message and help, and the place among the causes.
    by_error: HashMap<(String, Vec<String>), usize>,
}

impl Tally {
    /// `fresh` assets were selected and are no step of the run.
    pub fn new(fresh: usize) -> Tally {
        Tally { counts: Counts { fresh, ..Counts::default() }, ..Tally::default() }
    }

    pub fn take(&mut self, event: &RunEvent) {
        match event {
            RunEvent::RunStarted { steps, .. } => self.steps = *steps,
            RunEvent::StepFinished { reports, .. } => {
                self.steps_done += 1;
                for report in reports {
                    self.counts.add(report);
                    if report.outcome == StepOutcome::Failed {
                        self.fail(report);
                    }
                }
            }
            _ => {}
        }
    }

    fn fail(&mut self, report: &StepReport) {
        let place = self.failures.len();
        self.failures.push(report.clone());
        let known = shared(report).map(|it| *self.by_error.entry(it).or_insert(self.causes.len()));
        match known.and_then(|it| self.causes.get_mut(it)) {
            Some(them) => them.push(place),
            None => self.causes.push(vec![place]),
        }
    }

    /// The failures, those of one cause together: the first, and the others.
    pub fn causes(&self) -> impl Iterator<Item = (&StepReport, Vec<&StepReport>)> {
        self.causes.iter().map(|them| {
            let mut them = them.iter().map(|it| &self.failures[*it]);
            (them.next().expect("a cause has a failure"), them.collect())
        })
    }

    /// As it is told when it comes: what another failure has said is not said again.
    pub fn told<'r>(&self, report: &'r StepReport) -> Cow<'r, StepReport> {
        let cause = shared(report).and_then(|it| self.by_error.get(&it)).map(|it| &self.failures[self.causes[*it][0]]);
        match cause.filter(|it| (&it.key, &it.partition) != (&report.key, &report.partition)) {
            Some(first) => {
                let message = format!("the same as {}", line::name(&first.key, &first.partition));
                let error = Some(StepError { message, ..StepError::default() });
                Cow::Owned(StepReport { error, ..report.clone() })
            }
            None => Cow::Borrowed(report),
        }
    }
}

/// What may be told of several failures: they have no output of their own.
fn shared(report: &StepReport) -> Option<(String, Vec<String>)> {
    let error = report.error.as_ref().filter(|_| report.outcome == StepOutcome::Failed)?;
    let is_own = error.log.is_some() || !error.output_tail.is_empty() || !report.checks.is_empty();
    (!is_own).then(|| (error.message.clone(), error.help.clone()))
}
