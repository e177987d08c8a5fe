//! Answers as text and as versioned JSON documents. Pure: from what is known to a string.

pub mod graph;
pub mod list;
