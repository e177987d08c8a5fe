//! GitHub Actions: annotations at the place of what failed, and a summary of the run.

use std::{fmt::Write as _, io::Write as _, path::PathBuf};

use crate::{
    base::{env::Environment, fs},
    face::ui::{Style, line, stream::Stream, tally::Tally, words},
    model::{
        event::{Listener, RunEvent, StepReport},
        key::AssetKey,
    },
};

/// GitHub shows no more of one kind for a step of a job.
const ANNOTATIONS_MAX: usize = 10;
/// GitHub takes no more; a larger file is refused whole.
const SUMMARY_BYTES_MAX: usize = 1024 * 1024;

/// Whether lines of successes are folded away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Groups {
    Used,
    None,
}

/// Says where an asset is declared: a file relative to the repository, and a line.
pub type PlaceOf<'a> = Box<dyn Fn(&AssetKey) -> Option<(String, usize)> + 'a>;

/// Speaks to GitHub when the run is over; use beside the listener that talks to people.
pub struct GithubListener<'a> {
    err: Stream,
    summary: Option<PathBuf>,
    place_of: PlaceOf<'a>,
    tally: Tally,
    finished: Vec<StepReport>,
}

impl<'a> GithubListener<'a> {
    /// `None` outside GitHub Actions. `fresh` assets are no step of the run.
    pub fn new(err: &Stream, environment: &Environment, fresh: usize, place_of: PlaceOf<'a>) -> Option<Self> {
        if environment.get("GITHUB_ACTIONS") != Some("true") {
            return None;
        }
        let summary = environment.get_os("GITHUB_STEP_SUMMARY").filter(|it| !it.is_empty()).map(PathBuf::from);
        Some(GithubListener { err: err.clone(), summary, place_of, tally: Tally::new(fresh), finished: Vec::new() })
    }

    fn annotations(&self) -> String {
        let mut text = String::new();
        for (report, others) in self.tally.causes().take(ANNOTATIONS_MAX) {
            let name = line::name(&report.key, &report.partition);
            let more = if others.is_empty() { String::new() } else { format!(", and {} more", others.len()) };
            let _ = write!(text, "::error title={}", property(&format!("{name} failed{more}")));
            if let Some((file, line)) = (self.place_of)(&report.key) {
                let _ = write!(text, ",file={},line={line}", property(&file));
            }
            let error = report.error.clone().unwrap_or_default();
            let lines = [&error.message].into_iter().chain(&error.output_tail);
            let lines: Vec<String> = lines.map(|it| words::foreign(it, Style::PLAIN)).collect();
            let _ = writeln!(text, "::{}", data(&lines.join("\n")));
        }
        text
    }

    /// Adds to what other tools of the same step wrote, within the limit for all of them.
    fn write_summary(&self, path: &std::path::Path, duration_ms: u64) -> fs::Result<()> {
        let taken = fs::look_through(path)?.map_or(0, |it| usize::try_from(it.len()).unwrap_or(usize::MAX));
        let text = summary(&self.tally, &self.finished, duration_ms, SUMMARY_BYTES_MAX.saturating_sub(taken));
        let mut file = fs::open_append(path)?;
        let written = file.write_all(text.as_bytes());
        written.map_err(|source| fs::FsError { doing: "write", path: path.to_owned(), source })
    }
}

impl Listener for GithubListener<'_> {
    fn on_event(&mut self, event: &RunEvent) {
        self.tally.take(event);
        match event {
            RunEvent::StepFinished { reports, .. } => self.finished.extend(reports.iter().cloned()),
            RunEvent::RunFinished { duration_ms, .. } => {
                let mut text = self.annotations();
                if let Some(path) = &self.summary
                    && let Err(error) = self.write_summary(path, *duration_ms)
                {
                    let _ = writeln!(text, "warning: no step summary: {error}");
                }
                if !text.is_empty() {
                    let _ = self.err.sink().write(&text);
                }
            }
            _ => {}
        }
    }
}

