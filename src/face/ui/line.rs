//! The lines that a run is told in: one for each asset, blocks for failures, counts at the end.
//!
//! Pure text; which of them are shown, when and where is decided by the listeners.

use std::fmt::Write;

use crate::{
    face::ui::{
        Role, Style, reason, rows,
        tally::{Counts, Tally},
        words,
    },
    model::{
        event::{Extent, RunOutcome, StepOutcome, StepReport},
        key::{AssetKey, PartitionKey},
    },
};

/// Columns of the right-aligned word that begins a line.
const STATUS_COLUMNS: usize = 12;
/// In narrower windows nothing is aligned.
const NARROW_COLUMNS: usize = 36;
const DURATION_COLUMNS: usize = 7;
const SIZE_COLUMNS: usize = 9;
/// Longer keys push their line out of the columns.
const KEY_COLUMNS_MAX: usize = 32;
const IO_COLUMNS_MAX: usize = 12;
/// Failures told again at the end, with their output and by name.
const RETOLD_MAX: usize = 10;
const NAMED_MAX: usize = 50;
/// Assets that one cause stopped, beside the first of them.
const SAME_MAX: usize = 20;
/// After so many skipped assets the rest is only counted.
pub const SKIPPED_SHOWN_MAX: usize = 20;

/// Widths shared by all lines of a run, known before it starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Columns {
    pub key: usize,
    pub io: usize,
}

impl Default for Columns {
    fn default() -> Self {
        Columns { key: 24, io: 8 }
    }
}

impl Columns {
    /// Wide enough for these names (see [`name`]) and IO managers, within reason.
    pub fn of<'a>(rows: impl IntoIterator<Item = (&'a str, &'a str)>) -> Columns {
        let mut columns = Columns { key: 0, io: 0 };
        for (key, io) in rows {
            columns.key = columns.key.max(words::width(key)).min(KEY_COLUMNS_MAX);
            columns.io = columns.io.max(words::width(io)).min(IO_COLUMNS_MAX);
        }
        columns
    }
}

/// `key` or `key@partition`.
pub fn name(key: &AssetKey, partition: &PartitionKey) -> String {
    match partition.name() {
        None => key.to_string(),
        Some(partition) => format!("{key}@{}", words::visible(partition)),
    }
}

/// The word for how an asset ended, and what it means.
pub fn word_of(report: &StepReport) -> (&'static str, Role) {
    match report.outcome {
        StepOutcome::Built if report.unchanged => ("Unchanged", Role::Good),
        StepOutcome::Built => ("Built", Role::Good),
        StepOutcome::Restored => ("Restored", Role::Good),
        StepOutcome::CutOff => ("Cut off", Role::Info),
        StepOutcome::Fresh => ("Fresh", Role::Info),
        StepOutcome::Failed => ("Failed", Role::Bad),
        StepOutcome::Skipped if was_stopped(report) => ("Stopped", Role::Warn),
        StepOutcome::Skipped => ("Skipped", Role::Warn),
    }
}

/// It was at work when the run was stopped.
pub fn was_stopped(report: &StepReport) -> bool {
    report.outcome == StepOutcome::Skipped && report.error.is_some()
}

/// Which reports are worth a line, beside those that made something or failed.
#[derive(Debug)]
pub struct Shown {
    pub verbose: bool,
    skipped: usize,
}

impl Shown {
    pub fn new(verbose: bool) -> Shown {
        Shown { verbose, skipped: 0 }
    }

    pub fn is_shown(&mut self, report: &StepReport) -> bool {
        match report.outcome {
            StepOutcome::Built | StepOutcome::Restored | StepOutcome::Failed => true,
            StepOutcome::CutOff | StepOutcome::Fresh => self.verbose,
            StepOutcome::Skipped if was_stopped(report) => true,
            // Not reached because the run was stopped: the counts say it.
            StepOutcome::Skipped if report.reasons.is_empty() => self.verbose,
            StepOutcome::Skipped => {
                self.skipped += 1;
                self.verbose || self.skipped <= SKIPPED_SHOWN_MAX
            }
        }
    }
}

