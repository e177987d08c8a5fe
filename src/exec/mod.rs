//! Does: run loop, executors, IO managers. Only this layer runs user code.

pub mod accept;
pub mod check;
pub mod copies;
pub mod defer;
pub mod diff;
pub mod executor;
pub mod io;
pub mod jobserver;
pub mod lock;
pub mod log;
pub mod query;
pub mod relation;
pub mod rename;
pub mod run;
pub mod signal;
pub mod source;
pub mod stop;
pub mod supervise;
pub mod table;
pub mod todo;
