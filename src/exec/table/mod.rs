//! Tables on their way from one engine to another: Arrow batches, who they are, and the files they lie in.
//!
//! Knows nothing of assets, and no engine.

pub mod columns;
pub mod digest;
pub mod infer;
mod lines;
mod plain;
pub mod read;
pub mod show;
pub mod stream;
pub mod write;

use arrow::{error::ArrowError, record_batch::RecordBatchReader};

/// A table, read once from front to back in bounded memory.
pub type Rows = Box<dyn RecordBatchReader + Send>;

/// Why a table could not be read or written: in words for people.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct TableError(pub String);

impl TableError {
    pub fn new(cause: impl ToString) -> TableError {
        TableError(cause.to_string())
    }
}

impl From<ArrowError> for TableError {
    fn from(error: ArrowError) -> TableError {
        TableError(told(&error))
    }
}

/// Without the words that only tell where in the library it came from.
pub fn told(error: &ArrowError) -> String {
    match error {
        ArrowError::CsvError(text)
        | ArrowError::JsonError(text)
        | ArrowError::ParseError(text)
        | ArrowError::CastError(text)
        | ArrowError::ComputeError(text)
        | ArrowError::InvalidArgumentError(text)
        | ArrowError::ArithmeticOverflow(text) => text.clone(),
        ArrowError::DivideByZero => "division by zero".to_owned(),
        ArrowError::ExternalError(inner) => inner.to_string(),
        other => other.to_string(),
    }
}
