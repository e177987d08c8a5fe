//! The TOML as it was written: every key and value with its place, in the order written.
//!
//! Knows TOML and nothing of what the keys mean. Depth is bounded by the parser (80), so whoever
//! walks a tree may recurse.

use std::{collections::HashMap, ops::Range, sync::Arc};

use toml::de::{DeTable, DeValue};

use crate::{
    base::{
        diagnostic::Diagnostic,
        span::{FileId, Span},
    },
    model::manifest::{code, report::Report},
};

/// A value and where it stands. A table opened by a header stands at its header.
#[derive(Clone, Debug)]
pub struct Value {
    pub place: Span,
    pub data: Data,
}

#[derive(Clone, Debug)]
pub enum Data {
    Text(Arc<str>),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// Dates and times mean nothing in a manifest; only the fact is kept, for the error.
    Datetime,
    List(Vec<Value>),
    Table(Table),
}

/// Entries in the order written, each key once.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub key: Arc<str>,
    /// Where the key stands.
    pub place: Span,
    pub value: Value,
}

impl Value {
    pub fn text(&self) -> Option<&Arc<str>> {
        match &self.data {
            Data::Text(it) => Some(it),
            _ => None,
        }
    }

    pub fn table(&self) -> Option<&Table> {
        match &self.data {
            Data::Table(it) => Some(it),
            _ => None,
        }
    }

    /// The items of a list; of anything else, none.
    pub fn items(&self) -> &[Value] {
        match &self.data {
            Data::List(it) => it,
            _ => &[],
        }
    }
}

impl Data {
    /// What it is, with its article.
    pub fn name(&self) -> &'static str {
        match self {
            Data::Text(_) => "a string",
            Data::Integer(_) => "a whole number",
            Data::Float(_) => "a number with a fraction",
            Data::Boolean(_) => "a boolean",
            Data::Datetime => "a date or time",
            Data::List(_) => "a list",
            Data::Table(_) => "a table",
        }
    }
}

impl Table {
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|it| &*it.key == key)
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entry(key).map(|it| &it.value)
    }

    pub fn take(&mut self, key: &str) -> Option<Entry> {
        let at = self.entries.iter().position(|it| &*it.key == key)?;
        Some(self.entries.remove(at))
    }

    /// Merges `over` over this table key by key: tables meet tables, everything else is replaced.
    pub fn merge(&mut self, over: Table) {
        let mut at: HashMap<Arc<str>, usize> =
            self.entries.iter().enumerate().map(|(index, it)| (it.key.clone(), index)).collect();
        for entry in over.entries {
            match at.get(&entry.key) {
                None => {
                    at.insert(entry.key.clone(), self.entries.len());
                    self.entries.push(entry);
                }
                Some(index) => match (&mut self.entries[*index].value.data, entry.value.data) {
                    (Data::Table(under), Data::Table(over)) => under.merge(over),
                    (_, data) => {
                        let value = Value { place: entry.value.place, data };
                        self.entries[*index] = Entry { value, key: entry.key, place: entry.place };
                    }
                },
            }
        }
    }
}

/// At most this many syntax errors of one file are told: what follows the first few is mostly noise.
const SYNTAX_ERRORS_MAX: usize = 10;

/// Telling where each was first written takes a look through the text.
const REPEATS_MAX: usize = 100;

/// Reads `text`. `None` if it is not TOML, in which case what is wrong was reported.
pub fn parse(file: FileId, text: &str, report: &mut Report) -> Option<Table> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let (repeats, broken): (Vec<_>, Vec<_>) = errors.iter().partition(|it| it.message() == DUPLICATE_KEY);
    let range = |it: &toml::de::Error| one_line(text, it.span().unwrap_or(0..0));
    for error in broken.iter().take(SYNTAX_ERRORS_MAX) {
        report.push(syntax_error(file, range(error), error.message()));
    }
    let mut repeated_table = None;
    for error in repeats.iter().take(REPEATS_MAX) {
        let range = range(error);
        // The keys of a table that is repeated are repeated for that reason.
        let header = header_above(text, range.start);
        if is_header(text, range.start) {
            repeated_table = Some(header);
        } else if repeated_table == Some(header) {
            continue;
        }
        report.push(repeated(file, text, range));
    }
    // A repeated key alone leaves a tree that can be trusted.
    let whole = broken.is_empty();
    whole.then(|| table(file, document.into_inner(), report))
}

const DUPLICATE_KEY: &str = "duplicate key";

