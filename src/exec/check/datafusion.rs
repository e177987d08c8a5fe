//! Asking files: of what is staged or published, and of whatever else a check names, by the engine that is
//! built in.

use std::{cell::Cell, path::Path};

use super::{CELL_CHARACTERS_MAX, Examiner, Found, Request};
use crate::{
    exec::{
        query::{Failed, datafusion::Session},
        table::{columns::kind, show::cells},
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
        let schema = self.session.each(sql, &mut |batch| {
            count.set(count.get() + batch.num_rows() as u64);
            rows.extend(cells(batch, limit - rows.len(), CELL_CHARACTERS_MAX).map_err(Failed::plain)?);
            Ok(true)
        })?;
        let columns = schema.fields().iter().map(|it| {
            let kind = kind(it.data_type()).unwrap_or_else(|_| it.data_type().to_string());
            (it.name().clone(), kind)
        });
        Ok(Found { columns: columns.collect(), rows, count: count.get() })
    }
}
