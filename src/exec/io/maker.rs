//! Whose a table is: what is written down beside it, that one project does not take that of another for its own.
//!
//! Projects are told apart by their names, wherever they are checked out: a team makes the same tables from many places.

use crate::plan::record::AttemptId;

/// The project for which an IO manager works. Its signature is an attempt, or nothing where no more is to be said than
/// whose a table is, and after a space the project. One without a project, of earlier times, is anybody's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Maker {
    project: String,
}

impl Maker {
    pub fn new(project: &str) -> Maker {
        Maker { project: project.to_owned() }
    }

    pub fn signature(&self, attempt: &AttemptId) -> String {
        format!("{} {}", attempt.0, self.project)
    }

    /// The signature that tells no attempt.
    pub fn mark(&self) -> String {
        format!(" {}", self.project)
    }

    pub fn is_own(&self, signature: &str) -> bool {
        signature.split_once(' ').is_none_or(|(_, project)| project == self.project)
    }
}

/// Whether a signature tells no attempt.
pub fn is_mark(signature: &str) -> bool {
    signature.is_empty() || signature.starts_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_project() {
        let (ours, theirs) = (Maker::new("our shop"), Maker::new("shop"));
        let attempt = AttemptId("20261122-070000-1a2b-1-1".to_owned());
        for signature in [ours.signature(&attempt), ours.mark()] {
            assert!(ours.is_own(&signature) && !theirs.is_own(&signature), "{signature}");
        }
        assert!(is_mark(&ours.mark()) && !is_mark(&ours.signature(&attempt)));
        for of_old in ["20261122-070000-1a2b-1-1", ""] {
            assert!(ours.is_own(of_old) && theirs.is_own(of_old));
        }
    }
}
