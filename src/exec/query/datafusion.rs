//! Queries over files, by the engine that is built in.
//!
//! Streams, and spills what does not fit into its share of memory. Names count as they are written.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ::datafusion::{
    common::{Location, SchemaError, Span},
    datasource::{
        file_format::{FileFormat, arrow::ArrowFormat, csv::CsvFormat, json::JsonFormat, parquet::ParquetFormat},
        listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl},
    },
    error::DataFusionError,
    execution::{SessionStateBuilder, memory_pool::FairSpillPool, runtime_env::RuntimeEnvBuilder},
    physical_plan::SendableRecordBatchStream,
    prelude::{SQLOptions, SessionConfig, SessionContext},
};
use arrow::{
    compute::cast,
    datatypes::{DataType, Field, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use futures::StreamExt;
use tokio::runtime::Runtime;
use url::Url;

use super::{
    Failed, From, Input, Request, apart,
    incremental::{Column, NEW, OLD, check_key, fit, listed, staying},
    total,
};
use crate::{
    base::{env::Environment, fs, process},
    exec::table::{
        Rows, TableError,
        read::{self, Reader},
        show::cells,
        told as told_by_arrow,
        write::{TableWriter, write_all},
    },
    model::{
        format::TableFormat,
        sql::{Dialect, offset},
    },
};

/// Of the memory that is free when it begins: others run beside it.
const MEMORY_SHARE: u64 = 2;

/// Writes what the query gives to a new file.
///
/// # Errors
/// Inputs that cannot be read, a query that is refused, an output that cannot be written.
pub fn run(request: &Request, format: TableFormat, spill: &Path) -> Result<(), Failed> {
    let session = Session::of(&request.inputs, spill)?;
    if !request.parts.is_empty() {
        return lay_apart(&session, request, format);
    }
    let (made, format_made) = match request.old {
        Some(_) => (session.spill.join(NEW), TableFormat::Arrow),
        None => (request.output.clone(), format),
    };
    session.runtime.block_on(async {
        let rows = query(&session.context, &request.sql).await?;
        write(rows, &made, format_made, &request.sql).await
    })?;
    if request.old.is_none() && request.unique_key.is_empty() {
        return Ok(());
    }
    let new = read::schema(std::slice::from_ref(&made), format_made).map_err(Failed::plain)?;
    register_as(&session.context, NEW, &[made], format_made, new.clone())?;
    let names: Vec<String> = new.fields().iter().map(|it| it.name().clone()).collect();
    if !request.unique_key.is_empty() {
        check_key(NEW, &names, &request.unique_key, &mut |sql| session.first(sql))?;
    }
    match &request.old {
        Some(From::Files { paths, format: of_old }) => session.add(request, format, (paths, *of_old), &new),
        Some(_) => Err(Failed::plain("files are no database")),
        None => Ok(()),
    }
}

/// The rows of each partition into a file of its own.
fn lay_apart(session: &Session, request: &Request, format: TableFormat) -> Result<(), Failed> {
    let made = session.spill.join(NEW);
    session.runtime.block_on(async {
        let rows = query(&session.context, &request.sql).await?;
        write(rows, &made, TableFormat::Arrow, &request.sql).await
    })?;
    let read = || read::open(std::slice::from_ref(&made), TableFormat::Arrow).map_err(Failed::plain);
    apart::lay(request, format, &read)
}

/// The engine with the tables of one request, under their names.
pub struct Session {
    runtime: Runtime,
    context: SessionContext,
    spill: PathBuf,
}

impl Session {
    /// What does not fit into memory goes to `spill`, a folder that goes with the session.
    ///
    /// # Errors
    /// Inputs that cannot be read.
    pub fn of(inputs: &[Input], spill: &Path) -> Result<Session, Failed> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().map_err(Failed::plain)?;
        fs::create_folder(spill).map_err(Failed::plain)?;
        let session = Session { runtime, context: context(spill)?, spill: spill.to_owned() };
        for input in inputs {
            session.bring(input)?;
        }
        Ok(session)
    }

    fn bring(&self, input: &Input) -> Result<(), Failed> {
        let name = &input.name;
        match &input.from {
            From::Files { paths, format } => {
                let looked = read::look(paths, *format).map_err(Failed::input(name))?;
                match looked.reader {
                    Reader::Any | Reader::OfArrow => register_as(&self.context, name, paths, *format, looked.schema),
                    Reader::Ours => self.copy(name, read::open_as(paths, *format, looked.schema)),
                }
            }
            _ => self.copy(name, input.rows(&Environment::of_process())?),
        }
    }

    /// Of rows that are read more than once or in no order: they must lie somewhere.
    fn copy(&self, name: &str, rows: Rows) -> Result<(), Failed> {
        let copy = self.spill.join(format!("{}.arrow", name.replace('/', "_")));
        write_all(rows, &copy, TableFormat::Arrow).map_err(Failed::input(name))?;
        let schema = read::schema(std::slice::from_ref(&copy), TableFormat::Arrow).map_err(Failed::input(name))?;
        register_as(&self.context, name, &[copy], TableFormat::Arrow, schema)
    }

    /// From now on joins sort and spill, however large either side is.
    pub fn join_by_sorting(&self) {
        self.context.state_ref().write().config_mut().options_mut().optimizer.prefer_hash_join = false;
    }

    /// Hands over what a query gives, batch by batch, as long as more is wanted; returns its columns.
    ///
    /// # Errors
    /// What the engine says of the query, and what `take` returns.
    pub fn each(
        &self,
        sql: &str,
        take: &mut dyn FnMut(&RecordBatch) -> Result<bool, Failed>,
    ) -> Result<SchemaRef, Failed> {
        self.runtime.block_on(async {
            let mut rows = query(&self.context, sql).await?;
            while let Some(batch) = rows.next().await {
                if !take(&batch.map_err(|it| refused(it, sql))?)? {
                    break;
                }
            }
            Ok(rows.schema())
        })
    }
}

impl Session {
    /// The first row of a query, as texts.
    fn first(&self, sql: &str) -> Result<Option<Vec<String>>, Failed> {
        let mut found = None;
        self.each(sql, &mut |batch| {
            found = cells(batch, 1, usize::MAX).map_err(Failed::plain)?.into_iter().next();
            Ok(found.is_none())
        })?;
        Ok(found.map(|row: Vec<Option<String>>| row.into_iter().map(Option::unwrap_or_default).collect()))
    }

    /// Writes the rows of `old` that stay, and the new ones.
    fn add(
        &self,
        request: &Request,
        format: TableFormat,
        old: (&[PathBuf], TableFormat),
        new: &Schema,
    ) -> Result<(), Failed> {
        let (paths, of_old) = old;
        let old = old_schema(paths, of_old, new)?;
        register_as(&self.context, OLD, paths, of_old, old.clone())?;
        let told = |schema: &Schema| -> Vec<Column> {
            schema.fields().iter().map(|it| (it.name().clone(), it.data_type().to_string())).collect()
        };
        fit(&told(&old), &told(new), |a, b| a == b, &mut |name| {
            let counted = format!("select cast(count({}) as text) from {NEW}", Dialect::DataFusion.quoted(name));
            Ok(self.first(&counted)?.is_some_and(|it| it == ["0"]))
        })?;
        let schema = Arc::new(old);
        let names: Vec<String> = schema.fields().iter().map(|it| it.name().clone()).collect();
        let mut writer = TableWriter::create(&request.output, format, &schema).map_err(Failed::plain)?;
        let stay = staying(OLD, NEW, &names, &request.unique_key);
        let added = format!("select {} from {NEW}", listed(&names));
        for rows in [stay, added] {
            self.each(&rows, &mut |batch| {
                let columns = batch.columns().iter().zip(schema.fields());
                let columns = columns.map(|(it, field)| cast(it, field.data_type())).collect::<Result<_, _>>();
                let batch = columns.and_then(|it| RecordBatch::try_new(Arc::clone(&schema), it));
                batch.map_err(TableError::from).and_then(|it| writer.write(&it)).map_err(Failed::plain)?;
                Ok(true)
            })?;
        }
        writer.finish().map_err(Failed::plain)
    }
}

/// The columns of the rows that are there. A file of text does not say what they are: they are what they are now.
fn old_schema(paths: &[PathBuf], format: TableFormat, new: &Schema) -> Result<Schema, Failed> {
    let found = read::schema(paths, format).map_err(Failed::plain)?;
    let says = matches!(format, TableFormat::Parquet | TableFormat::Arrow);
    let fields = found.fields().iter().map(|it| {
        let now = new.field_with_name(it.name()).ok().map(Field::data_type);
        let now = now.filter(|now| !says && **now != DataType::Null);
        Field::new(it.name(), now.unwrap_or(it.data_type()).clone(), true)
    });
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

impl Drop for Session {
    fn drop(&mut self) {
        // A folder that stays is swept away by the next run.
        let _ = fs::remove(&self.spill);
    }
}

fn config() -> SessionConfig {
    let mut config = SessionConfig::new().with_information_schema(false);
    let options = config.options_mut();
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.collect_spans = true;
    // Plain texts, as every reader of files knows them.
    options.sql_parser.map_string_types_to_utf8view = false;
    options.execution.parquet.schema_force_view_types = false;
    config
}

/// The engine without any table, to be asked what it knows.
pub(super) fn bare() -> SessionContext {
    SessionContext::new_with_config(config())
}

fn context(spill: &Path) -> Result<SessionContext, Failed> {
    let memory = usize::try_from(process::free_memory() / MEMORY_SHARE).unwrap_or(usize::MAX);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(memory)))
        .with_temp_file_path(spill)
        .build_arc()
        .map_err(Failed::plain)?;
    let state = SessionStateBuilder::new().with_config(config()).with_runtime_env(runtime).with_default_features();
    Ok(SessionContext::new_with_state(state.with_optimizer_rules(total::rules()).build()))
}

