//! Renders what must be known at load: paths and the options of IO managers, from `vars` and `env`.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    base::{diagnostic::Diagnostic, span::Span},
    model::project::VarValue,
};

use super::{
    Options, code,
    command::Pointer,
    expression::{Piece, Reference, pieces},
    report::Report,
};

/// The values that a path or an option can name.
pub struct Known<'a> {
    pub vars: &'a BTreeMap<String, VarValue>,
    pub options: &'a Options<'a>,
}

/// Roots of names that exist at load.
const ROOTS: [&str; 3] = ["vars", "env", "project"];

/// The text with its templates replaced; `None` if a name in it is unknown, which is reported.
pub fn render(
    text: &Arc<str>,
    place: Span,
    known: &Known<'_>,
    point: &Pointer<'_>,
    report: &mut Report,
) -> Option<Arc<str>> {
    let Some(pieces) = pieces(text) else {
        return engine(text, place, report);
    };
    if let [] | [Piece::Text(_)] = &pieces[..] {
        return Some(text.clone());
    }
    let mut rendered = String::new();
    let mut whole = true;
    for piece in pieces {
        match piece {
            Piece::Text(it) => rendered.push_str(it),
            Piece::Name(it) => match value(&it, known) {
                Ok(value) => rendered.push_str(&value),
                Err(told) => {
                    whole = false;
                    report.push(told(point.at(text, place, it.at.clone()), report));
                }
            },
        }
    }
    whole.then(|| rendered.into())
}

type Complaint<'a> = Box<dyn Fn(Span, &Report) -> Diagnostic + 'a>;

fn value<'a>(name: &'a Reference<'a>, known: &'a Known<'_>) -> Result<String, Complaint<'a>> {
    match (name.root, name.name) {
        ("vars", Some(key)) => match known.vars.get(key) {
            Some(value) => shown(value).ok_or_else(|| -> Complaint<'a> {
                Box::new(move |place, _| {
                    let message = format!("`vars.{key}` is not one value");
                    Diagnostic::error(code::BAD_TEMPLATE, message).at(place).label("a list or table")
                })
            }),
            None => Err(Box::new(move |place, report| unknown_var(key, known.vars, place, report))),
        },
        ("env", Some(key)) => (known.options.env)(key).ok_or_else(|| -> Complaint<'a> {
            Box::new(move |place, _| {
                Diagnostic::error(code::UNSET_ENV, format!("the variable {key} is not set"))
                    .at(place)
                    .label("not set in the environment")
                    .help(format!("set it, or give a default: {{{{ env.{key} | default(\"...\") }}}}"))
            })
        }),
        ("project", Some("root")) => Ok(known.options.project_root.to_owned()),
        _ => Err(Box::new(move |place, report| unknown_root(name, &ROOTS, place, report))),
    }
}

/// A value as text; lists and tables have none.
fn shown(value: &VarValue) -> Option<String> {
    Some(match value {
        VarValue::Text(it) => it.clone(),
        VarValue::Integer(it) => it.to_string(),
        VarValue::Float(it) => it.to_string(),
        VarValue::Boolean(it) => it.to_string(),
        VarValue::List(_) | VarValue::Table(_) => return None,
    })
}

pub fn unknown_var(key: &str, vars: &BTreeMap<String, VarValue>, place: Span, report: &Report) -> Diagnostic {
    let told = Diagnostic::error(code::UNKNOWN_IN_TEMPLATE, format!("`vars.{key}` is not declared"))
        .at(place)
        .label("unknown variable");
    match report.meant(key, vars.keys().map(String::as_str)) {
        Some(help) => told.help(help),
        None => told.help(format!("declare it: [vars] {key} = ...")),
    }
}

pub fn unknown_root(name: &Reference<'_>, roots: &[&str], place: Span, report: &Report) -> Diagnostic {
    let full = match name.name {
        Some(it) => format!("{}.{it}", name.root),
        None => name.root.to_owned(),
    };
    if name.root == "partition" {
        return Diagnostic::error(code::NOT_SUPPORTED, format!("`{full}` is not supported yet"))
            .at(place)
            .label("comes with partitions");
    }
    let told = Diagnostic::error(code::UNKNOWN_IN_TEMPLATE, format!("`{full}` is not known here"))
        .at(place)
        .label("unknown name");
    match report.nearest(name.root, roots.iter().copied()) {
        Some(near) => told.help(format!("did you mean `{near}`?")),
        None => told.help(format!("there is `{}`", roots.join("`, `"))),
    }
}

/// Templates beyond the simple forms.
fn engine(_text: &Arc<str>, place: Span, report: &mut Report) -> Option<Arc<str>> {
    report.error(
        code::BAD_TEMPLATE,
        "the template is too involved for a path",
        place,
        "only {{ vars.x }} and {{ env.X }}",
    );
    None
}
