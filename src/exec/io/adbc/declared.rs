//! What columns are declared as in DuckDB, which what it hands over does not tell: of a table, along with its rows, of a
//! query.

use arrow::{
    array::AsArray,
    datatypes::{Schema, SchemaRef},
    error::ArrowError,
    record_batch::{RecordBatch, RecordBatchReader},
};

use super::session::{Refused, Session};
use crate::exec::table::Rows;

/// Names of columns, and what they are declared as, the values of an enum among it.
pub type Declared = Vec<(String, String)>;

/// Of a table or view.
///
/// # Errors
/// What the engine says.
pub fn of_table(session: &mut Session, name: &str) -> Result<Declared, Refused> {
    let table = session.engine.literal(&session.qualified(name));
    pairs(session, &format!("select name, type from pragma_table_info({table})"))
}

/// Of what a query gives.
///
/// # Errors
/// What the engine says.
pub fn of_query(session: &mut Session, query: &str) -> Result<Declared, Refused> {
    pairs(session, &format!("describe {query}"))
}

fn pairs(session: &mut Session, asked: &str) -> Result<Declared, Refused> {
    let pair = |row: Vec<Option<String>>| {
        let mut row = row.into_iter();
        Some((row.next()??, row.next()??))
    };
    Ok(session.texts(asked)?.into_iter().filter_map(pair).collect())
}

/// All rows of a table, in one question with the rest: for a small table a second one costs as much as the first. Of one
/// without rows it is not told how its columns are declared.
///
/// # Errors
/// What the engine says.
pub fn rows(session: &mut Session, table: &str) -> Result<(Rows, Option<Declared>), Refused> {
    let query = format!("select *, typeof(columns(*)) from {}", session.qualified(table));
    let mut told = session.rows(&query)?;
    let all = told.schema();
    // Each column is followed, after all of them, by a text about it.
    let count = all.fields().len() / 2;
    let schema = SchemaRef::new(Schema::new_with_metadata(all.fields()[..count].to_vec(), all.metadata().clone()));
    let first = told.next().transpose().map_err(Refused::plain)?;
    let declared = first.as_ref().filter(|it| it.num_rows() > 0).and_then(|batch| {
        let text = |it: usize| Some(batch.column(count + it).as_string_opt::<i32>()?.value(0).to_owned());
        (0..count).map(|it| Some((schema.field(it).name().clone(), text(it)?))).collect()
    });
    // After its end it is not to be asked again.
    let rest = first.is_some().then_some(told);
    Ok((Box::new(Without { schema, batches: first.map(Ok).into_iter().chain(rest.into_iter().flatten()) }), declared))
}

/// The rows alone.
struct Without<B> {
    schema: SchemaRef,
    batches: B,
}

impl<B: Iterator<Item = Result<RecordBatch, ArrowError>>> Iterator for Without<B> {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.batches.next()?;
        let count = self.schema.fields().len();
        Some(next.and_then(|it| RecordBatch::try_new(self.schema(), it.columns()[..count].to_vec())))
    }
}

impl<B: Iterator<Item = Result<RecordBatch, ArrowError>>> RecordBatchReader for Without<B> {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }
}