fn register_as(
    context: &SessionContext,
    name: &str,
    paths: &[PathBuf],
    format: TableFormat,
    schema: Schema,
) -> Result<(), Failed> {
    let reader: Arc<dyn FileFormat> = match format {
        TableFormat::Csv => Arc::new(CsvFormat::default().with_has_header(true)),
        TableFormat::Jsonl => Arc::new(JsonFormat::default()),
        TableFormat::Parquet => Arc::new(ParquetFormat::default().with_force_view_types(false)),
        TableFormat::Arrow => Arc::new(ArrowFormat),
    };
    let failed = |it: DataFusionError| Failed::plain(format!("{name}: {it}"));
    let urls = paths.iter().map(|it| url(it)).collect::<Result<Vec<_>, _>>()?;
    // Each is named by itself: none is looked for, whatever it ends in.
    let options = ListingOptions::new(reader).with_file_extension("");
    let config = ListingTableConfig::new_with_multi_paths(urls);
    let config = config.with_listing_options(options).with_schema(Arc::new(schema));
    let table = ListingTable::try_new(config).map_err(failed)?;
    context.register_table(::datafusion::common::TableReference::bare(name), Arc::new(table)).map(drop).map_err(failed)
}

/// Not parsed as an address: a path may hold what means something else there.
fn url(path: &Path) -> Result<ListingTableUrl, Failed> {
    let url = Url::from_file_path(path).map_err(|()| Failed::plain(format!("{} is not a path", path.display())))?;
    ListingTableUrl::try_new(url, None).map_err(Failed::plain)
}

