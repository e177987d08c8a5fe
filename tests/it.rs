//! The one integration test binary: a file for each command or feature.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests set up the world from outside and tell people about it"
)]

mod adbc;
mod anchors;
mod backfill;
mod batch;
mod batch_tables;
mod carried;
mod checks;
mod claim;
mod cli;
mod cut_off;
mod data_checks;
mod declared;
mod defer;
mod diff;
mod docs;
mod duckdb;
mod durability;
mod examples;
mod executor;
mod faults;
mod generated;
mod hostile;
mod incremental;
mod io;
mod jaffle;
mod jobserver;
mod known;
mod layers;
mod manifest;
mod mutations;
mod network;
mod normal_form;
mod objects;
mod oracle;
mod oracle_sql;
mod oracle_stores;
mod partition;
mod partition_oracle;
mod partition_oracle_tables;
mod partition_proof;
mod partition_tables;
mod partitions;
mod postgres;
mod promises;
mod readers;
mod rename_tables;
mod review;
mod row_order;
mod run_features;
// A release build has all its protections, whatever it is told.
#[cfg(debug_assertions)]
mod sabotage;
mod snowflake;
mod soak;
mod source;
mod sql_files;
mod sql_templates;
#[expect(clippy::allow_attributes, reason = "`expect` would complain as soon as the last helper is used")]
#[allow(dead_code, reason = "helpers for every end-to-end test")]
mod support;
mod syscalls;
mod tables;
mod targets;
mod terminal;
mod upkeep;
mod versions;
mod views;
mod watch;