/// No room for columns.
fn is_narrow(width: Option<usize>) -> bool {
    width.is_some_and(|it| it < NARROW_COLUMNS)
}

/// A status word in its column, a blank, and the rest cut to the width left.
pub fn with_status(word: &str, role: Role, rest: &str, style: Style, width: Option<usize>) -> String {
    let column = if is_narrow(width) { 0 } else { STATUS_COLUMNS };
    let left = width.map_or(usize::MAX, |it| it.saturating_sub(column.max(words::width(word)) + 1));
    let rest = words::cut(rest.trim_end(), left, style);
    let blank = if rest.is_empty() { "" } else { " " };
    let indent = " ".repeat(column.saturating_sub(words::width(word)));
    format!("{indent}{}{blank}{rest}", style.paint(role, word))
}

/// Status, key, IO manager, duration, size or rows, short reason; what a status never has is left out.
pub fn finished(report: &StepReport, columns: Columns, style: Style, width: Option<usize>) -> String {
    let (word, role) = word_of(report);
    if is_narrow(width) {
        let rest = format!("{}  {}", name(&report.key, &report.partition), cause(report));
        return with_status(word, role, &rest, style, width);
    }
    let mut parts = vec![
        words::pad_right(&name(&report.key, &report.partition), columns.key),
        words::pad_right(&report.io, columns.io),
    ];
    if matches!(report.outcome, StepOutcome::Built | StepOutcome::Restored | StepOutcome::Failed) || was_stopped(report)
    {
        parts.push(words::pad_left(&words::duration(report.duration_ms), DURATION_COLUMNS));
    }
    if matches!(report.outcome, StepOutcome::Built | StepOutcome::Restored) {
        let size = match (report.rows, report.bytes) {
            (Some(rows), _) => words::rows(rows),
            (None, Some(bytes)) => words::size(bytes),
            (None, None) => String::new(),
        };
        parts.push(words::pad_left(&size, SIZE_COLUMNS));
    }
    parts.push(cause(report));
    with_status(word, role, &parts.join("  "), style, width)
}

/// Why it ran, failed or was skipped.
fn cause(report: &StepReport) -> String {
    match (report.outcome, &report.error, report.reasons.first()) {
        (StepOutcome::Failed | StepOutcome::Skipped, Some(error), _) => words::visible(&error.message).into_owned(),
        (StepOutcome::Skipped, _, Some(first)) if !first.message.is_empty() => {
            words::visible(&first.message).into_owned()
        }
        (StepOutcome::CutOff | StepOutcome::Fresh, ..) => String::new(),
        _ => {
            let why = reason::short(&report.reasons, report.key.as_str());
            match report.extent.map(Extent::name) {
                Some(extent) => format!("{extent}, {why}"),
                None => why,
            }
        }
    }
}

/// What stands below the line of a failed asset, indented: its last output, help, where its log is.
/// Every line ends in a newline.
pub fn failure_details(report: &StepReport, style: Style) -> String {
    let mut text = String::new();
    let Some(error) = &report.error else { return text };
    // The one command that said no has its say below.
    let failed: Vec<_> = report.checks.iter().filter(|it| it.failed()).collect();
    if failed.len() > 1 || failed.iter().any(|it| it.finding.sample.is_some()) {
        text.push_str(&rows::of_checks(&report.checks, style));
    }
    for line in &error.output_tail {
        let _ = writeln!(text, "    {}", words::foreign(line.trim_end(), style));
    }
    for help in &error.help {
        let _ = writeln!(text, "    {}: {}", style.paint(Role::Info, "help"), words::visible_lines(help));
    }
    if let Some(log) = &error.log {
        let _ = writeln!(text, "    {}: {}", style.paint(Role::Dim, "log"), words::visible(log));
    }
    text
}

