//! Strings with `{{ ... }}` in them.
//!
//! Strict: an unknown name is an error. Knows the values only as they are handed in. Three parts:
//! `scan` finds what a text names, with places; `engine` is minijinja for what is more than plain
//! lookups; `shell` quotes what is inserted into a command for `sh`.

mod check;
mod engine;
pub mod placed;
pub mod refer;
mod scan;
pub mod shell;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, collections::BTreeSet, sync::Arc};

pub use check::Names;
use refer::Refs;
use scan::{Piece, Reference, Root};

use crate::{base::span::Span, model::project::VarValue};

/// A string of the manifest, not yet rendered.
#[derive(Clone, PartialEq, Debug)]
pub struct Template {
    text: Arc<str>,
    place: Option<Span>,
}

/// What a template names. Where a name below a root is computed (`vars[x]`), `all_...` is set and
/// every name of that root counts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Uses {
    /// Names below `vars`.
    pub vars: BTreeSet<String>,
    /// Names below `env`.
    pub env: BTreeSet<String>,
    /// Keys below `inputs`.
    pub inputs: BTreeSet<String>,
    /// Keys below `outputs`.
    pub outputs: BTreeSet<String>,
    pub output: bool,
    /// `run.id`: differs each time.
    pub run: bool,
    pub project_root: bool,
    pub all_vars: bool,
    pub all_env: bool,
    pub all_inputs: bool,
    pub all_outputs: bool,
}

/// The values that a template can name.
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    pub vars: &'a BTreeMap<String, VarValue>,
    /// Declared variables that are set.
    pub env: &'a BTreeMap<String, String>,
    pub project_root: &'a str,
    /// A dependency of several files has several values: words of a shell text, arguments of a list.
    pub inputs: &'a BTreeMap<String, Vec<String>>,
    /// By asset key; `output` is the only one of a single-asset op.
    pub outputs: &'a BTreeMap<String, String>,
    pub run_id: &'a str,
    /// Of the partition that is made: `key`, `start`, `end`, and `keys.NAME` for each dimension.
    pub partition: &'a BTreeMap<String, String>,
    pub quoting: Quoting,
    /// What `ref("KEY")` is; `None` where nothing is to be referred to.
    pub refs: Option<&'a Arc<Refs>>,
    /// What only SQL can name; `None` elsewhere.
    pub model: Option<Model<'a>>,
}

/// `{{ this }}` and `is_incremental()`.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    /// The table itself, as it is called in the text.
    pub this: &'a str,
    /// Rows are added to those that are there.
    pub incremental: bool,
}

/// What happens to a value where it is inserted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quoting {
    AsIs,
    /// Quoted for `sh` where it needs to be; `| raw` turns it off.
    Shell,
}

/// `text` with every input and output that is written out as `old` written as `new`. The same text if
/// there is none, or if `new` is named too: the two could not be told apart any more.
pub fn renamed(text: &str, old: &str, new: &str) -> String {
    let mut references = scan::scan(text).references;
    references.retain(|it| matches!(it.root, scan::Root::Inputs | scan::Root::Outputs));
    let mut told = String::with_capacity(text.len());
    let mut done = 0;
    for reference in &references {
        let Some(name) = reference.path.first() else { continue };
        if name.text == new {
            return text.to_owned();
        }
        if name.text != old {
            continue;
        }
        let after_dot = text[..name.at.start].ends_with('.');
        let start = if after_dot { name.at.start - 1 } else { name.at.start };
        told.push_str(&text[done..start]);
        if after_dot {
            told.push_str(&scan::written_name(new))
        } else {
            told.push_str(new)
        }
        done = name.at.end;
    }
    told.push_str(&text[done..]);
    told
}

/// Why a template cannot be rendered. `at` is a range of bytes in the template's text, if known.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    pub message: String,
    pub at: Option<std::ops::Range<usize>>,
    /// The name that was not found, for suggestions.
    pub unknown: Option<String>,
    /// What to write instead.
    pub help: Option<String>,
}

