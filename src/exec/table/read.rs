//! Tables that lie in files, as batches of rows.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, new_null_array},
    compute::cast,
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
    record_batch::{RecordBatch, RecordBatchReader},
};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use crate::{
    base::fs,
    exec::table::{Rows, TableError, infer, lines, stream::BATCH_ROWS, told},
    model::format::TableFormat,
};

/// Files of one table, after looking at them.
#[derive(Debug)]
pub struct Looked {
    /// The columns that they have together.
    pub schema: Schema,
    pub reader: Reader,
}

/// Who reads files as we do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reader {
    /// Every engine.
    Any,
    /// Every engine that reads them by Arrow, as the one does that is built in.
    OfArrow,
    /// [`open`] alone.
    Ours,
}

/// The columns that files of one table have together.
///
/// # Errors
/// As [`look`].
pub fn schema(files: &[PathBuf], format: TableFormat) -> Result<Schema, TableError> {
    look(files, format).map(|it| it.schema)
}

/// What the files of one table are.
///
/// # Errors
/// A file that is missing or of another form; files that do not fit together.
pub fn look(files: &[PathBuf], format: TableFormat) -> Result<Looked, TableError> {
    match format {
        TableFormat::Csv => infer::csv(files),
        TableFormat::Jsonl => lines::look(files),
        TableFormat::Parquet | TableFormat::Arrow => {
            let each = files.iter().map(|it| own_schema(it, format)).collect::<Result<Vec<_>, _>>()?;
            together(files, &each, format)
        }
    }
}

/// The columns that are in any of the files. What one of them does not have is NULL there.
fn together(files: &[PathBuf], each: &[SchemaRef], format: TableFormat) -> Result<Looked, TableError> {
    let [first, others @ ..] = each else {
        return Ok(Looked { schema: Schema::empty(), reader: Reader::Any });
    };
    let same = |it: &SchemaRef| {
        let plain = |it: &SchemaRef| it.fields().iter().map(|it| (it.name().clone(), it.data_type().clone())).collect();
        let (a, b): (Vec<_>, Vec<_>) = (plain(it), plain(first));
        a == b
    };
    let several = !others.is_empty();
    let mut fields: Vec<Field> = Vec::new();
    let mut is_widened = false;
    for (file, own) in files.iter().zip(each) {
        for field in own.fields() {
            let Some(known) = fields.iter_mut().find(|it| it.name() == field.name()) else {
                fields.push(Field::new(field.name(), field.data_type().clone(), field.is_nullable() || several));
                continue;
            };
            if known.data_type() == field.data_type() {
                continue;
            }
            let wider = wider(known.data_type(), field.data_type()).ok_or_else(|| {
                let (name, one, other) = (field.name(), known.data_type(), field.data_type());
                let file = file.display();
                TableError(format!("its files do not fit together: `{name}` is {other} in {file}, and {one} before"))
            })?;
            is_widened = true;
            known.set_data_type(wider);
        }
    }
    let fits = !is_widened && (format == TableFormat::Parquet || others.iter().all(same));
    Ok(Looked { schema: Schema::new(fields), reader: if fits { Reader::Any } else { Reader::Ours } })
}

/// What holds the values of both: nothing but numbers is made of numbers.
fn wider(one: &DataType, other: &DataType) -> Option<DataType> {
    use DataType::{
        Float32, Float64, Int8, Int16, Int32, Int64, LargeUtf8, Null, UInt8, UInt16, UInt32, Utf8, Utf8View,
    };
    let whole = |it: &DataType| matches!(it, Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32);
    let number = |it: &DataType| whole(it) || matches!(it, Float32 | Float64);
    let text = |it: &DataType| matches!(it, Utf8 | LargeUtf8 | Utf8View);
    match (one, other) {
        (Null, it) | (it, Null) => Some(it.clone()),
        (a, b) if whole(a) && whole(b) => Some(Int64),
        (a, b) if number(a) && number(b) => Some(Float64),
        (a, b) if text(a) && text(b) => Some(LargeUtf8),
        _ => None,
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
    Ok(Box::new(Files { schema, format, files: files.to_vec().into(), current: None, file: PathBuf::new() }))
}

/// The same, with columns that are known.
pub fn open_as(files: &[PathBuf], format: TableFormat, schema: Schema) -> Rows {
    Box::new(Files {
        schema: Arc::new(schema),
        format,
        files: files.to_vec().into(),
        current: None,
        file: PathBuf::new(),
    })
}

struct Files {
    schema: SchemaRef,
    format: TableFormat,
    files: VecDeque<PathBuf>,
    current: Option<Rows>,
    /// The one that is read.
    file: PathBuf,
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
                // Where not all values of a column are texts, the others are given as they are written.
                let builder = arrow::json::ReaderBuilder::new(schema).with_coerce_primitive(true);
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
            Some(column) => exactly(column, field),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        });
        RecordBatch::try_new(Arc::clone(&self.schema), columns.collect::<Result<_, _>>()?)
    }

    /// With the file in which it was met.
    fn met(&self, error: &ArrowError) -> ArrowError {
        ArrowError::ExternalError(broken(&self.file, told(error)).into())
    }
}

/// The same values in the type of the table.
fn exactly(column: &ArrayRef, field: &Field) -> Result<ArrayRef, ArrowError> {
    let made = cast(column, field.data_type())?;
    let rounds = column.data_type() == &DataType::Int64 && field.data_type() == &DataType::Float64;
    if rounds && *cast(&made, &DataType::Int64)? != **column {
        let why = format!("`{}` holds whole numbers that the floats of other files would round", field.name());
        return Err(ArrowError::CastError(why));
    }
    Ok(made)
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
                    Some(batch) => {
                        return Some(batch.and_then(|it| self.fitted(it)).map_err(|it| self.met(&it)));
                    }
                    None => self.current = None,
                }
            }
            let file = self.files.pop_front()?;
            let opened = self.open(&file);
            self.file = file;
            match opened {
                Ok(opened) => self.current = Some(opened),
                Err(error) => return Some(Err(self.met(&error))),
            }
        }
    }
}

impl RecordBatchReader for Files {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
