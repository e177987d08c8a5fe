//! Holds a tree against its shape: unknown keys, wrong types, bad names, what is not supported yet.
//!
//! Looks at each file by itself; what names mean is for `resolve`. Readers of a checked tree may
//! ignore a value of the wrong type: it was reported here.

use crate::base::{diagnostic::Diagnostic, span::Span};

use super::{
    code, duration,
    keys::VERSION,
    raw::{Data, Entry, Table, Value},
    report::Report,
    shape::{Field, Kind, Names, Shape},
};

pub fn root(root: &Table, shape: &Shape, report: &mut Report) {
    table(root, shape, "assets.toml", report);
}

/// `what` is how the table is called in messages.
fn table(found: &Table, shape: &Shape, what: &str, report: &mut Report) {
    for entry in &found.entries {
        let Some(field) = shape.field(&entry.key) else {
            if !shape.open {
                unknown_key(entry, shape, what, report);
            }
            continue;
        };
        if is_code_version(entry, field, report) {
            continue;
        }
        if field.later && !matches!(field.kind, Kind::Named(..)) {
            not_supported(entry.place, &entry.key, report);
        }
        match (&field.kind, &entry.value.data) {
            (Kind::Named(names, inner), Data::Table(them)) => named(them, *names, inner, field, report),
            (kind, _) => value(&entry.value, kind, &entry.key, report),
        }
    }
}

/// A version of the code under the name of the data's version.
fn is_code_version(entry: &Entry, field: &Field, report: &mut Report) -> bool {
    if field.name != VERSION.name || field.about != VERSION.about {
        return false;
    }
    let Kind::Choice(kinds) = &field.kind else { return false };
    let written = match &entry.value.data {
        Data::Text(it) if kinds.now.contains(&&**it) => return false,
        Data::Text(it) => format!("{it:?}"),
        Data::Integer(it) => format!("\"{it}\""),
        _ => return false,
    };
    let told = Diagnostic::error(code::BAD_VALUE, format!("`version` cannot be {}", written.trim_matches('"')));
    let told = told.at(entry.value.place).label("says what the data version is");
    report.push(
        told.help(format!("it is one of \"{}\"", kinds.now.join("\", \"")))
            .help(format!("a version of the code, bumped by hand, is written `code_version = {written}`")),
    );
    true
}

fn unknown_key(entry: &Entry, shape: &Shape, what: &str, report: &mut Report) {
    let mut told = Diagnostic::error(code::UNKNOWN_KEY, format!("`{}` is not a key of {what}", entry.key))
        .at(entry.place)
        .label("unknown key");
    let names = || shape.fields.iter().map(|it| it.name);
    told = match report.nearest(&entry.key, names()) {
        _ if &*entry.key == VERSION.name && shape.field("code_version").is_some() => told
            .help("a version of the code, bumped by hand, is `code_version`; `version` is for each [asset.*] to say"),
        // `[asset.raw.orders]` is a table in a table; the key raw/orders was meant.
        _ if matches!(shape.name, "asset" | "source") && entry.value.table().is_some() => {
            let name = shape.name;
            told.help(format!("a key of several parts is written in quotes: [{name}.\"a/{}\"]", entry.key))
        }
        Some(near) => told.help(format!("did you mean `{near}`?")),
        None => told.help(format!("it has `{}`", names().collect::<Vec<_>>().join("`, `"))),
    };
    report.push(told);
}

pub fn not_supported(place: Span, name: &str, report: &mut Report) {
    report.push(
        Diagnostic::error(code::NOT_SUPPORTED, format!("`{name}` is not supported yet"))
            .at(place)
            .label("comes with a later version")
            .help("the key is reserved and its form is checked, but nothing would happen; take it out for now"),
    );
}

fn named(them: &Table, names: Names, inner: &Shape, field: &super::shape::Field, report: &mut Report) {
    for entry in &them.entries {
        if field.later {
            not_supported(entry.place, &format!("{}.{}", field.name, entry.key), report);
        }
        name(entry, names, field.name, report);
        match &entry.value.data {
            Data::Table(it) => table(it, inner, &format!("[{}.*]", field.name), report),
            other => wrong_type(&entry.value, &format!("{}.{}", field.name, entry.key), "a table", other, report),
        }
    }
}

const NAME_BYTES_MAX: usize = 512;

fn name(entry: &Entry, names: Names, section: &str, report: &mut Report) {
    let key = &*entry.key;
    let slash = names == Names::Keys;
    let odd = key.chars().find(|it| !(it.is_ascii_alphanumeric() || matches!(it, '_' | '-') || slash && *it == '/'));
    let wrong = match odd {
        _ if key.is_empty() => "a name is empty".to_owned(),
        _ if key.len() > NAME_BYTES_MAX => format!("a name is longer than {NAME_BYTES_MAX} bytes"),
        Some(odd) => format!("a name may not contain {odd:?}"),
        None if slash && key.split('/').any(str::is_empty) => "a name has an empty part".to_owned(),
        None if key.starts_with('-') => "a name may not begin with `-`".to_owned(),
        None => return,
    };
    let allowed = if slash {
        format!("a name in [{section}.*] is one or more parts of letters, digits, `_` and `-`, joined by `/`")
    } else {
        format!("a name in [{section}.*] is made of letters, digits, `_` and `-`")
    };
    report.push(Diagnostic::error(code::BAD_NAME, wrong).at(entry.place).help(allowed));
}

fn wrong_type(found: &Value, what: &str, expected: &str, data: &Data, report: &mut Report) {
    report.push(
        Diagnostic::error(code::WRONG_TYPE, format!("`{what}` must be {expected}, not {}", data.name()))
            .at(found.place)
            .label(format!("expected {expected}")),
    );
}

