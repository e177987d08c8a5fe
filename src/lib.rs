//! A build tool for data.
//!
//! ```text
//! face    people and programs: cli, ui (terminal), report, watch
//! exec    does: run loop, executors, IO managers
//! plan    reads and decides: hashing, state store, staleness, planner
//! model   pure data and functions: manifest, selection, graph, fingerprint, events
//! base    knows nothing of assets: spans, diagnostics, files, clock
//! ```
//!
//! A path names its layer; imports point down only.

pub mod base;
pub mod exec;
pub mod face;
pub mod model;
pub mod plan;
