//! Two versions of an asset beside each other: lines for people, `assets.diff/1` for programs.

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    exec::diff::{Column, ColumnDiff, TableDiff},
    face::{
        report::{Layout, diff},
        ui::{Role, rows, words},
    },
    model::check::Sample,
};

pub const SCHEMA: &str = "assets.diff/1";

/// What was compared, and what came of it.
pub struct DataDiff {
    pub key: String,
    pub sides: [SideDocument; 2],
    pub compared: Compared,
}

/// By what it was compared.
pub enum Compared {
    Tables(Box<TableDiff>),
    /// A unified diff; `None`: too long for one.
    Text(Option<String>),
    /// Only how large they are.
    Bytes([u64; 2]),
}

/// The answer to `assets diff`.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.diff/1"))]
pub struct DiffDocument {
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: &'static str,
    pub key: String,
    pub from: SideDocument,
    pub to: SideDocument,
    /// Null for what holds no rows.
    pub table: Option<TableDocument>,
    /// Of two texts that hold no rows: a unified diff.
    pub text: Option<String>,
}

/// One of the two.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Side"))]
pub struct SideDocument {
    /// `now`, the run that made it, or the target that it is of.
    pub name: String,
    /// The run that recorded it.
    pub run: Option<String>,
    pub target: Option<String>,
    /// Identity of the content: `blake3:` and 64 hex digits.
    pub data_version: Option<String>,
}

