//! What a run came to so far: counts and failures, as every listener that talks to people keeps them.

use crate::{
    face::ui::words,
    model::event::{RunEvent, StepOutcome, StepReport},
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
                        self.failures.push(report.clone());
                    }
                }
            }
            _ => {}
        }
    }
}
