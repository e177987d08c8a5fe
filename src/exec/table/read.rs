//! Tables that lie in files, as batches of rows.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    datatypes::{Schema, SchemaRef},
    error::ArrowError,
    record_batch::{RecordBatch, RecordBatchReader},
};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use crate::{
    base::fs,
    exec::table::{Rows, TableError, infer, stream::BATCH_ROWS},
    model::format::TableFormat,
};

/// The columns that files of one table have together.
///
/// # Errors
/// A file that is missing or of another form; files that do not fit together.
pub fn schema(files: &[PathBuf], format: TableFormat) -> Result<Schema, TableError> {
    match format {
        TableFormat::Csv => infer::csv(files),
        TableFormat::Jsonl => infer::jsonl(files),
        TableFormat::Parquet | TableFormat::Arrow => {
            let each = files.iter().map(|it| own_schema(it, format)).collect::<Result<Vec<_>, _>>()?;
            let plain = each.into_iter().map(|it| Schema::new(it.fields().clone()));
            Schema::try_merge(plain).map_err(|it| TableError(format!("its files do not fit together: {it}")))
        }
    }
}

fn own_schema(file: &Path, format: TableFormat) -> Result<SchemaRef, TableError> {
    let opened = fs::open(file).map_err(TableError::new)?;
    match format {
        TableFormat::Parquet => {
            let read = ArrowReaderMetadata::load(&opened, ArrowReaderOptions::new());
            Ok(Arc::clone(read.map_err(|it| broken(file, it))?.schema()))
        }
        _ => {
            let reader = arrow::ipc::reader::FileReader::try_new_buffered(opened, None);
            Ok(reader.map_err(|it| broken(file, it))?.schema())
        }
    }
}

fn broken(file: &Path, error: impl ToString) -> TableError {
    TableError(format!("{}: {}", file.display(), error.to_string()))
}

/// Reads `files` one after the other as one table.
///
/// # Errors
/// As [`schema`]; what is wrong further on is told when it is reached.
pub fn open(files: &[PathBuf], format: TableFormat) -> Result<Rows, TableError> {
    let schema = Arc::new(schema(files, format)?);
    Ok(Box::new(Files { schema, format, files: files.to_vec().into(), current: None }))
}

/// The same, with columns that are known.
pub fn open_as(files: &[PathBuf], format: TableFormat, schema: Schema) -> Rows {
    Box::new(Files { schema: Arc::new(schema), format, files: files.to_vec().into(), current: None })
}

struct Files {
    schema: SchemaRef,
    format: TableFormat,
    files: VecDeque<PathBuf>,
    current: Option<Rows>,
}

impl Files {
    fn open(&self, file: &Path) -> Result<Rows, ArrowError> {
        let schema = Arc::clone(&self.schema);
        let external = |it: TableError| ArrowError::ExternalError(it.into());
        match self.format {
            TableFormat::Csv => {
                let builder = arrow::csv::ReaderBuilder::new(schema).with_header(true);
                builder.build_buffered(infer::opened(file).map_err(external)?).map(boxed)
            }
            TableFormat::Jsonl => {
                let builder = arrow::json::ReaderBuilder::new(schema);
                builder.build(infer::opened(file).map_err(external)?).map(boxed)
            }
            TableFormat::Parquet => {
                let opened = fs::open(file).map_err(TableError::new).map_err(external)?;
                let builder = ParquetRecordBatchReaderBuilder::try_new(opened)?;
                Ok(boxed(builder.with_batch_size(BATCH_ROWS).build()?))
            }
            TableFormat::Arrow => {
                let opened = infer::opened(file).map_err(external)?;
                arrow::ipc::reader::FileReader::try_new(opened, None).map(boxed)
            }
        }
    }

    /// The same columns, in the order of the table.
    fn fitted(&self, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
        if batch.schema_ref().fields() == self.schema.fields() {
            return RecordBatch::try_new(Arc::clone(&self.schema), batch.columns().to_vec());
        }
        let columns = self.schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
            Some(column) => arrow::compute::cast(column, field.data_type()),
            None => Ok(arrow::array::new_null_array(field.data_type(), batch.num_rows())),
        });
        RecordBatch::try_new(Arc::clone(&self.schema), columns.collect::<Result<_, _>>()?)
    }
}

fn boxed(reader: impl RecordBatchReader + Send + 'static) -> Rows {
    Box::new(reader)
}

impl Iterator for Files {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(current) = &mut self.current {
                match current.next() {
                    Some(batch) => return Some(batch.and_then(|it| self.fitted(it))),
                    None => self.current = None,
                }
            }
            let file = self.files.pop_front()?;
            match self.open(&file) {
                Ok(opened) => self.current = Some(opened),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl RecordBatchReader for Files {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
