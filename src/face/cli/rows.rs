//! Rows on stdout: as a table for people, as csv or as JSON for programs.

use std::sync::Arc;

use arrow::{
    datatypes::{Field, SchemaRef},
    record_batch::RecordBatch,
};
use serde_json::{Map, Value};

use crate::{
    exec::table::{TableError, columns::kind, show::cells, write},
    face::{
        cli::{Context, args::RowFormat, error::Failure},
        exit::Exit,
        report::{
            json,
            rows::{ColumnDocument, RowsDocument, SCHEMA},
        },
        ui::rows::table,
    },
    model::check::Sample,
};

const CELL_CHARACTERS_MAX: usize = 200;

/// Takes batches and prints as many rows as are wanted.
pub struct Printer<'a> {
    context: &'a Context,
    format: RowFormat,
    left: usize,
    /// Rows that people see are aligned, so all of them come first.
    sample: Sample,
    schema: SchemaRef,
    /// The names of columns are still to be printed.
    begins: bool,
    /// With `--json`: one document instead.
    document: Option<Vec<Map<String, Value>>>,
}

impl<'a> Printer<'a> {
    pub fn new(context: &'a Context, format: RowFormat, limit: Option<usize>, schema: SchemaRef) -> Self {
        let columns = schema.fields().iter().map(|it| it.name().clone()).collect();
        let sample = Sample { columns, rows: Vec::new() };
        let document = context.json.then(Vec::new);
        Printer { context, format, left: limit.unwrap_or(usize::MAX), sample, schema, begins: true, document }
    }

    /// Whether more are wanted.
    pub fn take(&mut self, batch: &RecordBatch) -> Result<bool, Failure> {
        let batch = batch.slice(0, batch.num_rows().min(self.left));
        self.left -= batch.num_rows();
        let failed = |it: TableError| Failure::new(Exit::Failed, it.to_string());
        if let Some(rows) = &mut self.document {
            let text = write::json_text(&batch).map_err(failed)?;
            let row = |it: &str| serde_json::from_str(it).expect("what was written as an object is one");
            rows.extend(text.lines().map(row));
            return Ok(self.left > 0);
        }
        match self.format {
            RowFormat::Table => {
                self.sample.rows.extend(cells(&batch, usize::MAX, CELL_CHARACTERS_MAX).map_err(failed)?);
            }
            RowFormat::Csv => {
                let text = write::csv_text(&batch, std::mem::take(&mut self.begins)).map_err(failed)?;
                self.context.ui.print(&text)?;
            }
            RowFormat::Json => self.context.ui.print(&write::json_text(&batch).map_err(failed)?)?,
        }
        Ok(self.left > 0)
    }

    pub fn finish(mut self) -> Result<(), Failure> {
        if let Some(rows) = self.document {
            let column = |it: &Arc<Field>| ColumnDocument {
                name: it.name().clone(),
                kind: kind(it.data_type()).unwrap_or_else(|_| it.data_type().to_string()),
            };
            let columns = self.schema.fields().iter().map(column).collect();
            return Ok(self.context.ui.print(&json(&RowsDocument { schema: SCHEMA, columns, rows }))?);
        }
        if self.begins && self.format == RowFormat::Csv {
            self.take(&RecordBatch::new_empty(SchemaRef::clone(&self.schema)))?;
        }
        if self.format == RowFormat::Table {
            let text = table(&self.sample, None, self.context.ui.out().style());
            let text: String =
                text.lines().map(|it| format!("{}\n", it.strip_prefix("      ").unwrap_or(it))).collect();
            self.context.ui.print(&text)?;
        }
        Ok(())
    }
}