/// What is different between two tables.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Table"))]
pub struct TableDocument {
    /// Nothing is different, the order of rows aside.
    pub same: bool,
    /// How many rows there were and are.
    pub rows: [u64; 2],
    pub added_columns: Vec<NamedColumn>,
    pub removed_columns: Vec<NamedColumn>,
    /// The columns that both have stand in another order.
    pub reordered: bool,
    /// Those that both have.
    pub columns: Vec<ColumnDocument>,
    /// The columns that tell rows apart; empty: whole rows were compared.
    pub by: Vec<String>,
    pub added: u64,
    pub removed: u64,
    /// Rows of one key with another value; 0 where whole rows were compared.
    pub changed: u64,
    /// The first of them, by the names of columns.
    pub added_rows: Vec<Map<String, Value>>,
    pub removed_rows: Vec<Map<String, Value>>,
    /// A value that is another is written `old -> new`.
    pub changed_rows: Vec<Map<String, Value>>,
    pub notes: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NamedColumn {
    pub name: String,
    pub kind: String,
}

/// A column before and after.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Column"))]
pub struct ColumnDocument {
    pub name: String,
    pub kind: [String; 2],
    pub nulls: [u64; 2],
    /// Null for kinds without an order.
    pub min: [Option<String>; 2],
    pub max: [Option<String>; 2],
    /// Null where they were not counted.
    pub distinct: [Option<u64>; 2],
    /// In so many rows that both have it is another; null where rows have no key.
    pub changed: Option<u64>,
}

pub fn document(told: &DataDiff) -> DiffDocument {
    let [from, to] = told.sides.clone();
    let (table, text) = match &told.compared {
        Compared::Tables(it) => (Some(table_document(it)), None),
        Compared::Text(text) => (None, text.clone()),
        Compared::Bytes(_) => (None, None),
    };
    DiffDocument { schema: SCHEMA, key: told.key.clone(), from, to, table, text }
}

fn table_document(it: &TableDiff) -> TableDocument {
    let named = |them: &[Column]| -> Vec<NamedColumn> {
        them.iter().map(|it| NamedColumn { name: it.name.clone(), kind: it.kind.clone() }).collect()
    };
    let column = |it: &ColumnDiff| ColumnDocument {
        name: it.name.clone(),
        kind: it.kinds.clone(),
        nulls: it.nulls,
        min: it.min.clone(),
        max: it.max.clone(),
        distinct: it.distinct,
        changed: it.changed,
    };
    TableDocument {
        same: it.is_same(),
        rows: it.rows,
        added_columns: named(&it.added_columns),
        removed_columns: named(&it.removed_columns),
        reordered: it.reordered,
        columns: it.columns.iter().map(column).collect(),
        by: it.key.clone(),
        added: it.added,
        removed: it.removed,
        changed: it.changed,
        added_rows: objects(&it.added_rows),
        removed_rows: objects(&it.removed_rows),
        changed_rows: objects(&it.changed_rows),
        notes: it.notes.clone(),
    }
}

fn objects(sample: &Sample) -> Vec<Map<String, Value>> {
    let object = |row: &Vec<Option<String>>| {
        let cells = sample.columns.iter().zip(row);
        cells.map(|(name, it)| (name.clone(), it.clone().map_or(Value::Null, Value::String))).collect()
    };
    sample.rows.iter().map(object).collect()
}

pub fn text(told: &DataDiff, layout: Layout) -> String {
    let [from, to] = &told.sides;
    let heading = format!("{}: {} -> {}", told.key, from.name, to.name);
    let mut text = format!("{}\n", layout.style.paint(Role::Strong, &words::visible(&heading)));
    match &told.compared {
        Compared::Tables(it) => tables(it, layout, &mut text),
        Compared::Text(Some(unified)) if unified.is_empty() => text.push_str("nothing is different\n"),
        Compared::Text(Some(unified)) => text.push_str(&diff::shown(unified, 2, layout)),
        Compared::Text(None) => text.push_str("the texts are too long to be compared line by line\n"),
        Compared::Bytes([was, is]) => {
            let _ = writeln!(text, "no rows and no text: {} -> {}", words::size(*was), words::size(*is));
        }
    }
    text
}

fn tables(it: &TableDiff, layout: Layout, text: &mut String) {
    let more = it.rows[1] as i128 - it.rows[0] as i128;
    let change = if more == 0 { String::new() } else { format!(" ({more:+})") };
    let _ = writeln!(text, "rows: {} -> {}{change}", words::thousands(it.rows[0]), words::thousands(it.rows[1]));
    for note in &it.notes {
        let _ = writeln!(text, "{}: {}", layout.style.paint(Role::Info, "note"), words::visible(note));
    }
    if it.is_same() {
        text.push_str("nothing is different\n");
        return;
    }
    let by = if it.key.is_empty() { String::new() } else { format!("by {}: ", it.key.join(", ")) };
    let changed = if it.key.is_empty() { String::new() } else { format!(", {} changed", words::thousands(it.changed)) };
    let (added, removed) = (words::thousands(it.added), words::thousands(it.removed));
    let _ = writeln!(text, "{}", words::visible(&format!("{by}{added} added, {removed} removed{changed}")));
    columns(it, layout, text);
    for (name, sample, all) in [
        ("added", &it.added_rows, it.added),
        ("removed", &it.removed_rows, it.removed),
        ("changed", &it.changed_rows, it.changed),
    ] {
        if !sample.rows.is_empty() {
            let _ = writeln!(text, "\n{}", layout.style.paint(Role::Strong, &format!("{name}:")));
            text.push_str(&rows::table(sample, Some(all), layout.style));
        }
    }
}

/// Those that are different, or all if that is wanted.
fn columns(it: &TableDiff, layout: Layout, text: &mut String) {
    let mut lines = Vec::new();
    for column in &it.added_columns {
        lines.push((column.name.clone(), format!("added, {}", column.kind)));
    }
    for column in &it.removed_columns {
        lines.push((column.name.clone(), format!("removed, was {}", column.kind)));
    }
    for column in &it.columns {
        let told = column_line(column, layout.verbose);
        if !told.is_empty() {
            lines.push((column.name.clone(), told));
        }
    }
    if it.reordered {
        lines.push((String::new(), "stand in another order".to_owned()));
    }
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{}", layout.style.paint(Role::Strong, "columns:"));
    let wide = lines.iter().map(|it| words::width(&words::visible(&it.0))).max().unwrap_or(0);
    for (name, told) in lines {
        let name = words::pad_right(&words::visible(&name), wide);
        let _ = writeln!(text, "      {}", format!("{name}  {}", words::visible(&told)).trim_end());
    }
}

fn column_line(column: &ColumnDiff, all: bool) -> String {
    let mut parts = Vec::new();
    let mut told = |name: &str, pair: [String; 2]| {
        if pair[0] != pair[1] {
            parts.push(format!("{name}{} -> {}", pair[0], pair[1]));
        } else if all && !pair[0].is_empty() {
            parts.push(format!("{name}{}", pair[0]));
        }
    };
    told("", column.kinds.clone());
    told("nulls ", column.nulls.map(words::thousands));
    let shown = |it: &Option<String>| it.clone().unwrap_or_else(|| "none".to_owned());
    let both = |it: &[Option<String>; 2]| [shown(&it[0]), shown(&it[1])];
    told("min ", both(&column.min));
    told("max ", both(&column.max));
    if let [Some(was), Some(is)] = column.distinct {
        told("distinct ", [was, is].map(words::thousands));
    }
    if let Some(changed) = column.changed.filter(|it| *it > 0) {
        parts.insert(0, format!("{} changed", words::thousands(changed)));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(name: &str) -> SideDocument {
        SideDocument { name: name.to_owned(), run: Some("r1".to_owned()), target: None, data_version: None }
    }

    #[test]
    fn the_document_is_what_its_schema_says() {
        let column = Column { name: "a".to_owned(), kind: "int".to_owned() };
        let both = ColumnDiff {
            name: "b".to_owned(),
            kinds: ["int", "text"].map(str::to_owned),
            nulls: [0, 1],
            min: [Some("1".to_owned()), None],
            max: [None, None],
            distinct: [Some(1), None],
            changed: Some(1),
        };
        let sample = Sample { columns: vec!["a".to_owned()], rows: vec![vec![Some("1".to_owned())], vec![None]] };
        let table = TableDiff {
            rows: [1, 2],
            added_columns: vec![column],
            columns: vec![both],
            added: 1,
            added_rows: sample,
            notes: vec!["said".to_owned()],
            ..TableDiff::default()
        };
        let sides = || [side("r1"), side("now")];
        let told = |compared| document(&DataDiff { key: "a".to_owned(), sides: sides(), compared });
        let documents = [
            told(Compared::Tables(Box::new(table))),
            told(Compared::Text(Some("+a\n".to_owned()))),
            told(Compared::Bytes([1, 2])),
        ];
        crate::face::report::schema::check::<DiffDocument>("diff", &documents);
    }
}
