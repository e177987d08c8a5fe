//! Pure data and pure functions: manifest, selection, graph, fingerprint, events.
//!
//! No I/O, clock, environment or threads.

pub mod check;
pub mod event;
pub mod fingerprint;
pub mod format;
pub mod graph;
pub mod key;
pub mod manifest;
pub mod materialized;
pub mod node_set;
pub mod object_url;
pub mod partition;
pub mod partitioning;
pub mod plan;
pub mod project;
pub mod select;
#[cfg(test)]
pub(crate) mod sketch;
pub mod sql;
pub mod staleness;
pub mod template;
