//! Knows nothing of assets: spans, diagnostics, files, clock, processes.

pub mod at_once;
pub mod clock;
pub mod diagnostic;
pub mod digest;
pub mod env;
pub mod fs;
pub mod id;
pub mod path;
pub mod places;
pub mod process;
pub mod sabotage;
pub mod span;
pub mod suggest;
