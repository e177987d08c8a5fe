//! The event log of a run: one JSON object a line, `assets.events/1`.

use std::{io::Write, sync::Arc};

use serde::Serialize;

use crate::{
    base::clock::Clock,
    face::report::materialize::FinishedStep,
    model::event::{Listener, RunEvent},
};

pub const SCHEMA: &str = "assets.events/1";

/// One line of the event log.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.events/1"))]
pub struct EventLine {
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: &'static str,
    /// RFC 3339, UTC.
    pub at: String,
    #[serde(flatten)]
    pub event: EventDocument,
}

/// What happened. `step` is a place in the plan of the run.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum EventDocument {
    RunStarted {
        run: String,
        steps: usize,
        jobs: usize,
    },
    Waiting {
        step: usize,
        key: String,
        holder: String,
    },
    StepStarted {
        step: usize,
        key: String,
        partition: Option<String>,
        attempt: u32,
        /// The first of several steps that one command or query makes at once.
        #[serde(skip_serializing_if = "Option::is_none")]
        together_with: Option<usize>,
    },
    Retrying {
        step: usize,
        key: String,
        attempt: u32,
        of: u32,
        delay_ms: u64,
        reason: String,
    },
    StepFinished {
        step: usize,
        /// One for each asset that the step makes.
        assets: Vec<FinishedStep>,
    },
    /// Told to stop: what runs has so long to end. Again, with 0: it is killed.
    Interrupted {
        running: usize,
        grace_ms: u64,
    },
    Paused,
    Resumed {
        paused_ms: u64,
    },
    Note {
        message: String,
    },
    RunFinished {
        run: String,
        #[cfg_attr(test, schemars(extend("enum" = crate::face::report::schema::run_outcomes())))]
        outcome: &'static str,
        duration_ms: u64,
    },
}

impl From<&RunEvent> for EventDocument {
    fn from(event: &RunEvent) -> Self {
        match event.clone() {
            RunEvent::RunStarted { run, steps, jobs } => EventDocument::RunStarted { run, steps, jobs },
            RunEvent::Waiting { step, key, holder } => EventDocument::Waiting { step, key: key.to_string(), holder },
            RunEvent::StepStarted { step, key, partition, attempt, together_with, median_ms: _ } => {
                let partition = partition.name().map(str::to_owned);
                EventDocument::StepStarted { step, key: key.to_string(), partition, attempt, together_with }
            }
            RunEvent::Retrying { step, key, attempt, of, delay_ms, reason } => {
                EventDocument::Retrying { step, key: key.to_string(), attempt, of, delay_ms, reason }
            }
            RunEvent::StepFinished { step, reports } => {
                EventDocument::StepFinished { step, assets: reports.iter().map(FinishedStep::from).collect() }
            }
            RunEvent::Interrupted { running, grace_ms } => EventDocument::Interrupted { running, grace_ms },
            RunEvent::Paused => EventDocument::Paused,
            RunEvent::Resumed { paused_ms } => EventDocument::Resumed { paused_ms },
            RunEvent::Note { message } => EventDocument::Note { message },
            RunEvent::RunFinished { run, outcome, duration_ms } => {
                EventDocument::RunFinished { run, outcome: outcome.name(), duration_ms }
            }
        }
    }
}

/// Writes every event to `out`, a line each, at once.
pub struct EventLog<W> {
    out: W,
    clock: Arc<dyn Clock>,
    failed: Option<std::io::Error>,
}

impl<W: Write> EventLog<W> {
    pub fn new(out: W, clock: Arc<dyn Clock>) -> Self {
        EventLog { out, clock, failed: None }
    }

    /// The first failure to write; the log is broken off there.
    pub fn failure(&self) -> Option<&std::io::Error> {
        self.failed.as_ref()
    }

    pub fn into_failure(self) -> Option<std::io::Error> {
        self.failed
    }
}

impl<W: Write> Listener for EventLog<W> {
    fn on_event(&mut self, event: &RunEvent) {
        if self.failed.is_some() {
            return;
        }
        let line = EventLine { schema: SCHEMA, at: self.clock.now().to_string(), event: event.into() };
        let mut bytes = serde_json::to_vec(&line).expect("events have text keys and no failing parts");
        bytes.push(b'\n');
        self.failed = self.out.write_all(&bytes).and_then(|()| self.out.flush()).err();
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        face::ui::plain::tests::{finished, run_finished, run_started, started},
        model::{
            event::{RunOutcome, StepOutcome},
            key::AssetKey,
        },
    };

    struct Fixed;

    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            "2026-11-20T12:00:00.25Z".parse().unwrap()
        }

        fn monotonic_ms(&self) -> u64 {
            0
        }
    }

    #[test]
    fn every_event_is_a_line_that_the_schema_knows() {
        let key = AssetKey::parse("orders").unwrap();
        let events = [
            run_started(2),
            RunEvent::Waiting { step: 0, key: key.clone(), holder: "pid 7".to_owned() },
            started(0, "orders"),
            RunEvent::Retrying { step: 0, key, attempt: 2, of: 3, delay_ms: 5, reason: "exit status 1".to_owned() },
            finished(0, "orders", StepOutcome::Built),
            RunEvent::Interrupted { running: 1, grace_ms: 5_000 },
            RunEvent::Paused,
            RunEvent::Resumed { paused_ms: 7 },
            RunEvent::Note { message: "a\nb".to_owned() },
            run_finished(RunOutcome::Interrupted),
        ];
        let mut log = EventLog::new(Vec::new(), Arc::new(Fixed));
        for event in &events {
            log.on_event(event);
        }
        let text = String::from_utf8(log.out).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
        assert_eq!(lines.len(), events.len());
        crate::face::report::schema::check::<EventLine>("events", &lines);
        let first = r#"{"schema":"assets.events/1","at":"2026-11-20T12:00:00.25Z","event":"run_started","run":"r1","steps":2,"jobs":2}"#;
        assert_eq!(text.lines().next(), Some(first));
    }

    #[test]
    fn a_log_that_cannot_be_written_says_so() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut log = EventLog::new(Full, Arc::new(Fixed));
        assert!(log.failure().is_none());
        log.on_event(&run_started(1));
        assert_eq!(log.failure().unwrap().kind(), std::io::ErrorKind::StorageFull);
    }
}
