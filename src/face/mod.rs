//! People and programs: command line, terminal, reports, watch. Only this layer prints or parses
//! arguments.

pub mod report;
pub mod ui;