fn bad_value(place: Span, message: String, label: &str, report: &mut Report) {
    report.push(Diagnostic::error(code::BAD_VALUE, message).at(place).label(label));
}

fn value(found: &Value, kind: &Kind, what: &str, report: &mut Report) {
    match (kind, &found.data) {
        (Kind::Text | Kind::Filled | Kind::Label, Data::Text(it)) => text(found.place, it, kind, what, report),
        (Kind::Boolean | Kind::Scalar, Data::Boolean(_)) | (Kind::Number | Kind::Scalar, Data::Integer(_)) => {}
        (Kind::Number | Kind::Scalar, Data::Float(it)) => {
            if !it.is_finite() {
                bad_value(found.place, format!("`{what}` is not a number to compare with"), "a finite number", report);
            }
        }
        (Kind::Scalar, Data::Text(it)) => text(found.place, it, &Kind::Text, what, report),
        (Kind::Count(least, most), Data::Integer(it)) => {
            if it < least || it > most {
                let label = if it < least { format!("at least {least}") } else { format!("at most {most}") };
                bad_value(found.place, format!("`{what}` is out of range"), &label, report);
            }
        }
        (Kind::Duration, Data::Text(it)) => {
            if let Err(error) = duration::parse(it) {
                report.push(
                    Diagnostic::error(code::BAD_VALUE, format!("`{what}`: {error}"))
                        .at(found.place)
                        .help("a duration is written as \"90s\", \"1h30m\" or \"500ms\"; units are ms, s, m, h, d, w"),
                );
            }
        }
        (Kind::Choice(choice), Data::Text(it)) => {
            if choice.later.contains(&&**it) {
                not_supported(found.place, &format!("{what} = \"{it}\""), report);
            } else if !choice.now.contains(&&**it) {
                let all = || choice.now.iter().chain(choice.later).copied();
                let mut told =
                    Diagnostic::error(code::BAD_VALUE, format!("`{what}` cannot be \"{it}\"")).at(found.place);
                told = match report.nearest(it, all()) {
                    Some(near) => told.help(format!("did you mean \"{near}\"?")),
                    None => told.help(format!("one of \"{}\"", all().collect::<Vec<_>>().join("\", \""))),
                };
                report.push(told);
            }
        }
        (Kind::List(of), Data::List(them)) => them.iter().for_each(|it| value(it, of, what, report)),
        (Kind::FilledList(of), Data::List(them)) => {
            if them.is_empty() {
                bad_value(found.place, format!("`{what}` is empty"), "at least one", report);
            }
            them.iter().for_each(|it| value(it, of, what, report));
        }
        (Kind::Either(kinds), data) => match kinds.iter().find(|it| is_of_type(data, it)) {
            Some(kind) => value(found, kind, what, report),
            None => wrong_type(found, what, &kind.expected(), data, report),
        },
        (Kind::Map(of), Data::Table(them)) => {
            for entry in &them.entries {
                if entry.key.is_empty() || entry.key.chars().any(char::is_control) {
                    let message = format!("a key of `{what}` is empty or holds a control character");
                    report.push(Diagnostic::error(code::BAD_NAME, message).at(entry.place));
                }
                value(&entry.value, of, &entry.key, report);
            }
        }
        (Kind::Table(shape), Data::Table(it)) => table(it, shape, &format!("[{what}]"), report),
        (Kind::Variable, Data::Datetime) => wrong_type(found, what, &kind.expected(), &found.data, report),
        (Kind::Variable, Data::Text(it)) => text(found.place, it, &Kind::Text, what, report),
        (Kind::Variable, Data::List(them)) => them.iter().for_each(|it| value(it, kind, what, report)),
        (Kind::Variable, Data::Table(them)) => {
            them.entries.iter().for_each(|it| value(&it.value, kind, &it.key, report));
        }
        (Kind::Variable, _) => {}
        (kind, data) => wrong_type(found, what, &kind.expected(), data, report),
    }
}

/// Whether the value is of the type that `kind` asks for, whatever is in it.
fn is_of_type(data: &Data, kind: &Kind) -> bool {
    match kind {
        Kind::Text | Kind::Filled | Kind::Label | Kind::Duration | Kind::Choice(_) => matches!(data, Data::Text(_)),
        Kind::Boolean => matches!(data, Data::Boolean(_)),
        Kind::Count(..) => matches!(data, Data::Integer(_)),
        Kind::Number => matches!(data, Data::Integer(_) | Data::Float(_)),
        Kind::Scalar => matches!(data, Data::Text(_) | Data::Integer(_) | Data::Float(_) | Data::Boolean(_)),
        Kind::List(_) | Kind::FilledList(_) => matches!(data, Data::List(_)),
        Kind::Map(_) | Kind::Table(_) | Kind::Named(..) => matches!(data, Data::Table(_)),
        Kind::Either(them) => them.iter().any(|it| is_of_type(data, it)),
        Kind::Variable => true,
    }
}

fn text(place: Span, text: &str, kind: &Kind, what: &str, report: &mut Report) {
    if text.contains('\0') {
        bad_value(place, format!("`{what}` holds a NUL character"), "no program or file can be given one", report);
    } else if !matches!(kind, Kind::Text) && text.trim().is_empty() {
        bad_value(place, format!("`{what}` is empty"), "say something here, or take it out", report);
    } else if matches!(kind, Kind::Label) && text.chars().any(char::is_control) {
        bad_value(place, format!("`{what}` holds a control character"), "one line of plain text", report);
    }
}
