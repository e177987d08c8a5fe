//! Rows that a thread of their own reads, a few batches ahead of whoever takes them.

use std::sync::{
    Arc,
    mpsc::{IntoIter, SyncSender, sync_channel},
};

use arrow::{
    datatypes::SchemaRef,
    error::ArrowError,
    record_batch::{RecordBatch, RecordBatchReader},
};

use super::{Rows, TableError};

/// Rows in one batch.
pub const BATCH_ROWS: usize = 8192;
/// Batches that wait to be taken.
const AHEAD: usize = 2;

/// Where batches are put.
pub struct Sink(SyncSender<Result<RecordBatch, ArrowError>>);

impl Sink {
    /// Whether more are wanted; waits until there is room.
    pub fn put(&self, batch: RecordBatch) -> bool {
        self.0.send(Ok(batch)).is_ok()
    }
}

/// What `read` puts, from a thread of its own. An error that it returns is the last thing that is read.
pub fn stream(schema: SchemaRef, read: impl FnOnce(&Sink) -> Result<(), TableError> + Send + 'static) -> Rows {
    let (sender, batches) = sync_channel(AHEAD);
    std::thread::spawn(move || {
        let sink = Sink(sender);
        if let Err(error) = read(&sink) {
            // The reader may be gone: then nobody asks.
            let _ = sink.0.send(Err(ArrowError::ExternalError(error.into())));
        }
    });
    Box::new(Batches { schema, batches: batches.into_iter() })
}

struct Batches {
    schema: SchemaRef,
    batches: IntoIter<Result<RecordBatch, ArrowError>>,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.next()
    }
}

impl RecordBatchReader for Batches {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
