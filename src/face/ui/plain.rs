//! Tells of a run in plain lines, for pipes, logs and CI: one for each asset that finished, a
//! sign of life now and then.

use std::{collections::BTreeMap, fmt::Write};

use crate::{
    face::ui::{
        Role, Style, Ui,
        github::Groups,
        line::{self, Shown},
        progress::Setting,
        stream::Stream,
        tally::Tally,
        words,
    },
    model::event::{Listener, RunEvent, RunOutcome, StepIndex, StepOutcome, StepReport},
};

/// A step is said to run only once it has taken so long.
const LONG_MS: u64 = 30_000;
/// So that nobody takes a silent job for a dead one.
const HEARTBEAT_MS: u64 = 60_000;

pub struct PlainListener {
    err: Stream,
    style: Style,
    setting: Setting,
    quiet: bool,
    shown: Shown,
    groups: Groups,
    group_open: bool,
    tally: Tally,
    running: BTreeMap<StepIndex, Running>,
    now_ms: u64,
    started_ms: Option<u64>,
    last_said_ms: u64,
    /// Time that does not count: everything stood still.
    paused_ms: u64,
    /// Lines said since the last failure: none means that it need not be told again.
    said_since_failure: usize,
}

struct Running {
    name: String,
    since_ms: u64,
    said: bool,
}

impl PlainListener {
    /// With `only_failures`, or on a quiet `ui`, nothing but failures is told.
    pub fn new(ui: &Ui, setting: Setting, groups: Groups, only_failures: bool) -> PlainListener {
        PlainListener {
            err: ui.err().clone(),
            style: ui.err().style(),
            quiet: ui.is_quiet() || only_failures,
            shown: Shown::new(ui.is_verbose()),
            groups,
            group_open: false,
            tally: Tally::new(setting.fresh),
            setting,
            running: BTreeMap::new(),
            now_ms: 0,
            started_ms: None,
            last_said_ms: 0,
            paused_ms: 0,
            said_since_failure: 0,
        }
    }

    /// `text` ends in a newline. There is nowhere to say that standard error is gone.
    fn write(&mut self, text: &str) {
        self.last_said_ms = self.now_ms;
        self.said_since_failure += 1;
        let _ = match self.groups {
            Groups::None => self.err.sink().write(text),
            // Indented text is foreign, and must not command the runner.
            Groups::Used => self.err.sink().write(&text.replace("    ::", "    : :")),
        };
    }

    fn say(&mut self, word: &str, role: Role, rest: &str) {
        if !self.quiet {
            let mut text = line::with_status(word, role, rest, self.style, None);
            text.push('\n');
            self.write(&text);
        }
    }

    /// `[ 3/48] `.
    fn counter(&self) -> String {
        let total = self.tally.steps.to_string();
        format!("[{:>width$}/{total}] ", self.tally.steps_done, width = total.len())
    }

    fn finished(&mut self, report: &StepReport) {
        let failed = report.outcome == StepOutcome::Failed;
        if !self.shown.is_shown(report) || self.quiet && !failed {
            return;
        }
        let mut text = String::new();
        self.group(report.outcome == StepOutcome::Built || report.outcome == StepOutcome::Restored, &mut text);
        text.push_str(&self.counter());
        let report = self.tally.told(report);
        text.push_str(&line::finished(&report, self.setting.columns, self.style, None));
        text.push('\n');
        if failed {
            text.push_str(&line::failure_details(&report, self.style));
        }
        self.write(&text);
        if failed {
            self.said_since_failure = 0;
        }
    }

    /// Opens or closes the collapsed group that only successes go into.
    fn group(&mut self, wanted: bool, text: &mut String) {
        if self.groups == Groups::None || self.quiet || wanted == self.group_open {
            return;
        }
        text.push_str(if wanted { "::group::Built assets\n" } else { "::endgroup::\n" });
        self.group_open = wanted;
    }

