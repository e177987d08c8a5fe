//! Does: run loop, executors, IO managers. Only this layer runs user code.

pub mod executor;
pub mod io;
pub mod source;
