//! Rows and files into a database: as a table that is staged, or under a name that one connection knows.

use std::path::PathBuf;

use arrow::datatypes::{DataType, Schema};

use super::session::{Refused, Session};
use crate::{
    exec::table::{
        Rows,
        read::{self, Reader},
    },
    model::{format::TableFormat, sql::Dialect},
};

/// Makes a table of the schema.
///
/// # Errors
/// Rows that cannot be read or kept.
pub fn table(session: &mut Session, name: &str, rows: Rows) -> Result<(), Refused> {
    session.insert(name, false, rows)
}

/// Makes `name`, as it stands in a query, mean what `from` selects from: for this connection alone.
///
/// # Errors
/// What the engine says.
pub fn view(session: &mut Session, name: &str, from: &str) -> Result<(), Refused> {
    let engine = session.engine;
    if !engine.views {
        session.lend(name, from);
        return Ok(());
    }
    session.run(&format!("create temporary view {} as select * from {from}", engine.quoted(name)))
}

/// The same for rows, which are copied.
///
/// # Errors
/// Rows that cannot be read or kept.
pub fn rows(session: &mut Session, name: &str, rows: Rows) -> Result<(), Refused> {
    if session.engine.views {
        return session.insert(name, true, rows);
    }
    let table = session.bring();
    session.insert(&table, false, rows)?;
    let from = session.qualified(&table);
    view(session, name, &from)
}

/// The same for files, which are read where they lie if the engine can read them as we do.
///
/// # Errors
/// Files that cannot be read, or do not fit together.
pub fn files(session: &mut Session, name: &str, paths: &[PathBuf], format: TableFormat) -> Result<(), Refused> {
    let looked = read::look(paths, format).map_err(Refused::plain)?;
    if looked.schema.fields().is_empty() {
        return Err(Refused::plain("nothing is in it, not even the names of columns"));
    }
    if session.engine.dialect == Dialect::DuckDb
        && looked.reader == Reader::Any
        && let Some(from) = in_place(session, paths, format, &looked.schema)
    {
        return view(session, name, &from);
    }
    rows(session, name, read::open_as(paths, format, looked.schema))
}

/// A call of DuckDB that reads files as our own readers do; `None` if there is none.
fn in_place(session: &Session, paths: &[PathBuf], format: TableFormat, schema: &Schema) -> Option<String> {
    let engine = session.engine;
    let texts = paths.iter().map(|it| it.to_str()).collect::<Option<Vec<_>>>()?;
    // In a pattern other letters mean something; it would read other files.
    if texts.is_empty() || texts.iter().any(|it| it.contains(['*', '?', '[', '{'])) {
        return None;
    }
    let list = format!("[{}]", texts.iter().map(|it| engine.literal(it)).collect::<Vec<_>>().join(", "));
    if format == TableFormat::Parquet {
        let union = if paths.len() > 1 { ", union_by_name = true" } else { "" };
        return Some(format!("read_parquet({list}, hive_partitioning = false{union})"));
    }
    let columns = columns(session, schema)?;
    match format {
        TableFormat::Csv => Some(format!(
            "read_csv({list}, auto_detect = false, header = true, delim = ',', quote = '\"', escape = '\"', \
             columns = {columns}, hive_partitioning = false)"
        )),
        TableFormat::Jsonl => Some(format!(
            "read_json({list}, format = 'newline_delimited', columns = {columns}, hive_partitioning = false)"
        )),
        TableFormat::Parquet | TableFormat::Arrow => None,
    }
}

/// What our readers found, in DuckDB's words; `None` if one of the types is not plain.
fn columns(session: &Session, schema: &Schema) -> Option<String> {
    let columns = schema.fields().iter().map(|it| {
        let kind = match it.data_type() {
            DataType::Boolean => "boolean",
            DataType::Int64 => "bigint",
            DataType::Float64 => "double",
            DataType::Utf8 => "varchar",
            DataType::Date32 => "date",
            DataType::Timestamp(_, None) => "timestamp",
            DataType::Timestamp(_, Some(_)) => "timestamptz",
            _ => return None,
        };
        Some(format!("{}: '{kind}'", session.engine.literal(it.name())))
    });
    Some(format!("{{{}}}", columns.collect::<Option<Vec<_>>>()?.join(", ")))
}