    fn run_finished(&mut self, outcome: RunOutcome, duration_ms: u64) {
        let mut text = String::new();
        self.group(false, &mut text);
        let retell = !self.quiet && (self.said_since_failure > 0 || self.tally.failures.len() > 1);
        text.push_str(&end(&self.tally, &self.setting, outcome, retell, self.style, None));
        if !self.quiet {
            let _ = writeln!(text, "{}", line::counts(&self.tally.counts, outcome, duration_ms, self.style));
        }
        if !text.is_empty() {
            self.write(&text);
        }
    }

    fn heartbeat(&mut self) {
        let mut long = Vec::new();
        for it in self.running.values_mut() {
            let elapsed_ms = self.now_ms.saturating_sub(it.since_ms);
            if elapsed_ms >= LONG_MS && !it.said {
                it.said = true;
                long.push(format!("{} for {} so far", it.name, words::duration(elapsed_ms)));
            }
        }
        for rest in long {
            self.say("Running", Role::Info, &rest);
        }
        if self.now_ms.saturating_sub(self.last_said_ms) < HEARTBEAT_MS {
            return;
        }
        if let Some(longest) = self.running.values().min_by_key(|it| it.since_ms) {
            let rest = format!(
                "{}, {}/{} done, {} for {}",
                words::count(self.running.len(), "step"),
                self.tally.steps_done,
                self.tally.steps,
                longest.name,
                words::duration(self.now_ms.saturating_sub(longest.since_ms)),
            );
            self.say("Running", Role::Info, &rest);
        }
    }
}

/// What is said after the last asset and before the counts. `retell`: the failures no longer stand right above.
pub fn end(
    tally: &Tally,
    setting: &Setting,
    outcome: RunOutcome,
    retell: bool,
    style: Style,
    width: Option<usize>,
) -> String {
    let mut text = String::new();
    if retell {
        text.push_str(&line::failures_again(tally, &setting.retry, setting.columns, style, width));
    } else if !tally.failures.is_empty() {
        text.push_str(&line::retry_line(&setting.retry, style));
    }
    if outcome == RunOutcome::Interrupted {
        let _ =
            writeln!(text, "\nWhat is finished is kept. To go on: {}\n", style.paint(Role::Strong, &setting.resume));
    }
    text
}

/// What is said of an event that ends no step: word, meaning and the rest of the line.
pub fn remark(event: &RunEvent) -> Option<(&'static str, Role, String)> {
    match event {
        RunEvent::Waiting { key, holder, .. } => {
            Some(("Waiting", Role::Warn, format!("{key} is held by {}", words::visible(holder))))
        }
        RunEvent::Retrying { key, attempt, of, delay_ms, reason, .. } => {
            let when = if *delay_ms == 0 { String::new() } else { format!(" in {}", words::duration(*delay_ms)) };
            let reason = words::visible(reason);
            Some(("Retrying", Role::Warn, format!("{key}, attempt {attempt} of {of}{when}: {reason}")))
        }
        RunEvent::Interrupted { running: 0, .. } => Some(("Stopping", Role::Warn, "nothing is running".to_owned())),
        RunEvent::Interrupted { running, grace_ms: 0 } => {
            Some(("Stopping", Role::Warn, format!("killing {}", words::count(*running, "command"))))
        }
        RunEvent::Interrupted { running, grace_ms } => {
            let seconds = grace_ms.div_ceil(1_000);
            let what = format!("waiting up to {seconds} s for {running} running; Ctrl-C again kills");
            Some(("Stopping", Role::Warn, what))
        }
        RunEvent::Resumed { paused_ms } => {
            Some(("Resumed", Role::Info, format!("after {}", words::duration(*paused_ms))))
        }
        RunEvent::Note { message } => Some(("Note", Role::Info, words::visible(message).into_owned())),
        _ => None,
    }
}

