//! Whether everything that a template names is there, before anything is rendered.

use std::{collections::BTreeMap, ops::Range};

use crate::{
    base::suggest::nearest,
    model::{
        key::declaring,
        project::VarValue,
        template::{
            Quoting, Template, TemplateError, engine,
            scan::{self, Name, Piece, Reference, Root, written_name},
            shell,
        },
    },
};

/// The names that a template may use.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    pub vars: &'a BTreeMap<String, VarValue>,
    /// Declared variables of the environment, set or not.
    pub env: &'a [&'a str],
    /// Keys of what the computation reads.
    pub inputs: &'a [&'a str],
    /// Keys of what it makes; empty where there is no output to speak of.
    pub outputs: &'a [&'a str],
    /// What is known of the partition that is made; empty where there are no partitions.
    pub partition: &'a [&'a str],
}

impl Template {
    /// Refuses what could not be rendered with these names, whatever their values.
    ///
    /// # Errors
    /// Every name that is unknown, or one mistake of syntax.
    pub fn check(&self, names: &Names<'_>) -> Result<(), Vec<TemplateError>> {
        if self.is_plain() {
            return Ok(());
        }
        let scan = scan::scan(&self.text);
        let mut wrong: Vec<TemplateError> = scan.references.iter().filter_map(|it| names.check(it).err()).collect();
        if !scan.simple {
            let roots = engine::unknown_roots(&self.text, &scan).map_err(|it| vec![it])?;
            wrong.extend(roots.into_iter().map(|it| unknown_root(&self.text, it)));
            wrong.sort_by_key(|it| it.at.as_ref().map(|at| at.start));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

impl Template {
    /// Refuses what no value could be inserted into as a text for `sh`: `${{ vars.x }}`.
    /// Says nothing of templates that are more than plain lookups.
    ///
    /// # Errors
    /// The first such place.
    pub fn check_shell(&self) -> Result<(), TemplateError> {
        let scan = scan::scan(&self.text);
        if self.is_plain() || !scan.simple {
            return Ok(());
        }
        let mut out = shell::Writer::new(Quoting::Shell);
        for piece in &scan.pieces {
            match piece {
                Piece::Text(range) => out.literal(&self.text[range.clone()]),
                // What raw text means is not known before it is there.
                Piece::Lookup { raw: true, .. } => return Ok(()),
                Piece::Lookup { reference, .. } => {
                    out.value("x").map_err(|it| TemplateError { at: Some(reference.at.clone()), ..it })?;
                }
            }
        }
        out.finish().map(drop)
    }
}

impl Names<'_> {
    pub(super) fn check(&self, reference: &Reference) -> Result<(), TemplateError> {
        let at = || Some(reference.at.clone());
        match (reference.root, &*reference.path) {
            (Root::Vars, [_, ..]) => var(self.vars, reference).map(drop),
            (Root::Vars | Root::Env, []) => Ok(()),
            (Root::Env, [name, ..]) => {
                let help = format!("declare it: `env = [{:?}]`", name.text);
                known(self.env, name, Root::Env, "variable of the environment is declared as", Some(help))
            }
            (Root::Inputs, [name, ..]) => {
                let help = format!("say that it is read: `deps = [{:?}]`", name.text);
                known(self.inputs, name, Root::Inputs, "dependency is named", Some(help))
            }
            (Root::Outputs, [name, ..]) => known(self.outputs, name, Root::Outputs, "output is named", None),
            (Root::Inputs | Root::Outputs, []) => Ok(()),
            (Root::Output, []) => match self.outputs {
                [_] => Ok(()),
                [] => Err(TemplateError::new("there is no `output` here", at())),
                [first, ..] => Err(TemplateError::new("`output` could be any of several outputs", at())
                    .help(format!("name one: `outputs{}`", written_name(first)))),
            },
            (Root::Output, [name, ..]) => {
                Err(TemplateError::new(format!("`output` is a path and has no `{}`", name.text), at()))
            }
            (Root::Project, path) => only(path, "root", reference),
            (Root::Run, path) => only(path, "id", reference),
            (Root::Partition, path) => self.partition(path, reference),
        }
    }
}

impl Names<'_> {
    fn partition(&self, path: &[Name], reference: &Reference) -> Result<(), TemplateError> {
        let name = reference.below();
        if self.partition.contains(&&*name) || path.is_empty() && !self.partition.is_empty() {
            return Ok(());
        }
        let told = |message: String| TemplateError::new(message, Some(reference.at.clone()));
        if self.partition.is_empty() {
            return Err(
                told("there are no partitions here".to_owned()).help("say how it is cut: `partitions = \"NAME\"`")
            );
        }
        let known: Vec<String> = self.partition.iter().map(|it| format!("`partition.{it}`")).collect();
        // Whatever is cut has a key, unless it is several at once.
        let one = match self.partition.contains(&"key") {
            true => "",
            false => "with `batch` there are several at once, each with a key of its own; ",
        };
        let mut error =
            told(format!("`{}` is not known", reference.shown())).help(format!("{one}there is {}", known.join(", ")));
        error.unknown = path.first().map(|it| it.text.clone());
        Err(error)
    }
}

fn only(path: &[Name], name: &str, reference: &Reference) -> Result<(), TemplateError> {
    if let [it] = path
        && it.text == name
    {
        return Ok(());
    }
    let root = reference.root.name();
    let message = format!("`{}` is not known", reference.shown());
    let mut error = TemplateError::new(message, Some(reference.at.clone())).help(format!("write `{root}.{name}`"));
    error.unknown = path.first().map(|it| it.text.clone());
    Err(error)
}

fn known(names: &[&str], name: &Name, root: Root, what: &str, otherwise: Option<String>) -> Result<(), TemplateError> {
    if names.contains(&name.text.as_str()) {
        return Ok(());
    }
    let error = unknown(format!("no {what} `{}`", name.text), &name.text, name.at.clone());
    // `inputs.raw/orders` and `inputs.daily-sales` are divisions and subtractions.
    let longer =
        names.iter().find(|it| it.strip_prefix(name.text.as_str()).is_some_and(|rest| rest.starts_with(['-', '/'])));
    let near = longer.copied().or_else(|| nearest(&name.text, names.iter().copied()));
    Err(TemplateError { help: near.map(|it| did_you_mean(root.name(), it)).or(otherwise), ..error })
}

fn did_you_mean(before: &str, name: &str) -> String {
    format!("did you mean `{before}{}`?", written_name(name))
}

fn unknown(message: String, name: &str, at: Range<usize>) -> TemplateError {
    TemplateError { message, at: Some(at), unknown: Some(name.to_owned()), help: None }
}

/// The value that a reference below `vars` stands for, through tables.
pub(super) fn var<'a>(
    vars: &'a BTreeMap<String, VarValue>,
    reference: &Reference,
) -> Result<&'a VarValue, TemplateError> {
    let mut before = "vars".to_owned();
    let mut table = vars;
    let mut path = reference.path.iter().peekable();
    while let Some(name) = path.next() {
        let Some(value) = table.get(&name.text) else {
            let shown = format!("{before}{}", written_name(&name.text));
            let near = nearest(&name.text, table.keys().map(String::as_str));
            let help = near.map_or_else(
                || if before == "vars" { Some(format!("declare it: `[vars] {} = ...`", name.text)) } else { None },
                |it| Some(did_you_mean(&before, it)),
            );
            let error = unknown(format!("`{shown}` is not declared"), &name.text, name.at.clone());
            return Err(TemplateError { help, ..error });
        };
        before += &written_name(&name.text);
        match (value, path.peek()) {
            (value, None) => return Ok(value),
            (VarValue::Table(inner), Some(_)) => table = inner,
            (_, Some(next)) => {
                let message = format!("`{before}` is not a table and has no `{}`", next.text);
                return Err(TemplateError::new(message, Some(next.at.clone())));
            }
        }
    }
    Err(TemplateError::new("`vars` is a table, not a text", Some(reference.at.clone())))
}