impl TemplateError {
    fn new(message: impl Into<String>, at: Option<std::ops::Range<usize>>) -> Self {
        TemplateError { message: message.into(), at, unknown: None, help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
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

    /// The text with everything inserted.
    ///
    /// # Errors
    /// A name that is unknown or has no value, a mistake of syntax, or more work or output than a
    /// template is allowed.
    pub fn render(&self, scope: &Scope<'_>) -> Result<String, TemplateError> {
        if self.is_plain() {
            return Ok(self.text.to_string());
        }
        let scan = scan::scan(&self.text);
        if !scan.simple {
            return engine::render(&self.text, &scan, scope);
        }
        let mut out = shell::Writer::new(scope.quoting);
        for piece in &scan.pieces {
            match piece {
                Piece::Text(range) => out.literal(&self.text[range.clone()]),
                Piece::Lookup { reference, raw } => {
                    for (index, value) in scope.lookup(reference)?.iter().enumerate() {
                        if index > 0 {
                            out.literal(" ");
                        }
                        let inserted = if *raw { out.raw(value) } else { out.value(value) };
                        inserted.map_err(|it| TemplateError { at: Some(reference.at.clone()), ..it })?;
                    }
                }
            }
        }
        out.finish()
    }

    /// The key, if the text is exactly one `{{ inputs.KEY }}` and so stands for whole arguments.
    pub fn whole_input(&self) -> Option<String> {
        let scan = scan::scan(self.text.trim());
        match &*scan.pieces {
            [Piece::Lookup { reference, raw: false }] if scan.simple && reference.root == Root::Inputs => {
                match &*reference.path {
                    [key] => Some(key.text.clone()),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Where the variable `name` of the environment is named in another way than `{{ env.NAME }}`.
    pub fn worked_on(&self, name: &str) -> Option<std::ops::Range<usize>> {
        self.not_plain(|it| it.root == Root::Env && it.path.first().is_some_and(|it| it.text == name))
    }

    /// Where what is made is named in another way than `{{ partition.NAME }}`.
    pub fn works_on_partition(&self) -> Option<std::ops::Range<usize>> {
        self.not_plain(|it| it.root == Root::Partition)
    }

    fn not_plain(&self, is_it: impl Fn(&Reference) -> bool) -> Option<std::ops::Range<usize>> {
        scan::scan(&self.text).references.iter().find(|it| !it.plain && is_it(it)).map(|it| it.at.clone())
    }

    /// Everything that the text names, without rendering it.
    ///
    /// # Errors
    /// A mistake of syntax.
    pub fn uses(&self) -> Result<Uses, TemplateError> {
        if self.is_plain() {
            return Ok(Uses::default());
        }
        let scan = scan::scan(&self.text);
        if !scan.simple {
            engine::unknown_roots(&self.text, &scan)?;
        }
        let mut uses = Uses::default();
        for reference in &scan.references {
            uses.add(reference);
        }
        Ok(uses)
    }
}

impl Uses {
    /// What a text names that cannot be read: anything.
    pub fn everything() -> Uses {
        let yes = true;
        Uses { all_vars: yes, all_env: yes, all_inputs: yes, all_outputs: yes, ..Uses::default() }
    }

    /// Takes over what another template names.
    pub fn merge(&mut self, other: Uses) {
        self.vars.extend(other.vars);
        self.env.extend(other.env);
        self.inputs.extend(other.inputs);
        self.outputs.extend(other.outputs);
        self.output |= other.output;
        self.run |= other.run;
        self.project_root |= other.project_root;
        self.all_vars |= other.all_vars;
        self.all_env |= other.all_env;
        self.all_inputs |= other.all_inputs;
        self.all_outputs |= other.all_outputs;
    }

    fn add(&mut self, reference: &Reference) {
        let (names, all) = match reference.root {
            Root::Vars => (&mut self.vars, &mut self.all_vars),
            Root::Env => (&mut self.env, &mut self.all_env),
            Root::Inputs => (&mut self.inputs, &mut self.all_inputs),
            Root::Outputs => (&mut self.outputs, &mut self.all_outputs),
            Root::Output => return self.output = true,
            Root::Run => return self.run = true,
            Root::Project => return self.project_root = true,
            Root::Partition => return,
        };
        match reference.path.first() {
            Some(name) => drop(names.insert(name.text.clone())),
            None => *all = true,
        }
    }
}

impl Scope<'_> {
    /// The texts that stand for a plain lookup: one, but for a dependency of several files.
    fn lookup(&self, reference: &Reference) -> Result<Vec<String>, TemplateError> {
        let first = reference.path.first().map(|it| it.text.as_str());
        let found = match (reference.root, first) {
            (Root::Vars, Some(_)) => {
                return check::var(self.vars, reference).and_then(|it| Ok(vec![text_of(it, reference)?]));
            }
            (Root::Inputs, Some(key)) if reference.path.len() == 1 => {
                return self.inputs.get(key).cloned().ok_or_else(|| self.missing(reference));
            }
            (Root::Env, Some(name)) => self.env.get(name).cloned(),
            (Root::Outputs, Some(key)) => self.outputs.get(key).cloned(),
            (Root::Output, None) if self.outputs.len() == 1 => self.outputs.values().next().cloned(),
            (Root::Project, Some("root")) => Some(self.project_root.to_owned()),
            (Root::Run, Some("id")) => Some(self.run_id.to_owned()),
            (Root::Partition, Some(_)) => {
                return self
                    .partition
                    .get(&reference.below())
                    .map(|it| vec![it.clone()])
                    .ok_or_else(|| self.missing(reference));
            }
            _ => None,
        };
        match found {
            Some(text) if reference.path.len() <= 1 => Ok(vec![text]),
            _ => Err(self.missing(reference)),
        }
    }

    /// Why a reference has no value here.
    fn missing(&self, reference: &Reference) -> TemplateError {
        if let (Root::Env, [name]) = (reference.root, &*reference.path) {
            let at = Some(reference.at.clone());
            return TemplateError::new(format!("environment variable {} is not set", name.text), at)
                .help(format!("set it, or write `{{{{ env.{} | default(\"...\") }}}}`", name.text));
        }
        let env: Vec<&str> = self.env.keys().map(String::as_str).collect();
        let inputs: Vec<&str> = self.inputs.keys().map(String::as_str).collect();
        let outputs: Vec<&str> = self.outputs.keys().map(String::as_str).collect();
        let partition: Vec<&str> = self.partition.keys().map(String::as_str).collect();
        let names = Names { vars: self.vars, env: &env, inputs: &inputs, outputs: &outputs, partition: &partition };
        names.check(reference).err().unwrap_or_else(|| {
            TemplateError::new(format!("`{}` is not a text", reference.shown()), Some(reference.at.clone()))
        })
    }
}

fn text_of(value: &VarValue, reference: &Reference) -> Result<String, TemplateError> {
    let (kind, help) = match value {
        VarValue::Text(text) => return Ok(text.clone()),
        VarValue::Integer(it) => return Ok(it.to_string()),
        VarValue::Float(it) => return Ok(minijinja::Value::from(*it).to_string()),
        VarValue::Boolean(it) => return Ok(it.to_string()),
        VarValue::List(_) => ("list", format!("say how to write it: `{{{{ {} | join(\",\") }}}}`", reference.shown())),
        VarValue::Table(_) => ("table", format!("name one of its values: `{{{{ {}.NAME }}}}`", reference.shown())),
    };
    let at = Some(reference.at.clone());
    Err(TemplateError::new(format!("`{}` is a {kind}, not a text", reference.shown()), at).help(help))
}
