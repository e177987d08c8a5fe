//! Arguments of `assets backfill`.

use clap::{Args, Subcommand};

use super::args::{RunArgs, Selection};

#[derive(Args, Debug)]
#[command(after_help = "A backfill is done when everything that it asks for was made once. What is made is told by the
records of partitions, so that it goes on where it stood after Ctrl-C, a kill or a reboot, and what
is fresh is never made again.

`start`, `resume` and `retry` exit as `materialize` does, and with 3 if they were paused or cancelled.

Examples:
  assets backfill start march -s 'daily+' --partition 2026-03..2026-04
  assets backfill list
  assets backfill pause march
  assets backfill resume march")]
pub struct BackfillArgs {
    #[command(subcommand)]
    pub what: BackfillCommand,
}

#[derive(Subcommand, Debug)]
pub enum BackfillCommand {
    /// Ask for partitions under a name, and make those that are not fresh.
    Start(StartArgs),
    /// Show backfills, the one asked for last first.
    #[command(after_help = "Examples:
  assets backfill list
  assets backfill list --json | jq -r '.backfills[] | select(.state == \"interrupted\").name'")]
    List,
    /// Show how a backfill stands: what is fresh, left and failed of each asset.
    #[command(after_help = "Examples:
  assets backfill show march
  assets backfill show march --json | jq .counts")]
    Show {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Start nothing more of it for now; what is at work is finished.
    #[command(after_help = "The process that works on it ends with 3.

Examples:
  assets backfill pause march")]
    Pause {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Go on with all that is left of a backfill, failed partitions too.
    #[command(after_help = "Examples:
  assets backfill resume march
  assets backfill resume march -j 8")]
    Resume {
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        how: RunArgs,
    },
    /// Call a backfill off; what is at work is finished, and what was made stays.
    #[command(after_help = "The process that works on it ends with 3. `resume` takes it up again.

Examples:
  assets backfill cancel march")]
    Cancel {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Make again what failed of a backfill, and what could not be made because of that.
    #[command(after_help = "Examples:
  assets backfill retry march
  assets backfill retry march -j 1")]
    Retry {
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        how: RunArgs,
    },
}

#[derive(Args, Debug, Clone)]
#[command(
    after_help = "Which partitions are meant is settled when it is started: `latest` stays the one that was the last then.

Examples:
  assets backfill start -s daily
  assets backfill start march -s 'daily+' --partition 2026-03-01..2026-04-01 --newest-first -j 4
  assets backfill start -s daily --partition missing -n
  assets backfill start again -s daily --partition 2026-03 --force"
)]
pub struct StartArgs {
    /// How it is called from now on. Default: after an asset, with a number.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    #[command(flatten)]
    pub selection: Selection,
    /// Of assets with partitions only these: KEY, A..B (without B), day=..,region=.., all, latest, missing, stale
    /// or failed. Default: all.
    #[arg(long, value_name = "PARTITIONS")]
    pub partition: Option<String>,
    /// Begin with the latest partitions.
    #[arg(long)]
    pub newest_first: bool,
    /// Begin with the earliest partitions (the default).
    #[arg(long, conflicts_with = "newest_first")]
    pub oldest_first: bool,
    /// Make what is fresh too, each partition once.
    #[arg(short, long)]
    pub force: bool,
    /// Show what would be made and how long it would take, and do nothing.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub how: RunArgs,
}