/// A word that begins a lookup and is no root.
pub(super) fn unknown_root(text: &str, word: String) -> TemplateError {
    let at = text.match_indices(&word).map(|(at, it)| at..at + it.len()).find(|it| {
        let around = [text[..it.start].chars().next_back(), text[it.end..].chars().next()];
        !around.into_iter().flatten().any(|it| it.is_alphanumeric() || it == '_')
    });
    let roots = Root::ALL.into_iter().map(Root::name);
    let help = match word.as_str() {
        "input" => "write `inputs.KEY`".to_owned(),
        "var" => "write `vars.NAME`".to_owned(),
        "ref" => "`ref` is for SQL: write `inputs.KEY`".to_owned(),
        word => match nearest(word, roots.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", roots.map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")),
        },
    };
    let message = format!("`{word}` is not known");
    TemplateError { message, at, unknown: Some(word), help: Some(help) }
}

/// A function that is not there. People who come from dbt have its names in their fingers.
pub(super) fn unknown_function(name: &str, at: Option<Range<usize>>) -> TemplateError {
    let help = match name {
        "config" => Some("say it in assets.toml: [asset.KEY] materialized = \"..\""),
        "source" => Some("write `ref(\"KEY\")`: a source has a key of its own, [source.KEY]"),
        "var" => Some("write `vars.NAME`"),
        "env_var" => Some("write `env.NAME`"),
        _ => None,
    };
    let message = format!("`{name}` is not known");
    TemplateError { help: help.map(str::to_owned), ..TemplateError::new(message, at) }
}

/// A key that `ref` was called with. `told` is what the engine says, with the place of the call.
pub(super) fn unknown_ref<'k>(
    text: &str,
    key: &str,
    keys: impl Iterator<Item = &'k str> + Clone,
    told: TemplateError,
) -> TemplateError {
    let from = told.at.as_ref().map_or(0, |it| it.start);
    // The key itself, if it is written out.
    let at = text.get(from..).and_then(|it| it.find(key)).map(|it| from + it..from + it + key.len()).or(told.at);
    let help = match nearest(key, keys) {
        Some(near) => format!("did you mean `{near}`?"),
        None => declaring(key),
    };
    let message = format!("there is no asset or source `{key}`");
    TemplateError { message, at, unknown: Some(key.to_owned()), help: Some(help) }
}
