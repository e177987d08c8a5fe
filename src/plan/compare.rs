//! Two fingerprints, part by part, to typed reasons. Pure.
//!
//! The same list of parts is what was hashed, so a fingerprint that differs always has a reason.

use std::cmp::Ordering;

use crate::model::{
    fingerprint::{Fingerprint, Part, PartKind, PartValue},
    staleness::{Reason, ReasonCode},
};

/// Every part that differs, the most telling kind first; empty if and only if the two are equal.
pub fn compare(old: &Fingerprint, new: &Fingerprint) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let (mut old, mut new) = (old.parts(), new.parts());
    while let Some(order) = match (old.first(), new.first()) {
        (None, None) => None,
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (Some(a), Some(b)) => Some((a.kind, &a.name).cmp(&(b.kind, &b.name))),
    } {
        let (was, is) = match order {
            Ordering::Less => (take(&mut old), None),
            Ordering::Greater => (None, take(&mut new)),
            Ordering::Equal => (take(&mut old), take(&mut new)),
        };
        if was.map(|it| &it.value) != is.map(|it| &it.value) {
            reasons.push((reason(was, is), was.or(is).map_or(PartKind::Rendered, |it| it.kind)));
        }
    }
    // Other data says enough.
    let inputs: Vec<String> =
        reasons.iter().filter(|it| it.1 == PartKind::Input).map(|it| it.0.subject.clone()).collect();
    reasons.retain(|it| it.1 != PartKind::Declared || !inputs.contains(&it.0.subject));
    // What was inserted is told by its name; that the text differs then says no more.
    if reasons.iter().any(|it| it.1 != PartKind::Rendered) {
        reasons.retain(|it| it.1 != PartKind::Rendered);
    }
    let mut reasons: Vec<Reason> = reasons.into_iter().map(|it| it.0).collect();
    reasons.sort_by_key(|it| rank(it.code));
    reasons
}

fn take<'a>(parts: &mut &'a [Part]) -> Option<&'a Part> {
    let (first, rest) = parts.split_first()?;
    *parts = rest;
    Some(first)
}

/// What people look for first: their own edits, then what came from outside.
fn rank(code: ReasonCode) -> u8 {
    match code {
        ReasonCode::CodeChanged => 0,
        ReasonCode::VersionChanged => 1,
        ReasonCode::ConfigChanged => 2,
        ReasonCode::EnvChanged => 3,
        ReasonCode::SourceChanged => 4,
        ReasonCode::InputChanged => 5,
        ReasonCode::InputAdded => 6,
        _ => 7,
    }
}

fn reason(old: Option<&Part>, new: Option<&Part>) -> Reason {
    let part = old.or(new).expect("one of the two is there");
    let name = part.shown_name();
    let change = match (old, new) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "changed",
    };
    let (code, subject) = match (part.kind, change) {
        (PartKind::Command, _) => (ReasonCode::CodeChanged, "command".to_owned()),
        (PartKind::Code | PartKind::Rendered, _) => (ReasonCode::CodeChanged, name),
        (PartKind::Var, _) => (ReasonCode::ConfigChanged, format!("vars.{name}")),
        (PartKind::Env | PartKind::Secret, _) => (ReasonCode::EnvChanged, name),
        (PartKind::Config | PartKind::Partition, _) => (ReasonCode::ConfigChanged, name),
        (PartKind::SourceFile, _) => (ReasonCode::SourceChanged, name),
        (PartKind::Declared, _) => (ReasonCode::InputChanged, name),
        (PartKind::Source | PartKind::Input, "added") => (ReasonCode::InputAdded, name),
        (PartKind::Source | PartKind::Input, "removed") => (ReasonCode::InputRemoved, name),
        (PartKind::Source, _) => (ReasonCode::SourceChanged, name),
        (PartKind::Input, _) => (ReasonCode::InputChanged, name),
        (PartKind::Version | PartKind::Tool, _) => (ReasonCode::VersionChanged, name),
    };
    let message = message(part.kind, &subject, change, old.map(|it| &it.value), new.map(|it| &it.value));
    let (old, new) = match part.kind {
        PartKind::Declared => declared(old, new),
        _ => (old.and_then(shown), new.and_then(shown)),
    };
    Reason { code, subject, old, new, message }
}

/// A value as people are shown it; secrets never appear.
fn shown(part: &Part) -> Option<String> {
    match (&part.kind, &part.value) {
        (_, PartValue::Absent) => None,
        (PartKind::Secret, _) => Some("(secret)".to_owned()),
        (_, PartValue::Text(text)) => Some(text.to_string()),
        (_, PartValue::Digest(digest)) => Some(digest.to_string()),
    }
}

