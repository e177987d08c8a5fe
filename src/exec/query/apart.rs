//! What a query over files gives for several partitions: the rows of each into a file of its own.
//!
//! Which partition a row is of is told by the text of its columns. Knows nothing of how the rows were made; they are
//! read as often as there are files to be written beyond those that are open at once.

use std::collections::HashMap;

use arrow::{
    array::{ArrayRef, AsArray, UInt32Array},
    compute::{cast, take_record_batch},
    datatypes::{DataType, Schema},
    record_batch::RecordBatch,
};

use super::{Failed, Part, Request, all_in_parts};
use crate::{
    exec::{
        io::fit::place_of,
        table::{Rows, write::TableWriter},
    },
    model::format::TableFormat,
};

/// Files that are written at once: some forms keep rows in memory until there are many.
const OPEN_MAX: usize = 64;

/// Writes the parts of `request`; `read` reads all rows from the first one on.
///
/// # Errors
/// Rows that cannot be read, are of none of the parts, or do not tell which; files that cannot be written.
pub fn lay(request: &Request, format: TableFormat, read: &dyn Fn() -> Result<Rows, Failed>) -> Result<(), Failed> {
    let (mut made, mut laid) = (0, 0);
    for parts in request.parts.chunks(OPEN_MAX) {
        let rows = read()?;
        let schema = rows.schema();
        let columns = columns(&schema, parts)?;
        let places: HashMap<Vec<&str>, usize> =
            parts.iter().enumerate().map(|(at, it)| (it.slice.columns.iter().map(|it| &*it.1).collect(), at)).collect();
        let create = |it: &Part| TableWriter::create(&it.output, format, &schema).map_err(Failed::plain);
        let mut writers = parts.iter().map(create).collect::<Result<Vec<_>, _>>()?;
        made = 0;
        for batch in rows {
            let batch = batch.map_err(Failed::plain)?;
            made += batch.num_rows();
            for (at, rows) in told_apart(&batch, &columns, &places)? {
                laid += rows.num_rows();
                writers[at].write(&rows).map_err(Failed::plain)?;
            }
        }
        writers.into_iter().try_for_each(|it| it.finish().map_err(Failed::plain))?;
    }
    let count = |it: usize| i64::try_from(it).unwrap_or(i64::MAX);
    all_in_parts(request, count(made), count(laid))
}

/// Where the columns are that hold the key.
fn columns(schema: &Schema, parts: &[Part]) -> Result<Vec<usize>, Failed> {
    let slice = &parts[0].slice;
    let names = schema.fields().iter().map(|it| &**it.name());
    let found: Option<Vec<usize>> = slice.columns.iter().map(|it| place_of(&it.0, names.clone())).collect();
    found.ok_or_else(|| {
        let help = format!("there are: {}", names.collect::<Vec<_>>().join(", "));
        let message = format!("the rows have no column {}, which tells partitions apart", slice.names());
        Failed { help: Some(help), ..Failed::plain(message) }
    })
}

/// The rows of each part that has some, in their order.
fn told_apart(
    batch: &RecordBatch,
    columns: &[usize],
    places: &HashMap<Vec<&str>, usize>,
) -> Result<Vec<(usize, RecordBatch)>, Failed> {
    let texts = columns.iter().map(|it| cast(batch.column(*it), &DataType::Utf8));
    let texts: Vec<ArrayRef> = texts.collect::<Result<_, _>>().map_err(Failed::plain)?;
    let mut rows: HashMap<usize, Vec<u32>> = HashMap::new();
    let mut key: Vec<&str> = Vec::with_capacity(columns.len());
    for (row, number) in (0..batch.num_rows()).zip(0..) {
        key.clear();
        key.extend(texts.iter().filter(|it| it.is_valid(row)).map(|it| it.as_string::<i32>().value(row)));
        if let Some(at) = places.get(&key) {
            rows.entry(*at).or_default().push(number);
        }
    }
    let taken = |(at, them): (usize, Vec<u32>)| {
        take_record_batch(batch, &UInt32Array::from(them)).map(|it| (at, it)).map_err(Failed::plain)
    };
    rows.into_iter().map(taken).collect()
}