/// Every failure once more, with the command that repeats only them. Empty if there was none.
pub fn failures_again(tally: &Tally, retry: &str, columns: Columns, style: Style, width: Option<usize>) -> String {
    let mut text = String::new();
    if tally.failures.is_empty() {
        return text;
    }
    let number = words::count(tally.failures.len(), "asset");
    let _ = writeln!(text, "\n{}", style.paint(Role::Bad, &format!("{number} failed:")));
    for (index, (report, others)) in tally.causes().take(NAMED_MAX).enumerate() {
        let _ = writeln!(text, "{}", finished(report, columns, style, width));
        if index < RETOLD_MAX {
            text.push_str(&failure_details(report, style));
        }
        if !others.is_empty() {
            let mut names: Vec<String> = others.iter().take(SAME_MAX).map(|it| name(&it.key, &it.partition)).collect();
            if others.len() > SAME_MAX {
                names.push(format!("and {} more", words::thousands((others.len() - SAME_MAX) as u64)));
            }
            let _ = writeln!(text, "    {}: {}", style.paint(Role::Info, "the same stopped"), names.join(", "));
        }
    }
    let told: usize = tally.causes().take(NAMED_MAX).map(|it| 1 + it.1.len()).sum();
    if tally.failures.len() > told {
        let more = words::thousands((tally.failures.len() - told) as u64);
        let _ = writeln!(text, "{} and {more} more", " ".repeat(STATUS_COLUMNS));
    }
    text.push_str(&retry_line(retry, style));
    text
}

/// How to run only what failed.
pub fn retry_line(retry: &str, style: Style) -> String {
    format!("\nTo run only what failed again: {}\n\n", style.paint(Role::Strong, retry))
}

/// The last line: how it ended and what it came to.
pub fn counts(counts: &Counts, outcome: RunOutcome, duration_ms: u64, style: Style) -> String {
    let (word, role) = match outcome {
        RunOutcome::Succeeded => ("Finished", Role::Good),
        RunOutcome::Failed => ("Finished", Role::Bad),
        RunOutcome::Interrupted => ("Interrupted", Role::Warn),
    };
    with_status(word, role, &format!("{} in {}", counts.in_words(), words::duration(duration_ms)), style, None)
}

#[cfg(test)]
pub mod tests {
    use expect_test::expect;

    use super::*;
    use crate::model::{
        event::{RunEvent, StepError},
        staleness::{Reason, ReasonCode},
    };

    pub fn reason(code: ReasonCode, subject: &str, message: &str) -> Reason {
        Reason { code, subject: subject.to_owned(), old: None, new: None, message: message.to_owned() }
    }

    /// A report on an asset kept in `files`.
    pub fn report(key: &str, outcome: StepOutcome) -> StepReport {
        let error = StepError {
            message: "exit status 1".to_owned(),
            help: vec![],
            output_tail: vec!["Traceback (most recent call last):".to_owned(), "\tKeyError: 'amount'".to_owned()],
            log: Some(format!(".assets/runs/r1/{key}.log")),
            rejected: false,
        };
        StepReport {
            key: AssetKey::parse(key).unwrap(),
            partition: PartitionKey::whole(),
            io: "files".to_owned(),
            outcome,
            duration_ms: 812,
            data_version: None,
            tried: None,
            unchanged: false,
            extent: None,
            bytes: (outcome == StepOutcome::Built).then_some(1_234_567),
            rows: None,
            reasons: match outcome {
                StepOutcome::Skipped => {
                    vec![reason(ReasonCode::UpstreamMissing, "mart/revenue", "upstream mart/revenue failed")]
                }
                _ => vec![reason(ReasonCode::CodeChanged, "sql/orders_daily.sql", "")],
            },
            error: (outcome == StepOutcome::Failed).then_some(error),
            checks: Vec::new(),
        }
    }

