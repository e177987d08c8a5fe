//! Any failure of a command: one sentence, hints, and the exit code. Codes and hints are added
//! here, at the face; the layers below only say what is the case.

use crate::{
    base::{diagnostic::Diagnostic, fs::FsError, span::SourceMap},
    face::exit::Exit,
    plan::store::StoreError,
};

/// Why a command did not do its work.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub message: String,
    pub hints: Vec<String>,
    /// Mistakes with places; said instead of the message.
    pub diagnostics: Vec<Diagnostic>,
    pub sources: SourceMap,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Failure {
            exit,
            message: message.into(),
            hints: Vec::new(),
            diagnostics: Vec::new(),
            sources: SourceMap::default(),
        }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Failure::new(Exit::Usage, message)
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub fn of_diagnostics(diagnostics: Vec<Diagnostic>, sources: SourceMap) -> Self {
        Failure { diagnostics, sources, ..Failure::new(Exit::Usage, String::new()) }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let hint = match &error {
            StoreError::Newer { .. } => Some("install that version or a later one; nothing was touched"),
            StoreError::Busy { .. } => Some("wait for the other process, then try again"),
            StoreError::ReadOnly { .. } => Some("`status`, `why`, `plan` and `graph` work without writing"),
            _ => None,
        };
        let failure = Failure::new(Exit::State, error.to_string());
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<FsError> for Failure {
    fn from(error: FsError) -> Self {
        let exit = if error.is_denied() || error.is_no_space() { Exit::State } else { Exit::Usage };
        Failure::new(exit, error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::new(Exit::Failed, format!("cannot write the answer: {error}"))
    }
}
