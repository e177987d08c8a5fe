//! The one place that prints: standard output for the answer, standard error for everything else.
//!
//! Knows streams, colours and widths; what is said comes from its callers.

pub mod color;
pub mod diagnostic;
pub mod github;
pub mod line;
pub mod plain;
pub mod progress;
pub mod progress_bar;
pub mod reason;
pub mod rows;
pub mod stream;
pub mod tally;
pub mod words;

use std::io;

use crate::{
    base::{diagnostic::Diagnostic, env::Environment, span::SourceMap},
    face::ui::{
        color::ColorChoice,
        stream::{Sink, Size, Stream},
    },
};

/// How text may be drawn on one stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Style {
    pub color: bool,
    pub unicode: bool,
    /// Columns of the terminal, or a fixed number where there is none.
    pub width: usize,
}

/// What a piece of text means; never said by colour alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Good,
    Info,
    Warn,
    Bad,
    Strong,
    Dim,
    Added,
    Removed,
}

impl Style {
    /// No colour, 80 columns: files, pipes and tests.
    pub const PLAIN: Style = Style { color: false, unicode: true, width: 80 };

    pub fn paint(self, role: Role, text: &str) -> String {
        use anstyle::AnsiColor::{BrightBlack, Cyan, Green, Red, Yellow};
        if !self.color || text.is_empty() {
            return text.to_owned();
        }
        let style = match role {
            Role::Good => Green.on_default().bold(),
            Role::Info => Cyan.on_default().bold(),
            Role::Warn => Yellow.on_default().bold(),
            Role::Bad => Red.on_default().bold(),
            Role::Strong => anstyle::Style::new().bold(),
            Role::Dim => BrightBlack.on_default(),
            Role::Added => Green.on_default(),
            Role::Removed => Red.on_default(),
        };
        format!("{style}{text}{style:#}")
    }

    /// What stands for text that was cut away.
    pub fn ellipsis(self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }
}

/// Where this process says things, and how.
#[derive(Debug)]
pub struct Ui {
    out: Stream,
    err: Stream,
    quiet: bool,
    verbose: bool,
}

/// `-q` and `-v`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Volume {
    /// Failures and errors only.
    Quiet,
    #[default]
    Normal,
    /// Also what is as it should be.
    Verbose,
}

impl Ui {
    /// The streams of this process.
    pub fn of_process(choice: ColorChoice, volume: Volume, environment: &Environment) -> Ui {
        use io::IsTerminal;
        let (out, err) = (io::stdout(), io::stderr());
        let out_is_terminal = out.is_terminal();
        let err_is_terminal = err.is_terminal();
        Ui::new(
            Stream::new(Sink::of(out), out_is_terminal, Size::OfStdout, choice, environment),
            Stream::new(Sink::of(err), err_is_terminal, Size::OfStderr, choice, environment),
            volume,
        )
    }

    pub fn new(out: Stream, err: Stream, volume: Volume) -> Ui {
        Ui { out, err, quiet: volume == Volume::Quiet, verbose: volume == Volume::Verbose }
    }

    /// How the answer may be drawn.
    pub fn style(&self) -> Style {
        self.out.style()
    }

    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    pub fn is_verbose(&self) -> bool {
        self.verbose
    }

    pub fn out(&self) -> &Stream {
        &self.out
    }

    pub fn err(&self) -> &Stream {
        &self.err
    }

    /// The answer. A reader that went away is fine; any other failure is not.
    pub fn print(&self, text: &str) -> io::Result<()> {
        match self.out.sink().write(text) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// A line for people, beside the answer; not with `-q`.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            self.say_always(line.to_owned());
        }
    }

    /// A question, with the cursor left behind it.
    pub fn ask(&self, question: &str) {
        let _ = self.err.sink().write(question);
    }

    pub fn warn(&self, message: &str) {
        if !self.quiet {
            let label = self.err.style().paint(Role::Warn, "warning");
            self.say_always(format!("{label}: {}", words::visible_lines(message)));
        }
    }

    /// What went wrong and what to do about it; said whatever the volume.
    pub fn error(&self, message: &str, hints: &[String]) {
        let style = self.err.style();
        let mut text = format!("{}: {}", style.paint(Role::Bad, "error"), words::visible_lines(message));
        for hint in hints {
            text.push_str(&format!("\n{}: {}", style.paint(Role::Info, "help"), words::visible_lines(hint)));
        }
        self.say_always(text);
    }

    pub fn diagnostics(&self, diagnostics: &[Diagnostic], sources: &SourceMap) {
        let text = diagnostic::render_all(diagnostics, sources, self.err.style());
        self.say_always(text.trim_end_matches('\n').to_owned());
    }

    /// There is nowhere to say that standard error is gone.
    fn say_always(&self, mut text: String) {
        if !text.is_empty() {
            text.push('\n');
            let _ = self.err.sink().write(&text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        struct Closed(io::ErrorKind);
        impl io::Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let ui = |kind| {
            let (err, _) = Stream::captured();
            Ui::new(Stream::plain(Sink::of(Closed(kind))), err, Volume::Normal)
        };
        assert!(ui(io::ErrorKind::BrokenPipe).print("a\n").is_ok());
        assert!(ui(io::ErrorKind::StorageFull).print("a\n").is_err());
    }

    #[test]
    fn quiet_leaves_errors() {
        let (out, answer) = Stream::captured();
        let (err, talk) = Stream::captured();
        let ui = Ui::new(out, err, Volume::Quiet);
        ui.say("hello");
        ui.warn("careful");
        ui.error("it is \x1b[1mbroken", &["mend it".to_owned()]);
        ui.print("42\n").unwrap();
        assert_eq!(answer.text(), "42\n");
        assert_eq!(talk.text(), "error: it is \\u{1b}[1mbroken\nhelp: mend it\n");
    }
}
