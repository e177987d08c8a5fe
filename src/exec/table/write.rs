//! Rows into one file, of any form that holds a table.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use arrow::{
    csv::Writer as CsvWriter, datatypes::SchemaRef, ipc::writer::FileWriter, json::LineDelimitedWriter,
    json::WriterBuilder, record_batch::RecordBatch,
};
use parquet::{arrow::ArrowWriter, basic::Compression, file::properties::WriterProperties};

use crate::{
    base::fs,
    exec::table::{Rows, TableError},
    model::format::TableFormat,
};

/// A file that takes batches of one schema.
pub enum TableWriter {
    Csv(Box<CsvWriter<BufWriter<File>>>),
    Jsonl(LineDelimitedWriter<BufWriter<File>>),
    Parquet(Box<ArrowWriter<File>>),
    Arrow(Box<FileWriter<BufWriter<File>>>),
}

impl TableWriter {
    /// Makes the file; nothing is at `path` yet.
    ///
    /// # Errors
    /// A place that cannot be written to, a column that the format cannot hold.
    pub fn create(path: &Path, format: TableFormat, schema: &SchemaRef) -> Result<TableWriter, TableError> {
        let file = fs::create(path).map_err(TableError::new)?;
        Ok(match format {
            TableFormat::Csv => {
                // Written also where no row follows.
                let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(BufWriter::new(file));
                writer.write(&RecordBatch::new_empty(SchemaRef::clone(schema)))?;
                TableWriter::Csv(Box::new(writer))
            }
            TableFormat::Jsonl => TableWriter::Jsonl(json_lines(BufWriter::new(file))),
            TableFormat::Parquet => {
                let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
                let writer = ArrowWriter::try_new(file, SchemaRef::clone(schema), Some(properties));
                TableWriter::Parquet(Box::new(writer.map_err(TableError::new)?))
            }
            TableFormat::Arrow => TableWriter::Arrow(Box::new(FileWriter::try_new_buffered(file, schema)?)),
        })
    }

    /// # Errors
    /// A full disk, a value that the format cannot hold.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        match self {
            TableWriter::Csv(it) => it.write(batch)?,
            TableWriter::Jsonl(it) => it.write(batch)?,
            TableWriter::Parquet(it) => it.write(batch).map_err(TableError::new)?,
            TableWriter::Arrow(it) => it.write(batch)?,
        }
        Ok(())
    }

    /// Everything is in the file.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn finish(self) -> Result<(), TableError> {
        let flushed = |it: BufWriter<File>| it.into_inner().map(drop).map_err(TableError::new);
        match self {
            TableWriter::Csv(it) => flushed(it.into_inner()),
            TableWriter::Jsonl(mut it) => {
                it.finish()?;
                flushed(it.into_inner())
            }
            TableWriter::Parquet(it) => it.close().map(drop).map_err(TableError::new),
            TableWriter::Arrow(it) => flushed(it.into_inner()?),
        }
    }
}

/// Writes all of `rows`; returns how many there were.
///
/// # Errors
/// Rows that cannot be read or written.
pub fn write_all(rows: Rows, path: &Path, format: TableFormat) -> Result<u64, TableError> {
    let mut writer = TableWriter::create(path, format, &rows.schema())?;
    let mut count = 0;
    for batch in rows {
        let batch = batch?;
        count += batch.num_rows() as u64;
        writer.write(&batch)?;
    }
    writer.finish()?;
    Ok(count)
}

/// Rows as csv, the names of the columns first if `header`.
///
/// # Errors
/// A value that csv cannot hold.
pub fn csv_text(batch: &RecordBatch, header: bool) -> Result<String, TableError> {
    let mut writer = arrow::csv::WriterBuilder::new().with_header(header).build(Vec::new());
    writer.write(batch)?;
    String::from_utf8(writer.into_inner()).map_err(TableError::new)
}

/// Rows as a JSON object a line.
///
/// # Errors
/// A value that JSON cannot hold.
pub fn json_text(batch: &RecordBatch) -> Result<String, TableError> {
    let mut writer = json_lines(Vec::new());
    writer.write(batch)?;
    writer.finish()?;
    String::from_utf8(writer.into_inner()).map_err(TableError::new)
}

/// Every column is in every line: a table whose first row has a NULL keeps the order of its columns.
fn json_lines<W: Write>(to: W) -> LineDelimitedWriter<W> {
    WriterBuilder::new().with_explicit_nulls(true).build(to)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{
            ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
        },
        record_batch::RecordBatchIterator,
    };

    use super::*;
    use crate::exec::table::{digest::TableDigest, read};

    fn rows() -> Rows {
        let batch = RecordBatch::try_from_iter([
            ("int", Arc::new(Int64Array::from(vec![Some(1), None, Some(-3)])) as ArrayRef),
            ("float", Arc::new(Float64Array::from(vec![Some(0.5), Some(4.0), None]))),
            ("text", Arc::new(StringArray::from(vec![Some("a,\"b\"\nc"), None, Some("é")]))),
            ("bool", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
            ("date", Arc::new(Date32Array::from(vec![Some(20_000), None, Some(1)]))),
            ("time", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_767_225_600_000_000), None, Some(1)]))),
        ]);
        let batch = batch.unwrap();
        let schema = batch.schema();
        Box::new(RecordBatchIterator::new([Ok(batch)], schema))
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let version = TableDigest::of(rows()).unwrap();
        for format in TableFormat::ALL {
            let path = folder.path().join(format.name());
            assert_eq!(write_all(rows(), &path, format).unwrap(), 3);
            let again = TableDigest::of(read::open(&[path], format).unwrap()).unwrap();
            // JSON has no dates: they are texts there.
            assert_eq!(again == version, format != TableFormat::Jsonl, "{}", format.name());
            assert_eq!(again.rows, 3);
        }
    }

    #[test]
    fn several_files_are_one_table() {
        let folder = tempfile::tempdir().unwrap();
        for format in TableFormat::ALL {
            let files: Vec<_> = (0..2).map(|it| folder.path().join(format!("{it}.{}", format.name()))).collect();
            for file in &files {
                write_all(rows(), file, format).unwrap();
            }
            let read: u64 = read::open(&files, format).unwrap().map(|it| it.unwrap().num_rows() as u64).sum();
            assert_eq!(read, 6);
        }
    }

    #[test]
    fn no_rows_keep_their_columns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let schema = rows().schema();
        write_all(Box::new(RecordBatchIterator::new([], schema)), &path, TableFormat::Csv).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"int,float,text,bool,date,time\n");
    }
}