/// A small Markdown table, failures first, in at most `bytes_max` bytes.
fn summary(tally: &Tally, finished: &[StepReport], duration_ms: u64, bytes_max: usize) -> String {
    let mut text = format!("### assets: {} in {}\n", tally.counts.in_words(), words::duration(duration_ms));
    let successes = finished.iter().filter(|it| it.error.is_none());
    let rows: Vec<&StepReport> = tally.failures.iter().chain(successes).collect();
    if !rows.is_empty() {
        text.push_str("\n| status | asset | duration | |\n| --- | --- | ---: | --- |\n");
    }
    const MORE_BYTES: usize = 40;
    for (index, report) in rows.iter().enumerate() {
        let (word, _) = line::word_of(report);
        let error = report.error.as_ref().map_or("", |it| it.message.as_str());
        let name = line::name(&report.key, &report.partition);
        let row = format!("| {word} | {} | {} | {} |\n", cell(&name), words::duration(report.duration_ms), cell(error));
        if text.len() + row.len() + MORE_BYTES > bytes_max {
            let _ = write!(text, "\n... and {} more\n", rows.len() - index);
            break;
        }
        text.push_str(&row);
    }
    if text.len() > bytes_max { String::new() } else { text }
}

/// Text inside a cell of a Markdown table.
fn cell(text: &str) -> String {
    let mut shown = String::new();
    for it in words::visible(text).chars() {
        if "|\\`*_<>[]".contains(it) {
            shown.push('\\');
        }
        shown.push(it);
    }
    shown
}

/// Text after the last `::` of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A value before it.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::{
        face::ui::plain::tests::{finished, run_finished, run_started},
        model::event::{RunOutcome, StepOutcome},
    };

    #[test]
    fn failures_are_annotated_and_summed_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.md");
        fs::write(&path, b"before\n").unwrap();
        let environment: Environment =
            [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", path.to_str().unwrap())].into_iter().collect();
        let (err, talk) = Stream::captured();
        let place_of = |_: &AssetKey| Some(("shop/assets,1.toml".to_owned(), 12));
        let mut listener = GithubListener::new(&err, &environment, 7, Box::new(place_of)).unwrap();
        listener.on_event(&run_started(2));
        listener.on_event(&finished(0, "mart/top_10", StepOutcome::Built));
        listener.on_event(&finished(1, "mart/revenue", StepOutcome::Failed));
        listener.on_event(&run_finished(RunOutcome::Failed));
        expect![[r#"
            ::error title=mart/revenue failed,file=shop/assets%2C1.toml,line=12::exit status 1%0ATraceback (most recent call last):%0A    KeyError: 'amount'
        "#]].assert_eq(&talk.text());
        expect![[r#"
            before
            ### assets: 1 built, 1 failed, 7 fresh in 31s

            | status | asset | duration | |
            | --- | --- | ---: | --- |
            | Failed | mart/revenue | 0.8s | exit status 1 |
            | Built | mart/top\_10 | 0.8s |  |
        "#]]
        .assert_eq(&String::from_utf8(fs::read(&path).unwrap()).unwrap());
    }

    #[test]
    fn limits_are_kept() {
        let environment: Environment = [("GITHUB_ACTIONS", "true")].into_iter().collect();
        let (err, talk) = Stream::captured();
        let mut listener = GithubListener::new(&err, &environment, 0, Box::new(|_| None)).unwrap();
        for step in 0..30 {
            listener.on_event(&finished(step, &format!("a{step}"), StepOutcome::Failed));
        }
        listener.on_event(&run_finished(RunOutcome::Failed));
        assert_eq!(talk.text().matches("::error title=").count(), ANNOTATIONS_MAX);
        let cut = summary(&listener.tally, &listener.finished, 5, 600);
        assert!(cut.len() <= 600 && cut.ends_with(" more\n"), "{cut}");
        assert_eq!(summary(&listener.tally, &listener.finished, 5, 3), "");
    }

    #[test]
    fn elsewhere_nothing_is_said_to_github() {
        let (err, _) = Stream::captured();
        assert!(GithubListener::new(&err, &Environment::default(), 0, Box::new(|_| None)).is_none());
    }

    #[test]
    fn commands_are_escaped() {
        assert_eq!(property("50%: a,b\nc"), "50%25%3A a%2Cb%0Ac");
        assert_eq!(data("50%: a,b\r\n"), "50%25: a,b%0D%0A");
        assert_eq!(cell("a|b_c\n"), "a\\|b\\_c\\\\n");
    }
}
