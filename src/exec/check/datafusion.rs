//! Asking files: of what is staged or published, and of whatever else a check names, by the engine that is
//! built in.

use std::{cell::Cell, path::Path};

use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::{CELL_CHARACTERS_MAX, Examiner, Found, Request};
use crate::{
    exec::{
        query::{Failed, datafusion::Session},
        table::columns::kind,
    },
    model::sql::Dialect,
};

/// A session that sees the tables of one request.
pub struct FileExaminer {
    session: Session,
}

impl FileExaminer {
    /// # Errors
    /// Files that are not there or hold something else.
    pub fn of(request: &Request, spill: &Path) -> Result<Self, Failed> {
        Ok(FileExaminer { session: Session::of(&request.inputs, spill)? })
    }
}

impl Examiner for FileExaminer {
    fn dialect(&self) -> Dialect {
        Dialect::DataFusion
    }

    fn rows(&self, sql: &str, limit: usize) -> Result<Found, Failed> {
        let count = Cell::new(0);
        let mut rows = Vec::new();
        let options = FormatOptions::default();
        let schema = self.session.each(sql, &mut |batch| {
            count.set(count.get() + batch.num_rows() as u64);
            let wanted = batch.num_rows().min(limit - rows.len());
            if wanted == 0 {
                return Ok(());
            }
            let columns = batch.columns().iter().map(|it| ArrayFormatter::try_new(it, &options));
            let columns = columns.collect::<Result<Vec<_>, _>>().map_err(Failed::plain)?;
            for row in 0..wanted {
                let cell = |(array, shown): (&arrow::array::ArrayRef, &ArrayFormatter<'_>)| {
                    let text = (!array.is_null(row)).then(|| shown.value(row).to_string())?;
                    Some(match text.char_indices().nth(CELL_CHARACTERS_MAX) {
                        Some((end, _)) => format!("{}...", &text[..end]),
                        None => text,
                    })
                };
                rows.push(batch.columns().iter().zip(&columns).map(cell).collect());
            }
            Ok(())
        })?;
        let columns = schema.fields().iter().map(|it| {
            let kind = kind(it.data_type()).unwrap_or_else(|_| it.data_type().to_string());
            (it.name().clone(), kind)
        });
        Ok(Found { columns: columns.collect(), rows, count: count.get() })
    }
}
