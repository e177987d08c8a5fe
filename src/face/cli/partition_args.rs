//! Arguments of the commands that are about partitions, what a change would touch, and jobs.

use clap::{Args, Subcommand};

use super::args::RunArgs;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  assets partitions list
  assets partitions list daily
  assets partitions add customer acme globex
  assets partitions remove customer acme")]
pub struct PartitionsArgs {
    #[command(subcommand)]
    pub what: PartitionsCommand,
}

#[derive(Subcommand, Debug)]
pub enum PartitionsCommand {
    /// Show definitions, or the keys that there are of one; KEY of an asset does too.
    List {
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// Add keys to dynamic partitions.
    Add {
        #[arg(value_name = "NAME")]
        name: String,
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
    /// Take keys of dynamic partitions away. What was made of them stays where it is.
    Remove {
        #[arg(value_name = "NAME")]
        name: String,
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  assets impact raw/2026-03-15.csv
  assets impact clean.py
  assets impact daily --partition 2026-03
  assets impact orders --json | jq '.assets[].key'")]
pub struct ImpactArgs {
    /// A file of the project, or the key of an asset or source.
    #[arg(value_name = "PATH|KEY")]
    pub what: String,
    /// Of an asset or source with partitions only these.
    #[arg(long, value_name = "PARTITIONS")]
    pub partition: Option<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  assets job list
  assets job run nightly
  assets job run nightly --partition 2026-03-15")]
pub struct JobArgs {
    #[command(subcommand)]
    pub what: JobCommand,
}

#[derive(Subcommand, Debug)]
pub enum JobCommand {
    /// Show the jobs of the project.
    List,
    /// Materialize what a job selects, with its partitions, variables and pool.
    Run {
        #[arg(value_name = "NAME")]
        name: String,
        /// Other partitions than the job's.
        #[arg(long, value_name = "PARTITIONS")]
        partition: Option<String>,
        #[command(flatten)]
        how: RunArgs,
    },
}
