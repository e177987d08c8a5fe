//! Reads the world and decides: hashing, state store, staleness, planner.
//!
//! Never runs user code, never writes asset data.

pub mod hash;
pub mod record;
pub mod store;
