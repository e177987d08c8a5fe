//! Templates that are more than plain lookups, by minijinja.
//!
//! Closed off: no other templates, no files, no view of its own state; work and output are bounded.
//! Nothing is in scope but what `scan` found, so that what a template can see is what it is known
//! to use.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, OnceLock},
};

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value,
    syntax::SyntaxConfig,
    value::{Object, ObjectRepr, ValueKind},
};

use crate::model::{
    project::VarValue,
    template::{
        Model, Quoting, Scope, TemplateError,
        check::{self, unknown_root},
        refer::Function,
        scan::{Reference, Root, Scan},
        shell::{self, VALUE_END, VALUE_START},
    },
};

/// Instructions that one rendering may use: far more than a command needs, some milliseconds.
const FUEL: u64 = 200_000;

const RECURSION_MAX: usize = 64;

/// Bytes that one tag may have, and all tags of one text: the engine's parser recurses along a chain
/// of operators or `elif`s without a bound of its own.
const TAG_BYTES_MAX: usize = 1 << 10;
const TAGS_BYTES_MAX: usize = 4 << 10;

/// Bytes that one rendering may write. Linux allows 2 MiB of arguments.
const OUTPUT_BYTES_MAX: usize = 4 << 20;

const GLOBALS: [&str; 3] = ["range", "dict", "namespace"];

/// A value that was marked `| raw`.
#[derive(Debug)]
struct Raw(String);

impl Object for Raw {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn environment(quoting: Quoting) -> &'static Environment<'static> {
    static AS_IS: OnceLock<Environment<'static>> = OnceLock::new();
    static SHELL: OnceLock<Environment<'static>> = OnceLock::new();
    let cell = match quoting {
        Quoting::AsIs => &AS_IS,
        Quoting::Shell => &SHELL,
    };
    cell.get_or_init(|| {
        let mut it = Environment::new();
        it.set_undefined_behavior(UndefinedBehavior::Strict);
        it.set_auto_escape_callback(|_| AutoEscape::None);
        it.set_recursion_limit(RECURSION_MAX);
        it.set_fuel(Some(FUEL));
        it.set_debug(false);
        if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
            it.set_syntax(syntax);
        }
        // `debug()` would show every value; the HTML filters would only mislead.
        it.remove_global("debug");
        for filter in ["escape", "e", "safe", "pprint"] {
            it.remove_filter(filter);
        }
        it.add_filter("raw", |value: &Value| Value::from_object(Raw(value.to_string())));
        it.set_formatter(move |out, _, value| write_value(out, quoting, value));
        it
    })
}

/// In shell mode values are framed, for `shell` to quote them where they turn out to stand.
fn write_value(out: &mut minijinja::Output<'_>, quoting: Quoting, value: &Value) -> Result<(), Error> {
    let help = match value.kind() {
        // An `if` expression without `else`; minijinja refuses every other undefined value before this.
        ValueKind::Undefined => return Ok(()),
        ValueKind::Seq | ValueKind::Iterable => "a list is not a text: say how to write it, `| join(\",\")`",
        ValueKind::Map => "a table is not a text: name one of its values",
        ValueKind::None => "`none` is not a text",
        _ => "",
    };
    if !help.is_empty() {
        return Err(Error::new(ErrorKind::InvalidOperation, help));
    }
    let text = value.to_string();
    let is_raw = value.downcast_object_ref::<Raw>().is_some();
    // What was captured by `{% set %}` is framed already.
    let is_framed = text.contains(VALUE_START);
    if quoting == Quoting::AsIs || is_raw || is_framed {
        out.write_str(&text)?;
    } else {
        write!(out, "{VALUE_START}{text}{VALUE_END}")?;
    }
    Ok(())
}

pub(super) fn render(text: &str, scan: &Scan, scope: &Scope<'_>) -> Result<String, TemplateError> {
    let env = environment(scope.quoting);
    if scope.quoting == Quoting::Shell && text.contains('\0') {
        return Err(TemplateError::new("a command cannot hold a NUL byte", None));
    }
    bounded(scan)?;
    let template = env.template_from_str(text).map_err(|it| told(text, &it))?;
    let mut out = Bounded(Vec::new());
    if let Err(error) = template.render_captured_to(context(scan, scope)?, &mut out).map(drop) {
        return Err(explain(text, scan, scope, &error));
    }
    let rendered = String::from_utf8(out.0).map_err(|_| TemplateError::new("the text is not UTF-8", None))?;
    match scope.quoting {
        Quoting::AsIs => Ok(rendered),
        Quoting::Shell => shell::quote_framed(&rendered),
    }
}

/// Names that a template looks up and that are no root, in alphabetical order.
pub(super) fn unknown_roots(text: &str, scan: &Scan) -> Result<Vec<String>, TemplateError> {
    bounded(scan)?;
    let template = environment(Quoting::AsIs).template_from_str(text).map_err(|it| told(text, &it))?;
    let mut found: Vec<String> = template
        .undeclared_variables(false)
        .into_iter()
        .filter(|it| !GLOBALS.contains(&it.as_str()) && !Root::ALL.iter().any(|root| root.name() == it))
        .collect();
    found.sort();
    Ok(found)
}

fn bounded(scan: &Scan) -> Result<(), TemplateError> {
    if scan.tag_bytes_most <= TAG_BYTES_MAX && scan.tag_bytes <= TAGS_BYTES_MAX {
        return Ok(());
    }
    Err(TemplateError::new("the template is too involved: too much stands between braces", None)
        .help("do the work in a script of your own"))
}

struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > OUTPUT_BYTES_MAX {
            return Err(io::Error::other("the text grows too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The values of what was found, and no others.
fn context(scan: &Scan, scope: &Scope<'_>) -> Result<Value, TemplateError> {
    let mut roots: BTreeMap<&'static str, Value> = BTreeMap::new();
    for root in Root::ALL {
        let mut all = false;
        let mut names: Vec<&str> = Vec::new();
        let mut is_named = false;
        for reference in scan.references.iter().filter(|it| it.root == root) {
            is_named = true;
            all |= reference.path.is_empty();
            names.extend(reference.path.first().map(|it| it.text.as_str()));
        }
        if !is_named {
            continue;
        }
        let wanted = |name: &str| all || names.contains(&name);
        let texts = |them: &BTreeMap<String, String>| {
            Value::from_pairs(them.iter().filter(|it| wanted(it.0)).map(|(name, it)| (name.clone(), it.clone())))
        };
        let value = match root {
            Root::Vars => Value::from_pairs(
                scope.vars.iter().filter(|it| wanted(it.0)).map(|(name, it)| (name.clone(), value_of(it))),
            ),
            Root::Env => texts(scope.env),
            Root::Inputs => {
                Value::from_pairs(scope.inputs.iter().filter(|it| wanted(it.0)).map(|(name, it)| match &**it {
                    [one] => (name.clone(), Value::from(one.as_str())),
                    many => (name.clone(), many.iter().map(String::as_str).collect()),
                }))
            }
            Root::Outputs => texts(scope.outputs),
            Root::Output if scope.outputs.len() == 1 => scope.outputs.values().next().map(String::as_str).into(),
            Root::Project => Value::from_pairs([("root", scope.project_root)]),
            Root::Run => Value::from_pairs([("id", scope.run_id)]),
            Root::Partition => {
                let (keys, plain): (Vec<_>, Vec<_>) = scope.partition.iter().partition(|it| it.0.starts_with("keys."));
                let keys = Value::from_pairs(
                    keys.into_iter().map(|(name, it)| (name["keys.".len()..].to_owned(), it.clone())),
                );
                let plain = plain.into_iter().map(|(name, it)| (name.clone(), Value::from(it.clone())));
                Value::from_pairs(plain.chain([("keys".to_owned(), keys)]))
            }
            Root::Output => continue,
        };
        if scope.quoting == Quoting::Shell && holds_nul(&value) {
            return Err(shell::nul_in_value(&format!("`{}`", root.name())));
        }
        roots.insert(root.name(), value);
    }
    if let Some(refs) = scope.refs {
        roots.insert("ref", Value::from_object(Function(refs.clone())));
    }
    if let Some(Model { this, incremental }) = scope.model {
        roots.insert("this", this.into());
        roots.insert("is_incremental", Value::from_function(move || incremental));
    }
    Ok(Value::from(roots))
}

fn holds_nul(value: &Value) -> bool {
    match value.kind() {
        ValueKind::Map | ValueKind::Seq => value.try_iter().is_ok_and(|mut them| {
            them.any(|it| holds_nul(&it) || value.get_item(&it).is_ok_and(|inner| holds_nul(&inner)))
        }),
        _ => value.as_str().is_some_and(|it| it.contains('\0')),
    }
}

fn value_of(value: &VarValue) -> Value {
    match value {
        VarValue::Text(it) => Value::from(it),
        VarValue::Integer(it) => Value::from(*it),
        VarValue::Float(it) => Value::from(*it),
        VarValue::Boolean(it) => Value::from(*it),
        VarValue::List(them) => them.iter().map(value_of).collect(),
        VarValue::Table(them) => Value::from_pairs(them.iter().map(|(name, it)| (name.clone(), value_of(it)))),
    }
}

/// An undefined value is told by the name that was looked up.
fn explain(text: &str, scan: &Scan, scope: &Scope<'_>, error: &Error) -> TemplateError {
    if let Some(refs) = scope.refs
        && let Some(key) = refs.unknown()
    {
        return check::unknown_ref(text, &key, refs.keys(), told(text, error));
    }
    if error.kind() != ErrorKind::UndefinedError {
        return told(text, error);
    }
    // The mistake is the lookup, or what stands just after it (`| upper`).
    let upto = error.range().map_or(text.len(), |it| it.end);
    let lacking = |it: &&Reference| !it.path.is_empty() && scope.lacks(it);
    let before = scan.references.iter().filter(|it| it.at.start <= upto).rfind(lacking);
    let missing = before.or_else(|| scan.references.iter().find(lacking));
    if let Some(reference) = missing {
        return scope.missing(reference);
    }
    match unknown_roots(text, scan) {
        Ok(roots) if !roots.is_empty() => unknown_root(text, roots[0].clone()),
        _ => told(text, error),
    }
}

impl Scope<'_> {
    fn lacks(&self, reference: &Reference) -> bool {
        match reference.root {
            Root::Vars => check::var(self.vars, reference).is_err(),
            _ => self.lookup(reference).is_err(),
        }
    }
}

fn told(text: &str, error: &Error) -> TemplateError {
    // minijinja counts one byte on from where it stands, which may be past the end or inside a character.
    let at = error.range().map(|it| text.floor_char_boundary(it.start)..text.ceil_char_boundary(it.end));
    if error.kind() == ErrorKind::UnknownFunction
        && let Some(name) = error.detail().and_then(|it| it.strip_suffix(" is unknown"))
    {
        return check::unknown_function(name, at);
    }
    let message = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "the template takes too long".to_owned(),
        (ErrorKind::SyntaxError, Some(detail)) => format!("cannot read the template: {detail}"),
        (ErrorKind::WriteFailure, _) => "the text grows too long".to_owned(),
        (ErrorKind::UndefinedError, _) => "a value is looked up that is not there".to_owned(),
        (_, Some(detail)) => detail.to_owned(),
        (kind, None) => kind.to_string(),
    };
    TemplateError::new(message, at)
}