impl Listener for PlainListener {
    fn on_event(&mut self, event: &RunEvent) {
        self.tally.take(event);
        match event {
            RunEvent::StepStarted { step, key, partition, .. } => {
                let name = line::name(key, partition);
                self.running.insert(*step, Running { name, since_ms: self.now_ms, said: false });
            }
            RunEvent::StepFinished { step, reports } => {
                self.running.remove(step);
                for report in reports {
                    self.finished(report);
                }
            }
            RunEvent::RunFinished { outcome, duration_ms, .. } => self.run_finished(*outcome, *duration_ms),
            _ => {
                match event {
                    RunEvent::Resumed { paused_ms } => self.paused_ms += paused_ms,
                    RunEvent::Retrying { step, .. } => drop(self.running.remove(step)),
                    _ => {}
                }
                if let Some((word, role, rest)) = remark(event) {
                    self.say(word, role, &rest);
                }
            }
        }
    }

    fn on_tick(&mut self, now_ms: u64) {
        self.now_ms = now_ms.saturating_sub(self.paused_ms);
        if self.started_ms.is_none() {
            self.started_ms = Some(self.now_ms);
            self.last_said_ms = self.now_ms;
        }
        self.heartbeat();
    }
}

#[cfg(test)]
pub mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::{
        face::ui::{Volume, line::Columns, line::tests::report},
        model::key::{AssetKey, PartitionKey},
    };

    pub fn started(step: StepIndex, key: &str) -> RunEvent {
        let key = AssetKey::parse(key).unwrap();
        let partition = PartitionKey::whole();
        RunEvent::StepStarted { step, key, partition, attempt: 1, together_with: None, median_ms: Some(1_000) }
    }

    pub fn finished(step: StepIndex, key: &str, outcome: StepOutcome) -> RunEvent {
        RunEvent::StepFinished { step, reports: vec![report(key, outcome)] }
    }

    pub fn run_started(steps: usize) -> RunEvent {
        RunEvent::RunStarted { run: "r1".to_owned(), steps, jobs: 2 }
    }

    pub fn run_finished(outcome: RunOutcome) -> RunEvent {
        RunEvent::RunFinished { run: "r1".to_owned(), outcome, duration_ms: 31_000 }
    }

    pub fn setting() -> Setting {
        Setting { fresh: 980, columns: Columns { key: 13, io: 5 }, ..Setting::default() }
    }

    fn tells(volume: Volume, groups: Groups, events: &[(u64, RunEvent)], expected: Expect) {
        let (out, answer) = Stream::captured();
        let (err, talk) = Stream::captured();
        let mut listener = PlainListener::new(&Ui::new(out, err, volume), setting(), groups, false);
        for (now_ms, event) in events {
            listener.on_tick(*now_ms);
            listener.on_event(event);
        }
        expected.assert_eq(&words::ruled(&talk.text()));
        assert_eq!(answer.text(), "");
    }

    fn small_run() -> Vec<(u64, RunEvent)> {
        let mut events = vec![(0, run_started(10)), (0, started(0, "orders"))];
        events.push((900, finished(0, "orders", StepOutcome::Built)));
        events.push((900, finished(1, "mart/same", StepOutcome::CutOff)));
        events.push((1_800, finished(2, "mart/revenue", StepOutcome::Failed)));
        events.push((1_800, finished(3, "mart/forecast", StepOutcome::Skipped)));
        events.push((2_000, finished(4, "mart/top", StepOutcome::Built)));
        events.push((2_000, run_finished(RunOutcome::Failed)));
        events
    }

    #[test]
    fn a_run_is_one_line_an_asset() {
        tells(
            Volume::Normal,
            Groups::None,
            &small_run(),
            expect![[r#"
                |[ 1/10]        Built orders         files     0.8s     1.2 MB  code changed: sql/orders_daily.sql
                |[ 3/10]       Failed mart/revenue   files     0.8s  exit status 1
                |    Traceback (most recent call last):
                |        KeyError: 'amount'
                |    log: .assets/runs/r1/mart/revenue.log
                |[ 4/10]      Skipped mart/forecast  files  upstream mart/revenue failed
                |[ 5/10]        Built mart/top       files     0.8s     1.2 MB  code changed: sql/orders_daily.sql
                |
                |1 asset failed:
                |      Failed mart/revenue   files     0.8s  exit status 1
                |    Traceback (most recent call last):
                |        KeyError: 'amount'
                |    log: .assets/runs/r1/mart/revenue.log
                |
                |To run only what failed again: assets retry
                |
                |    Finished 2 built, 1 failed, 1 skipped, 1 cut off, 980 fresh in 31s
            "#]],
        );
    }

    #[test]
    fn verbose_tells_of_what_was_not_run() {
        let events = [
            (0, run_started(1)),
            (0, finished(0, "orders", StepOutcome::Fresh)),
            (0, run_finished(RunOutcome::Succeeded)),
        ];
        tells(
            Volume::Verbose,
            Groups::None,
            &events,
            expect![[r#"
                |[1/1]        Fresh orders         files
                |    Finished 981 fresh in 31s
            "#]],
        );
        tells(
            Volume::Normal,
            Groups::None,
            &events,
            expect![[r#"
                |    Finished 981 fresh in 31s
            "#]],
        );
        tells(Volume::Quiet, Groups::None, &events, expect![[""]]);
    }

    #[test]
    fn quiet_leaves_failures() {
        tells(
            Volume::Quiet,
            Groups::None,
            &small_run(),
            expect![[r#"
                |[ 3/10]       Failed mart/revenue   files     0.8s  exit status 1
                |    Traceback (most recent call last):
                |        KeyError: 'amount'
                |    log: .assets/runs/r1/mart/revenue.log
                |
                |To run only what failed again: assets retry
                |
            "#]],
        );
    }

    #[test]
    fn on_github_only_successes_are_folded_away() {
        tells(
            Volume::Normal,
            Groups::Used,
            &small_run(),
            expect![[r#"
                |::group::Built assets
                |[ 1/10]        Built orders         files     0.8s     1.2 MB  code changed: sql/orders_daily.sql
                |::endgroup::
                |[ 3/10]       Failed mart/revenue   files     0.8s  exit status 1
                |    Traceback (most recent call last):
                |        KeyError: 'amount'
                |    log: .assets/runs/r1/mart/revenue.log
                |[ 4/10]      Skipped mart/forecast  files  upstream mart/revenue failed
                |::group::Built assets
                |[ 5/10]        Built mart/top       files     0.8s     1.2 MB  code changed: sql/orders_daily.sql
                |::endgroup::
                |
                |1 asset failed:
                |      Failed mart/revenue   files     0.8s  exit status 1
                |    Traceback (most recent call last):
                |        KeyError: 'amount'
                |    log: .assets/runs/r1/mart/revenue.log
                |
                |To run only what failed again: assets retry
                |
                |    Finished 2 built, 1 failed, 1 skipped, 1 cut off, 980 fresh in 31s
            "#]],
        );
    }

    #[test]
    fn output_of_a_command_is_no_command_to_github() {
        let RunEvent::StepFinished { step, mut reports } = finished(0, "mart/revenue", StepOutcome::Failed) else {
            unreachable!("it was made as one")
        };
        reports[0].error.as_mut().unwrap().output_tail = vec!["\t::add-path::/evil".to_owned(), "::x".to_owned()];
        let (out, _) = Stream::captured();
        let (err, talk) = Stream::captured();
        let mut it = PlainListener::new(&Ui::new(out, err, Volume::Normal), setting(), Groups::Used, false);
        it.on_event(&RunEvent::StepFinished { step, reports });
        it.on_event(&run_finished(RunOutcome::Failed));
        assert!(talk.text().lines().all(|it| !it.trim_start().starts_with("::")), "{}", talk.text());
    }

    #[test]
    fn one_failure_is_not_told_twice_in_a_row() {
        let events = [
            (0, run_started(1)),
            (0, finished(0, "mart/revenue", StepOutcome::Failed)),
            (0, run_finished(RunOutcome::Failed)),
        ];
        tells(
            Volume::Normal,
            Groups::None,
            &events,
            expect![[r#"
                |[1/1]       Failed mart/revenue   files     0.8s  exit status 1
                |    Traceback (most recent call last):
                |        KeyError: 'amount'
                |    log: .assets/runs/r1/mart/revenue.log
                |
                |To run only what failed again: assets retry
                |
                |    Finished 1 failed, 980 fresh in 31s
            "#]],
        );
    }

    #[test]
    fn long_steps_show_that_they_live() {
        let tick = |at_ms| (at_ms, RunEvent::Note { message: "tick".to_owned() });
        let mut events = vec![(0, run_started(2)), (0, started(0, "orders")), (10_000, started(1, "short"))];
        events.push((11_000, finished(1, "short", StepOutcome::Built)));
        events.extend([tick(29_000), tick(31_000), tick(92_000), tick(200_000)]);
        events.push((200_000, run_finished(RunOutcome::Interrupted)));
        tells(
            Volume::Normal,
            Groups::None,
            &events,
            expect![[r#"
                |[1/2]        Built short          files     0.8s     1.2 MB  code changed: sql/orders_daily.sql
                |        Note tick
                |     Running orders for 31s so far
                |        Note tick
                |     Running 1 step, 1/2 done, orders for 1m 32s
                |        Note tick
                |     Running 1 step, 1/2 done, orders for 3m 20s
                |        Note tick
                |
                |What is finished is kept. To go on: assets materialize
                |
                | Interrupted 1 built, 980 fresh in 31s
            "#]],
        );
    }

    #[test]
    fn remarks_are_lines_too() {
        let key = AssetKey::parse("orders").unwrap();
        let events = [
            (0, RunEvent::Waiting { step: 0, key: key.clone(), holder: "pid 4711 (assets watch)".to_owned() }),
            (
                0,
                RunEvent::Retrying {
                    step: 0,
                    key,
                    attempt: 2,
                    of: 3,
                    delay_ms: 5_000,
                    reason: "exit status 1".to_owned(),
                },
            ),
            (0, RunEvent::Interrupted { running: 3, grace_ms: 5_000 }),
            (0, RunEvent::Interrupted { running: 1, grace_ms: 0 }),
            (0, RunEvent::Interrupted { running: 0, grace_ms: 0 }),
            (0, RunEvent::Paused),
            (9_000, RunEvent::Resumed { paused_ms: 9_000 }),
            (0, RunEvent::Note { message: "the log was cut\x07".to_owned() }),
        ];
        tells(
            Volume::Normal,
            Groups::None,
            &events,
            expect![[r#"
                |     Waiting orders is held by pid 4711 (assets watch)
                |    Retrying orders, attempt 2 of 3 in 5.0s: exit status 1
                |    Stopping waiting up to 5 s for 3 running; Ctrl-C again kills
                |    Stopping killing 1 command
                |    Stopping nothing is running
                |     Resumed after 9.0s
                |        Note the log was cut\u{7}
            "#]],
        );
    }

    #[test]
    fn thousands_of_skipped_assets_are_counted() {
        let (out, _) = Stream::captured();
        let (err, talk) = Stream::captured();
        let mut listener = PlainListener::new(&Ui::new(out, err, Volume::Normal), setting(), Groups::None, false);
        listener.on_event(&run_started(5_000));
        for step in 0..5_000 {
            listener.on_event(&finished(step, "mart/forecast", StepOutcome::Skipped));
        }
        listener.on_event(&run_finished(RunOutcome::Failed));
        assert_eq!(talk.text().lines().count(), line::SKIPPED_SHOWN_MAX + 1);
        assert!(talk.text().ends_with("    Finished 5,000 skipped, 980 fresh in 31s\n"));
    }
}