    #[test]
    fn lines_of_a_run_stand_in_columns() {
        let reports = [
            report("raw/orders", StepOutcome::Fresh),
            StepReport { rows: Some(1_200_000), duration_ms: 4_200, ..report("mart/orders_daily", StepOutcome::Built) },
            StepReport { unchanged: true, duration_ms: 125_000, ..report("mart/a", StepOutcome::Built) },
            StepReport { partition: PartitionKey::new("2026-01-01"), ..report("mart/b", StepOutcome::Restored) },
            report("mart/c", StepOutcome::CutOff),
            report("mart/revenue", StepOutcome::Failed),
            report("mart/forecast", StepOutcome::Skipped),
        ];
        let names: Vec<String> = reports.iter().map(|it| name(&it.key, &it.partition)).collect();
        let columns = Columns::of(names.iter().map(|it| (it.as_str(), "files")));
        let drawn: String = reports.iter().map(|it| finished(it, columns, Style::PLAIN, Some(80)) + "\n").collect();
        expect![[r#"
            |       Fresh raw/orders         files
            |       Built mart/orders_daily  files     4.2s  1.2M rows  code changed: sql/or…
            |   Unchanged mart/a             files   2m 05s     1.2 MB  code changed: sql/or…
            |    Restored mart/b@2026-01-01  files     0.8s             code changed: sql/or…
            |     Cut off mart/c             files
            |      Failed mart/revenue       files     0.8s  exit status 1
            |     Skipped mart/forecast      files  upstream mart/revenue failed
        "#]]
        .assert_eq(&words::ruled(&drawn));
        assert!(drawn.lines().all(|it| words::width(it) <= 80));
        let narrow = finished(&reports[1], columns, Style::PLAIN, Some(40));
        assert_eq!(narrow, "       Built mart/orders_daily  files  …");
        let narrower = finished(&reports[1], columns, Style::PLAIN, Some(35));
        assert_eq!(narrower, "Built mart/orders_daily  code chan…");
    }

    #[test]
    fn failures_are_told_again() {
        let after = |failed: usize| {
            let mut tally = Tally::new(980);
            let reports = (0..failed).map(|it| report(&format!("a{it}"), StepOutcome::Failed)).collect();
            tally.take(&RunEvent::StepFinished { step: 0, reports });
            tally
        };
        let tally = after(52);
        let columns = Columns { key: 4, io: 5 };
        let many = failures_again(&tally, "assets retry", columns, Style::PLAIN, None);
        assert_eq!(many.matches("Failed").count(), NAMED_MAX);
        assert_eq!(many.matches("KeyError").count(), RETOLD_MAX);
        assert!(many.contains("\n             and 2 more\n"), "{many}");
        let tally = after(1);
        expect![[r#"
            |
            |1 asset failed:
            |      Failed a0    files     0.8s  exit status 1
            |    Traceback (most recent call last):
            |        KeyError: 'amount'
            |    log: .assets/runs/r1/a0.log
            |
            |To run only what failed again: assets retry
            |
        "#]]
        .assert_eq(&words::ruled(&failures_again(&tally, "assets retry", columns, Style::PLAIN, None)));
    }

    #[test]
    fn the_last_line_counts() {
        let all = Counts { built: 1_200, unchanged: 3, restored: 1, cut_off: 2, fresh: 980, failed: 1, skipped: 3 };
        let line =
            "    Finished 1,200 built (3 unchanged), 1 restored, 1 failed, 3 skipped, 2 cut off, 980 fresh in 31s";
        assert_eq!(counts(&all, RunOutcome::Failed, 31_000, Style::PLAIN), line);
        assert_eq!(
            counts(&Counts::default(), RunOutcome::Interrupted, 20, Style::PLAIN),
            " Interrupted nothing in 20ms"
        );
        let colored = counts(&all, RunOutcome::Failed, 31_000, Style { color: true, ..Style::PLAIN });
        assert_eq!(words::without_escapes(&colored), line);
    }
}
