//! Checks what the templates of a command name, long before it is run.

use std::{collections::BTreeMap, ops::Range};

use crate::{
    base::{
        diagnostic::Diagnostic,
        span::{SourceMap, Span},
    },
    model::project::VarValue,
};

use super::{
    code,
    expression::{Piece, Reference, pieces},
    interpolate::{unknown_root, unknown_var},
    report::Report,
};

/// Finds places inside strings.
pub struct Pointer<'a> {
    pub sources: &'a SourceMap,
}

impl Pointer<'_> {
    /// The place of a range of a string's text. If the string is written with escapes, all of it.
    pub fn at(&self, text: &str, place: Span, range: Range<usize>) -> Span {
        let source = &*self.sources.file(place.file).text;
        let written = source.get(place.range()).unwrap_or_default();
        let marks = ["\"\"\"\r\n", "'''\r\n", "\"\"\"\n", "'''\n", "\"\"\"", "'''", "\"", "'"];
        let lead = marks.iter().find(|it| written.starts_with(**it)).map_or(0, |it| it.len());
        if written.get(lead..lead + text.len()) != Some(text) {
            return place;
        }
        let start = place.range().start + lead;
        Span::new(place.file, start + range.start..start + range.end)
    }
}

/// What the templates of one command may name.
pub struct Names<'a> {
    pub vars: &'a BTreeMap<String, VarValue>,
    /// Declared variables of the environment.
    pub env: &'a dyn Fn(&str) -> bool,
    pub env_names: &'a dyn Fn() -> Vec<String>,
    /// Keys of `deps`.
    pub inputs: &'a [&'a str],
    /// Keys of what it makes; none for a source.
    pub outputs: &'a [&'a str],
}

const ROOTS: [&str; 7] = ["vars", "env", "project", "inputs", "output", "outputs", "run"];

/// Checks one element of a command.
pub fn check(text: &str, place: Span, names: &Names<'_>, point: &Pointer<'_>, report: &mut Report) {
    let Some(pieces) = pieces(text) else {
        return;
    };
    for piece in pieces {
        if let Piece::Name(it) = piece
            && let Some(told) = wrong(&it, names, point.at(text, place, it.at.clone()), report)
        {
            report.push(told);
        }
    }
}

fn wrong(name: &Reference<'_>, names: &Names<'_>, place: Span, report: &Report) -> Option<Diagnostic> {
    let unknown = |message: String| Diagnostic::error(code::UNKNOWN_IN_TEMPLATE, message).at(place);
    match (name.root, name.name) {
        ("vars", Some(key)) if names.vars.contains_key(key) => None,
        ("vars", Some(key)) => Some(unknown_var(key, names.vars, place, report)),
        ("env", Some(key)) if (names.env)(key) => None,
        ("env", Some(key)) => {
            let told = unknown(format!("`env.{key}` is not a declared variable")).label("not declared");
            let declared = (names.env_names)();
            Some(match report.nearest(key, declared.iter().map(String::as_str)) {
                Some(near) => told.help(format!("did you mean `env.{near}`?")),
                None => told.help(format!("declare it: env = [\"{key}\"], or secret_env if it is secret")),
            })
        }
        ("project", Some("root")) | ("run", Some("id")) => None,
        ("inputs", Some(key)) if names.inputs.contains(&key) => None,
        ("inputs", Some(key)) => {
            Some(unknown_input(key, names, unknown(format!("`{key}` is not among the deps")), report))
        }
        ("output", None) if names.outputs.len() == 1 => None,
        ("output", None) if names.outputs.len() > 1 => Some(
            unknown("`output` is ambiguous: the op makes several assets".into())
                .label("which one?")
                .help(format!("write {}", as_written("outputs", names.outputs[0]))),
        ),
        ("outputs", Some(key)) if names.outputs.contains(&key) => None,
        ("outputs", Some(key)) if !names.outputs.is_empty() => {
            let told = unknown(format!("`{key}` is not made by this command")).label("not an output");
            let near = report.nearest(key, names.outputs.iter().copied()).or(names.outputs.first().copied());
            Some(told.help(format!("write {}", as_written("outputs", near.unwrap_or(key)))))
        }
        _ => Some(unknown_root(name, &ROOTS, place, report)),
    }
}

fn unknown_input(key: &str, names: &Names<'_>, told: Diagnostic, report: &Report) -> Diagnostic {
    let told = told.label("not an input");
    match report.nearest(key, names.inputs.iter().copied()) {
        Some(near) => told.help(format!("did you mean {}?", as_written("inputs", near))),
        None => told.help(format!("add it: deps = [\"{key}\"]")),
    }
}

/// How a key is named in a template.
fn as_written(root: &str, key: &str) -> String {
    if super::expression::is_name(key) {
        format!("{{{{ {root}.{key} }}}}")
    } else {
        format!("{{{{ {root}[\"{key}\"] }}}}")
    }
}
