//! A reason in a few words: for the last column of a line.

use crate::{
    face::ui::words,
    model::staleness::{Reason, ReasonCode},
};

/// What a code means, without saying what it is about.
pub fn words_of(code: ReasonCode) -> &'static str {
    match code {
        ReasonCode::NeverBuilt => "never built",
        ReasonCode::CodeChanged => "code changed",
        ReasonCode::ConfigChanged => "configuration changed",
        ReasonCode::EnvChanged => "environment changed",
        ReasonCode::SourceChanged => "source changed",
        ReasonCode::InputChanged => "input changed",
        ReasonCode::InputAdded => "new input",
        ReasonCode::InputRemoved => "input removed",
        ReasonCode::OutputMissing => "output is missing",
        ReasonCode::OutputModified => "output was modified",
        ReasonCode::UpstreamStale => "upstream is stale",
        ReasonCode::UpstreamMissing => "upstream is missing",
        ReasonCode::PartitionMissing => "partition is missing",
        ReasonCode::CheckFailed => "check failed",
        ReasonCode::PreviousFailed => "last attempt failed",
        ReasonCode::Forced => "forced",
        ReasonCode::Expired => "expired",
        ReasonCode::VersionChanged => "version changed",
    }
}

/// Whether the cause lies in another asset.
pub fn is_upstream(code: ReasonCode) -> bool {
    matches!(code, ReasonCode::UpstreamStale | ReasonCode::UpstreamMissing)
}

/// `code changed: clean.py`; the subject is left out where it is the asset itself.
pub fn one(reason: &Reason, key: &str) -> String {
    // Unknown is not modified.
    let unknown = reason.code == ReasonCode::OutputModified && reason.message.starts_with("output cannot be read");
    let what = if unknown { "output cannot be read" } else { words_of(reason.code) };
    let says_all = matches!(reason.code, ReasonCode::NeverBuilt | ReasonCode::Forced | ReasonCode::PreviousFailed);
    if says_all || reason.subject.is_empty() || reason.subject == key {
        what.to_owned()
    } else {
        format!("{what}: {}", words::visible(&reason.subject))
    }
}

/// The first reason, and how many more there are.
pub fn short(reasons: &[Reason], key: &str) -> String {
    match reasons {
        [] => String::new(),
        [only] => one(only, key),
        [first, more @ ..] => format!("{}, +{} more", one(first, key), more.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(code: ReasonCode, subject: &str) -> Reason {
        Reason { code, subject: subject.to_owned(), old: None, new: None, message: String::new() }
    }

    #[test]
    fn the_first_reason_is_told() {
        let reasons = [reason(ReasonCode::CodeChanged, "clean.py"), reason(ReasonCode::EnvChanged, "MODE")];
        assert_eq!(short(&reasons, "orders"), "code changed: clean.py, +1 more");
        assert_eq!(short(&reasons[1..], "orders"), "environment changed: MODE");
        assert_eq!(short(&[reason(ReasonCode::NeverBuilt, "orders")], "orders"), "never built");
        assert_eq!(short(&[], "orders"), "");
    }
}