fn message(kind: PartKind, subject: &str, change: &str, old: Option<&PartValue>, new: Option<&PartValue>) -> String {
    let what = match kind {
        PartKind::Command => return format!("command {change}"),
        PartKind::Code | PartKind::Rendered => "code",
        PartKind::Var | PartKind::Config | PartKind::Partition => "setting",
        PartKind::Env | PartKind::Secret => match (old, new) {
            (Some(PartValue::Absent), Some(_)) => return format!("variable {subject} is set now"),
            (Some(_), Some(PartValue::Absent)) => return format!("variable {subject} is not set any more"),
            _ => "variable",
        },
        PartKind::SourceFile => "source file",
        PartKind::Source => "source",
        PartKind::Input => "input",
        PartKind::Declared => "columns of input",
        PartKind::Version => return format!("declared version {change}"),
        PartKind::Tool => "tool",
    };
    format!("{what} {change}: {subject}")
}

/// What is declared otherwise than before, as people are shown it: the first column whose type is, if the names are the
/// same.
fn declared(old: Option<&Part>, new: Option<&Part>) -> (Option<String>, Option<String>) {
    let columns = |it: Option<&Part>| -> Option<Vec<(String, String)>> {
        let PartValue::Text(text) = &it?.value else { return None };
        Some(text.lines().filter_map(|it| it.split_once('\t')).map(|it| (it.0.to_owned(), it.1.to_owned())).collect())
    };
    // Of some expressions SQLite knows no type.
    let typed = |it: &str| if it.is_empty() { "none".to_owned() } else { it.to_owned() };
    let (old, new) = (columns(old), columns(new));
    if let (Some(old), Some(new)) = (&old, &new)
        && old.iter().map(|it| &it.0).eq(new.iter().map(|it| &it.0))
        && let Some((was, is)) = old.iter().zip(new).find(|(old, new)| old.1 != new.1)
    {
        return (Some(format!("type of {}: {}", was.0, typed(&was.1))), Some(typed(&is.1)));
    }
    let all = |it: Vec<(String, String)>| it.iter().map(|it| format!("{} {}", it.0, typed(&it.1))).collect::<Vec<_>>();
    (old.map(|it| all(it).join(", ")), new.map(|it| all(it).join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Digest;

    fn text(kind: PartKind, name: &str, value: &str) -> Part {
        Part::new(kind, name, PartValue::Text(value.into()))
    }

    fn told(old: Vec<Part>, new: Vec<Part>) -> Vec<String> {
        compare(&Fingerprint::new(old), &Fingerprint::new(new))
            .into_iter()
            .map(|it| format!("{} {} {:?} {:?}: {}", it.code.name(), it.subject, it.old, it.new, it.message))
            .collect()
    }

    #[test]
    fn equal_fingerprints_have_no_reason() {
        let parts = vec![text(PartKind::Env, "A", "1"), text(PartKind::Command, "", "[]")];
        assert_eq!(told(parts.clone(), parts), Vec::<String>::new());
    }

    #[test]
    fn each_difference_is_named_with_old_and_new() {
        let input = |it: &[u8]| Part::new(PartKind::Input, "orders", PartValue::Digest(Digest::of(it)));
        assert_eq!(
            told(
                vec![input(b"1"), Part::new(PartKind::Env, "MODE", PartValue::Absent), text(PartKind::Var, "c", "jp")],
                vec![input(b"2"), text(PartKind::Env, "MODE", "x"), text(PartKind::Config, "format", "csv")],
            ),
            [
                r#"config_changed vars.c Some("jp") None: setting removed: vars.c"#.to_owned(),
                r#"config_changed format None Some("csv"): setting added: format"#.to_owned(),
                r#"env_changed MODE None Some("x"): variable MODE is set now"#.to_owned(),
                format!(
                    "input_changed orders {:?} {:?}: input changed: orders",
                    Some(Digest::of(b"1").to_string()),
                    Some(Digest::of(b"2").to_string())
                ),
            ]
        );
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = |it: &[u8]| Part::new(PartKind::Secret, "TOKEN", PartValue::Digest(Digest::of(it)));
        assert_eq!(
            told(vec![secret(b"1")], vec![secret(b"2")]),
            [r#"env_changed TOKEN Some("(secret)") Some("(secret)"): variable changed: TOKEN"#]
        );
    }
}
