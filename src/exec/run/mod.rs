//! A run: from a plan to published assets and records.
//!
//! One dispatcher owns all state of a run and emits one stream of events; workers prepare and
//! finish steps and only send messages back. Invariants, each kept where its name stands in a comment:
//!
//! - **I1** a record is trusted only if its output still has the recorded signature or content;
//! - **I2** a visible output is always one complete version;
//! - **I3** a record is written only if every input at the end is what it was at the start;
//! - **I4** nothing older is destroyed before something newer is complete and recorded as intent;
//! - **I5** after a crash at any point the next run alone reaches the right state.

pub mod audit;
mod batch;
mod beneath;
pub mod check;
mod claim;
pub mod context;
pub mod dispatcher;
pub mod emptied;
pub mod environment;
pub mod finish;
mod given;
pub mod incremental;
pub mod partitions;
mod pipes;
pub mod prepare;
pub mod query;
pub mod queue;
pub mod recheck;
pub mod recover;
pub mod render;
mod rooms;
pub mod step;
mod vacant;
pub mod version;
mod witness;
