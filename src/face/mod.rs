//! People and programs: command line, terminal, reports, watch. Only this layer prints or parses
//! arguments.

pub mod app;
pub mod cli;
pub mod compiled;
pub mod exit;
pub mod quick;
pub mod record;
pub mod report;
pub mod ui;
pub mod watch;