fn syntax_error(file: FileId, range: Range<usize>, message: &str) -> Diagnostic {
    let place = Span::new(file, range.clone());
    let told = match message {
        "recursion limit" => Diagnostic::error(code::SYNTAX, "values are nested too deeply").label("more than 80 deep"),
        _ if message.starts_with("string values must be quoted") && range.is_empty() => {
            Diagnostic::error(code::SYNTAX, "a value is missing").label("expected a value here")
        }
        _ if message.starts_with("string values must be quoted") => {
            Diagnostic::error(code::SYNTAX, "a string is not in quotes").label("put quotes around it")
        }
        _ => Diagnostic::error(code::SYNTAX, format!("this is not TOML: {message}")),
    };
    told.at(place).help("the syntax of TOML is at https://toml.io")
}

fn repeated(file: FileId, text: &str, range: Range<usize>) -> Diagnostic {
    let name: String = text.get(range.clone()).unwrap_or_default().chars().take(NAME_SHOWN_MAX).collect();
    let told = Diagnostic::error(code::DUPLICATE_KEY, format!("`{name}` is written twice"))
        .at(Span::new(file, range.clone()))
        .label("a second time here")
        .help("a key or table may be written once; put both together, or remove one");
    match first_of(text, range) {
        Some(first) => told.other(Span::new(file, first), "first written here"),
        None => told,
    }
}

const NAME_SHOWN_MAX: usize = 100;

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |it| it + 1)
}

/// Whether what stands at `at` is the name in `[name]`.
fn is_header(text: &str, at: usize) -> bool {
    text[line_start(text, at)..at].trim_start().starts_with('[')
}

/// Where the line of the last header up to `at` begins.
fn header_above(text: &str, at: usize) -> usize {
    let line = line_start(text, at);
    if is_header(text, at) { line } else { text[..line].rfind("\n[").map_or(0, |it| it + 1) }
}

/// The part of `range` that lies on its first line, so that a caret can be drawn.
fn one_line(text: &str, range: Range<usize>) -> Range<usize> {
    let start = range.start.min(text.len());
    let end = range.end.clamp(start, text.len());
    let bytes = &text.as_bytes()[start..end];
    let line = bytes.iter().position(|it| matches!(it, b'\n' | b'\r')).unwrap_or(bytes.len());
    start..start + line
}

/// Where the key or header at `second` was written before, told from the text: the parser does not say.
fn first_of(text: &str, second: Range<usize>) -> Option<Range<usize>> {
    let name = text.get(second.clone())?;
    let line_start = line_start(text, second.start);
    let lead = &text[line_start..second.start];
    // A header is looked for in the whole text before, a key from the last header on.
    let from = if is_header(text, second.start) { 0 } else { header_above(text, second.start) };
    let mut at = from;
    for line in text[from..line_start].split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        if let Some(rest) = line.trim_start().strip_prefix(lead.trim_start())
            && let Some(after) = rest.strip_prefix(name)
            && !after.starts_with(|it: char| it.is_ascii_alphanumeric() || "_-\"'".contains(it))
        {
            let start = at + indent + lead.trim_start().len();
            return Some(start..start + name.len());
        }
        at += line.len();
    }
    None
}

fn table(file: FileId, from: DeTable<'_>, report: &mut Report) -> Table {
    let mut entries: Vec<Entry> = from
        .into_iter()
        .map(|(key, found)| Entry {
            place: Span::new(file, key.span()),
            key: key.into_inner().into(),
            value: value(file, found, report),
        })
        .collect();
    entries.sort_by_key(|it| it.place.start);
    Table { entries }
}

fn value(file: FileId, from: toml::Spanned<DeValue<'_>>, report: &mut Report) -> Value {
    let place = Span::new(file, from.span());
    let data = match from.into_inner() {
        DeValue::String(it) => Data::Text(it.into()),
        DeValue::Integer(it) => match i64::from_str_radix(it.as_str(), it.radix()) {
            Ok(number) => Data::Integer(number),
            Err(_) => {
                report.push(
                    Diagnostic::error(code::BAD_VALUE, "the number is too large")
                        .at(place)
                        .label("a whole number has at most 63 bits"),
                );
                Data::Integer(i64::MAX)
            }
        },
        DeValue::Float(it) => Data::Float(it.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(it) => Data::Boolean(it),
        DeValue::Datetime(_) => Data::Datetime,
        DeValue::Array(them) => Data::List(them.into_iter().map(|it| value(file, it, report)).collect()),
        DeValue::Table(it) => Data::Table(table(file, it, report)),
    };
    Value { place, data }
}