async fn query(context: &SessionContext, sql: &str) -> Result<SendableRecordBatchStream, Failed> {
    let only_queries = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let refused = |it| refused(it, sql);
    let frame = context.sql_with_options(sql, only_queries).await.map_err(refused)?;
    frame.execute_stream().await.map_err(refused)
}

async fn write(
    mut rows: SendableRecordBatchStream,
    output: &Path,
    format: TableFormat,
    sql: &str,
) -> Result<(), Failed> {
    let mut writer = TableWriter::create(output, format, &rows.schema()).map_err(Failed::plain)?;
    while let Some(batch) = rows.next().await {
        writer.write(&batch.map_err(|it| refused(it, sql))?).map_err(Failed::plain)?;
    }
    writer.finish().map_err(Failed::plain)
}

/// In words for people: what, where, and what may have been meant.
fn refused(error: DataFusionError, sql: &str) -> Failed {
    let told = error.diagnostic().cloned();
    let at = |span: Option<Span>| span.filter(|it| it.start.line > 0).map(|it| place(sql, it.start));
    let message = match error.find_root() {
        DataFusionError::SchemaError(it, _) => match &**it {
            SchemaError::FieldNotFound { field, .. } => format!("there is no column `{}`", field.name()),
            other => other.to_string(),
        },
        DataFusionError::SQL(it, _) => return syntax(&it.to_string(), sql),
        DataFusionError::Plan(text) | DataFusionError::Execution(text) | DataFusionError::NotImplemented(text) => {
            text.clone()
        }
        DataFusionError::ArrowError(it, _) => told_by_arrow(it),
        DataFusionError::ResourcesExhausted(text) => format!("there is not enough memory or disk: {text}"),
        other => other.strip_backtrace(),
    };
    let near = match error.find_root() {
        DataFusionError::SchemaError(it, _) => near(it),
        _ => None,
    };
    // It takes what it cannot type for a mistake of its own, at length.
    let message = match message.find("No function matches the given name") {
        Some(at) => message[at..].split(" You might need").next().unwrap_or_default().to_owned(),
        None => message,
    };
    // The engine has a guess of its own, in its words.
    let (message, guess) = match message.split_once("\nDid you mean '") {
        Some((told, guess)) => (told.to_owned(), guess.split('\'').next().map(|it| format!("did you mean `{it}`?"))),
        None => (message, None),
    };
    // As it is told before anything is run.
    let unknown =
        message.strip_prefix("Invalid function '").and_then(|it| it.strip_suffix("'.").or(it.strip_suffix('\'')));
    let message = unknown.map_or(message.clone(), |it| format!("there is no function `{it}`"));
    let help = near.or(guess).or_else(|| told.as_ref().and_then(|it| it.helps.first()).map(|it| it.message.clone()));
    let at = at(told.and_then(|it| it.span)).or_else(|| match error.find_root() {
        DataFusionError::SchemaError(it, _) => match &**it {
            SchemaError::FieldNotFound { field, .. } => only(sql, field.name()),
            _ => None,
        },
        _ => None,
    });
    Failed { message, at, help }
}

