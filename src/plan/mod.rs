//! Reads the world and decides: hashing, state store, staleness, planner.
//!
//! Never runs user code, never writes asset data. The way of a question through it: `observe` finds
//! what code, sources and settings are now; `examine` compares one output with its record and
//! decides; `survey` asks that of a whole scope; `planner` makes steps of the answer and `explain`
//! tells it.

pub mod backfill;
pub mod checked;
pub mod compare;
pub mod examine;
pub mod explain;
pub mod hash;
pub mod index;
pub mod observe;
pub mod parted;
pub mod partition_files;
pub mod partitions;
pub mod planner;
pub mod recall;
pub mod record;
pub mod store;
pub mod survey;
pub mod world;
