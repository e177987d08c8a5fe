//! Strings with `{{ ... }}` in them.
//!
//! Strict: an unknown name is an error. Knows the values only as they are handed in.

use std::{collections::BTreeMap, collections::BTreeSet, sync::Arc};

use crate::{base::span::Span, model::project::VarValue};

/// A string of the manifest, not yet rendered.
#[derive(Clone, PartialEq, Debug)]
pub struct Template {
    text: Arc<str>,
    place: Option<Span>,
}

/// What a template names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Uses {
    /// Names below `vars`; a computed name (`vars[x]`) counts as all of them.
    pub vars: BTreeSet<String>,
    /// Names below `env`.
    pub env: BTreeSet<String>,
    /// Keys below `inputs`.
    pub inputs: BTreeSet<String>,
    pub output: bool,
}

/// The values that a template can name.
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    pub vars: &'a BTreeMap<String, VarValue>,
    /// Declared variables that are set.
    pub env: &'a BTreeMap<String, String>,
    pub project_root: &'a str,
    pub inputs: &'a BTreeMap<String, String>,
    /// By asset key; `output` is the only one of a single-asset op.
    pub outputs: &'a BTreeMap<String, String>,
    pub run_id: &'a str,
    pub quoting: Quoting,
}

/// What happens to a value where it is inserted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quoting {
    AsIs,
    /// Quoted for `sh` where it needs to be; `| raw` turns it off.
    Shell,
}

/// Why a template cannot be rendered. `at` is a range of bytes in the template's text, if known.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    pub message: String,
    pub at: Option<std::ops::Range<usize>>,
    /// The name that was not found, for suggestions.
    pub unknown: Option<String>,
}

impl Template {
    pub fn new(text: impl Into<Arc<str>>, place: Option<Span>) -> Self {
        Template { text: text.into(), place }
    }

    /// As written.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn place(&self) -> Option<Span> {
        self.place
    }

    /// Nothing in it is replaced.
    pub fn is_plain(&self) -> bool {
        !["{{", "{%", "{#"].iter().any(|it| self.text.contains(it))
    }
}