/// Where `name` stands, if it stands there once: of some expressions the engine has forgotten the place.
fn only(sql: &str, name: &str) -> Option<usize> {
    let is_part = |it: Option<char>| it.is_some_and(|it| it.is_alphanumeric() || it == '_');
    let mut found = sql
        .match_indices(name)
        .map(|it| it.0)
        .filter(|at| !is_part(sql[..*at].chars().next_back()) && !is_part(sql[*at + name.len()..].chars().next()));
    found.next().filter(|_| found.next().is_none())
}

/// A column that may have been meant.
fn near(error: &SchemaError) -> Option<String> {
    let SchemaError::FieldNotFound { field, valid_fields } = error else { return None };
    let names: Vec<&str> = valid_fields.iter().map(|it| it.name()).collect();
    match crate::base::suggest::nearest(field.name(), names.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if names.is_empty() => None,
        None => Some(format!("there are: {}", names.join(", "))),
    }
}

fn syntax(text: &str, sql: &str) -> Failed {
    let error = crate::model::sql::tables(sql, Dialect::DataFusion).err();
    match error {
        Some(error) => Failed { message: error.message, at: error.at.map(|it| it.start), help: None },
        None => Failed::plain(text),
    }
}

fn place(sql: &str, at: Location) -> usize {
    offset(sql, at.line, at.column)
}
