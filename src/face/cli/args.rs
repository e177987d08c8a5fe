//! Arguments as typed. What they mean is decided by each command.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use super::{
    backfill_args::BackfillArgs,
    partition_args::{ImpactArgs, JobArgs, PartitionsArgs},
};

/// A build tool for data: knows from content what is out of date, says why, and remakes only that.
#[derive(Parser, Debug)]
#[command(
    name = "assets",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    propagate_version = false,
    after_help = "Examples:
  assets init                        start a project
  assets status                      what is out of date, and why
  assets materialize                 remake it
  assets materialize -s 'orders+'    orders and everything below it
  assets why report                  the causes, old and new

`assets help TOPIC` tells more: selection, exit-codes, environment."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes, before or after its name.
#[derive(Args, Debug, Clone)]
pub struct Global {
    /// Work as if started in this folder.
    #[arg(
        short = 'C',
        long = "directory",
        value_name = "DIR",
        value_hint = ValueHint::DirPath,
        global = true,
        help_heading = "Everywhere"
    )]
    pub directory: Option<PathBuf>,
    /// Apply the overrides of `[target.NAME]` [env: ASSETS_TARGET].
    #[arg(short, long, value_name = "NAME", global = true, help_heading = "Everywhere")]
    pub target: Option<String>,
    /// Set a variable of `[vars]`; may be repeated.
    #[arg(long, value_name = "K=V", global = true, help_heading = "Everywhere")]
    pub var: Vec<String>,
    /// Colour: auto, always or never.
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true, help_heading = "Everywhere")]
    pub color: When,
    /// Say nothing but the answer and errors.
    #[arg(short, long, global = true, help_heading = "Everywhere")]
    pub quiet: bool,
    /// Say more.
    #[arg(short, long, global = true, conflicts_with = "quiet", help_heading = "Everywhere")]
    pub verbose: bool,
    /// Answer with one JSON document on stdout.
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub json: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Auto,
    Always,
    Never,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Start a project that materializes at once.
    Init(InitArgs),
    /// Check the manifest alone, without looking at any data.
    #[command(after_help = "Examples:
  assets validate
  assets validate -t prod
  assets validate --json | jq .assets")]
    Validate,
    /// Show what a selection means.
    #[command(visible_alias = "ls")]
    List(SelectArgs),
    /// Draw what is made from what.
    #[command(visible_alias = "lineage")]
    Graph(GraphArgs),
    /// Show what is fresh, stale or missing, and why. Changes nothing.
    Status(StatusArgs),
    /// Tell why an asset is not fresh, down to the root; or explain an error code.
    #[command(visible_alias = "explain")]
    Why(WhyArgs),
    /// Remake what is out of date.
    #[command(visible_aliases = ["run", "build"])]
    Materialize(MaterializeArgs),
    /// Show what `materialize` would do. Changes nothing.
    Plan(PlanArgs),
    /// Keep the selection fresh as files change.
    Watch(WatchArgs),
    /// Show what would be made again if a file or an asset came out different.
    Impact(ImpactArgs),
    /// Show partitions and their keys; add and remove those of dynamic ones.
    Partitions(PartitionsArgs),
    /// Make partitions under a name that can be paused, gone on with and called off.
    Backfill(BackfillArgs),
    /// Show and run the jobs of the project.
    Job(JobArgs),
    /// Run checks alone, on what is published. Makes nothing.
    Check(CheckArgs),
    /// Show all that is known of an asset.
    Show(KeyArgs),
    /// Show the first rows of an asset or source.
    Preview(PreviewArgs),
    /// Ask assets and sources by SQL, by their keys. Changes nothing.
    Query(QueryArgs),
    /// Show what is different between two versions of an asset.
    Diff(DiffArgs),
    /// Print the SQL of an asset as it is run.
    Render(RenderArgs),
    /// List past runs.
    Runs(RunsArgs),
    /// Show what commands wrote.
    Logs(LogsArgs),
    /// Run again what failed or was not reached in the last run.
    Retry(RetryArgs),
    /// Take what is stored as fresh, without running; recorded with the reason.
    Accept(AcceptArgs),
    /// Rename an asset without losing its history.
    Mv(MvArgs),
    /// Forget old runs, logs and kept versions.
    Gc(GcArgs),
    /// Remove what was made.
    Clean(CleanArgs),
    /// Look for what could go wrong on this machine.
    #[command(after_help = "Exits with 1 if a check failed; warnings are no failure.

Examples:
  assets doctor
  assets doctor --json | jq '.checks[] | select(.verdict != \"ok\")'")]
    Doctor,
    /// Print the JSON Schema of `assets.toml` or of a document.
    Schema(SchemaArgs),
    /// Print a script that completes commands and asset names in a shell.
    Completions(CompletionsArgs),
    /// Print the manual page.
    Man(ManArgs),
    /// Help for a command or a topic.
    Help(HelpArgs),
}

/// Which assets.
#[derive(Args, Debug, Clone, Default)]
pub struct Selection {
    /// Assets to take: `orders`, `orders+`, `tag:daily`, ... (`assets help selection`).
    #[arg(short = 's', long = "select", value_name = "SEL", num_args = 1)]
    pub select: Vec<String>,
    /// Assets to leave out.
    #[arg(long, value_name = "SEL", num_args = 1)]
    pub exclude: Vec<String>,
    /// The selection of `[job.NAME]`.
    #[arg(long, value_name = "NAME", conflicts_with = "select")]
    pub job: Option<String>,
}

impl Selection {
    /// Nothing was said of which assets.
    pub fn is_everything(&self) -> bool {
        self.select.is_empty() && self.exclude.is_empty() && self.job.is_none()
    }
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  assets list
  assets list 'tag:pii=no'
  assets ls '+report' --exclude 'kind:python'
  assets ls --json | jq -r '.assets[].key'")]
pub struct SelectArgs {
    /// The same as --select.
    #[arg(value_name = "SELECT")]
    pub words: Vec<String>,
    #[command(flatten)]
    pub selection: Selection,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  assets graph
  assets graph '+report' --format mermaid
  assets graph --format dot | dot -Tsvg > graph.svg")]
pub struct GraphArgs {
    /// The same as --select.
    #[arg(value_name = "SELECT")]
    pub words: Vec<String>,
    #[command(flatten)]
    pub selection: Selection,
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub format: GraphFormat,
    /// Show the state of each asset too.
    #[arg(long)]
    pub status: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphFormat {
    Text,
    Mermaid,
    Dot,
    Json,
}

#[derive(Args, Debug)]
#[command(after_help = "Exits with 3 if anything selected is not fresh.

Examples:
  assets status
  assets status -s '+report'
  assets status --json | jq .counts
  assets status --exit-zero")]
pub struct StatusArgs {
    /// The same as --select.
    #[arg(value_name = "SELECT")]
    pub words: Vec<String>,
    #[command(flatten)]
    pub selection: Selection,
    /// Exit with 0 also if something is not fresh.
    #[arg(long)]
    pub exit_zero: bool,
    /// Ask sources that are commands or addresses for their version first.
    #[arg(long)]
    pub refresh: bool,
    /// Read every file again instead of trusting its size and times.
    #[arg(long)]
    pub verify: bool,
    #[command(flatten)]
    pub defer: DeferArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  assets why report
  assets why report --json
  assets explain A0012")]
pub struct WhyArgs {
    /// An asset, or the code of an error.
    #[arg(value_name = "KEY")]
    pub key: String,
    /// Of an asset with partitions, the one that is asked about.
    #[arg(long, value_name = "PARTITION")]
    pub partition: Option<String>,
    /// Read every file again instead of trusting its size and times.
    #[arg(long)]
    pub verify: bool,
    #[command(flatten)]
    pub defer: DeferArgs,
}

#[derive(Args, Debug, Clone, Default)]
#[command(after_help = "Examples:
  assets materialize
  assets materialize -s 'orders+'
  assets materialize -s report -f
  assets materialize -n
  assets run -j 4 -x")]
pub struct MaterializeArgs {
    /// The same as --select.
    #[arg(value_name = "SELECT")]
    pub words: Vec<String>,
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub how: RunArgs,
    /// Show what would be done, and do nothing.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Remake the selected assets, fresh or not.
    #[arg(short, long)]
    pub force: bool,
    /// Make all rows of the selected incremental assets anew, fresh or not.
    #[arg(long)]
    pub full_refresh: bool,
    /// Do what this plan says, and refuse if the world has moved since.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["select", "words", "force", "full_refresh", "dry_run", "exclude"])]
    pub plan: Option<PathBuf>,
    /// Of assets with partitions only these: KEY, A..B (without B), day=..,region=.., all, latest, missing, stale
    /// or failed. Default: all that are not fresh.
    #[arg(long, value_name = "PARTITIONS")]
    pub partition: Option<String>,
    /// Go on as files change, as `assets watch` does.
    #[arg(short, long, conflicts_with_all = ["dry_run", "plan", "force", "full_refresh", "verify"])]
    pub watch: bool,
    /// Read every file again instead of trusting its size and times.
    #[arg(long)]
    pub verify: bool,
    #[command(flatten)]
    pub defer: DeferArgs,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Exits with 4 if a check failed that does not only warn, with 1 if something could not be looked at.

Examples:
  assets check
  assets check -s orders
  assets check --json | jq '.assets[].checks[] | select(.outcome == \"failed\")'"
)]
pub struct CheckArgs {
    /// The same as --select.
    #[arg(value_name = "SELECT")]
    pub words: Vec<String>,
    #[command(flatten)]
    pub selection: Selection,
    /// Of assets with partitions these. Default: all that were made.
    #[arg(long, value_name = "PARTITIONS")]
    pub partition: Option<String>,
    /// Checks at work at once; default: the number of cores.
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<usize>,
}

/// What is read elsewhere.
#[derive(Args, Debug, Clone, Default)]
pub struct DeferArgs {
    /// Read what is neither selected nor made here from this target (`default`: the one without a name).
    #[arg(long, value_name = "TARGET")]
    pub defer: Option<String>,
}

/// How steps are run.
#[derive(Args, Debug, Clone, Default)]
pub struct RunArgs {
    /// Steps at work at once; default: the number of cores.
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Go on with what does not depend on a failure (the default).
    #[arg(short, long, conflicts_with = "fail_fast")]
    pub keep_going: bool,
    /// Start nothing more after the first failure.
    #[arg(short = 'x', long)]
    pub fail_fast: bool,
    /// Progress: auto, bar, plain or none [env: ASSETS_PROGRESS].
    #[arg(long, value_name = "HOW")]
    pub progress: Option<String>,
    /// Seconds that commands are given to end after Ctrl-C.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub grace: u64,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  assets plan
  assets plan -s '+report'
  assets plan --out nightly.plan && assets materialize --plan nightly.plan")]
pub struct PlanArgs {
    /// The same as --select.
    #[arg(value_name = "SELECT")]
    pub words: Vec<String>,
    #[command(flatten)]
    pub selection: Selection,
    /// Plan to remake the selected assets, fresh or not.
    #[arg(short, long)]
    pub force: bool,
    /// Plan to make all rows of the selected incremental assets anew.
    #[arg(long)]
    pub full_refresh: bool,
    /// Of assets with partitions only these: KEY, A..B (without B), day=..,region=.., all, latest, missing, stale
    /// or failed.
    #[arg(long, value_name = "PARTITIONS")]
    pub partition: Option<String>,
    /// Write the plan to this file, for `materialize --plan`.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Read every file again instead of trusting its size and times.
    #[arg(long)]
    pub verify: bool,
    #[command(flatten)]
    pub defer: DeferArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "Runs at once what is out of date, then again whenever something changes, until Ctrl-C.
What failed is tried again when something that it is made from changes. With --json every event of
every run is a line of JSON on stdout (assets.events/1), as in the run's events.jsonl.

Examples:
  assets watch
  assets watch -s 'report+'
  assets watch --json | jq -r 'select(.event == \"step_finished\").assets[].key'")]
pub struct WatchArgs {
    /// The same as --select.
    #[arg(value_name = "SELECT")]
    pub words: Vec<String>,
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub how: RunArgs,
    /// Wait this long for more changes before starting.
    #[arg(long, value_name = "MS", default_value_t = 50)]
    pub debounce: u64,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  assets show report
  assets show report --json | jq .materializations")]
pub struct KeyArgs {
    /// An asset or a source.
    #[arg(value_name = "KEY")]
    pub key: String,
}

/// How rows are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum RowFormat {
    Table,
    Csv,
    /// One object a line.
    Json,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  assets preview daily_sales
  assets preview daily_sales -n 100 --format csv > sales.csv")]
pub struct PreviewArgs {
    /// An asset or a source.
    #[arg(value_name = "KEY")]
    pub key: String,
    /// So many rows.
    #[arg(short = 'n', long, value_name = "ROWS", default_value_t = 10)]
    pub rows: usize,
    /// How they are printed.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: RowFormat,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  assets query 'select day, sum(amount) from orders group by day'
  assets query 'select * from \"raw/orders\"' --format csv > orders.csv")]
pub struct QueryArgs {
    /// One query; tables are called by the keys of assets and sources.
    #[arg(value_name = "SQL")]
    pub sql: String,
    /// At most so many rows; as a table 100, else all.
    #[arg(short = 'n', long, value_name = "ROWS")]
    pub rows: Option<usize>,
    /// How they are printed.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: RowFormat,
}

#[derive(Args, Debug)]
#[command(after_help = "Without --from and --to: the version that was there before, and what is there now.

Examples:
  assets diff daily_sales
  assets diff daily_sales --key day -n 50
  assets diff daily_sales --from 20261120-231502-4f2a
  assets diff daily_sales --to prod --json | jq .table.changed")]
pub struct DiffArgs {
    /// An asset.
    #[arg(value_name = "KEY")]
    pub key: String,
    /// As it was after this run, or is in this target.
    #[arg(long, value_name = "RUN|TARGET")]
    pub from: Option<String>,
    /// As it was after this run, or is in this target (`default`: the one without a name).
    #[arg(long, value_name = "RUN|TARGET")]
    pub to: Option<String>,
    /// Of an asset with partitions this one. Default: all of it, of two targets.
    #[arg(long, value_name = "PARTITION")]
    pub partition: Option<String>,
    /// Columns that tell rows apart; default: what the asset says is unique.
    #[arg(long = "key", value_name = "COLUMN", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// So many rows of each kind.
    #[arg(short = 'n', long, value_name = "ROWS", default_value_t = 10)]
    pub rows: usize,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  assets render daily_sales
  assets render daily_sales --var least=5
  assets render events --incremental
  assets render daily --partition 2026-03-01")]
pub struct RenderArgs {
    /// An asset that a query makes.
    #[arg(value_name = "KEY")]
    pub key: String,
    /// The query as it is run to add to the rows that are there.
    #[arg(long)]
    pub incremental: bool,
    /// Of an asset with partitions, with this one put in.
    #[arg(long, value_name = "PARTITION")]
    pub partition: Option<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  assets init
  assets init python my-project
  assets init --list")]
pub struct InitArgs {
    /// Which project to start from: shell, sql, python or files.
    #[arg(value_name = "TEMPLATE", default_value = "shell")]
    pub template: String,
    /// Where; made if it is not there. Default: this folder.
    #[arg(value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub folder: Option<PathBuf>,
    /// Show the templates.
    #[arg(long)]
    pub list: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  assets runs
  assets runs -n 5
  assets runs latest
  assets runs --json | jq -r '.runs[].run'")]
pub struct RunsArgs {
    /// Show the steps of this run; `latest` for the last one, or the beginning of a name.
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// At most so many.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  assets logs                    of the last run
  assets logs report             of the last attempt at this asset
  assets logs latest report
  assets logs --follow report")]
pub struct LogsArgs {
    /// A run, `latest`, an asset, or a run and an asset.
    #[arg(value_name = "RUN|KEY", num_args = 0..=2)]
    pub words: Vec<String>,
    /// Go on showing what is written, until the step ends.
    #[arg(short, long)]
    pub follow: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  assets retry
  assets retry -j 1
  assets retry 20261120-231502-4f2a")]
pub struct RetryArgs {
    /// Of this run instead of the last.
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    #[command(flatten)]
    pub how: RunArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  assets accept report --reason 'only the title of the chart changed'
  assets accept '+report' --reason 'made by hand from the same data'
  assets accept daily --partition 2026-03-01.. --reason 'put there by hand'")]
pub struct AcceptArgs {
    /// Assets to accept (a selection).
    #[arg(value_name = "KEY", required = true)]
    pub keys: Vec<String>,
    /// Why; kept with the record.
    #[arg(long, value_name = "TEXT", required = true)]
    pub reason: String,
    /// Of assets with partitions these. Default: those that were made and are not fresh.
    #[arg(long, value_name = "PARTITIONS")]
    pub partition: Option<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "Rename the asset in the manifest too; either may come first.

Examples:
  assets mv sales daily_sales")]
pub struct MvArgs {
    /// The key that it had.
    #[arg(value_name = "OLD")]
    pub old: String,
    /// The key that it has from now on.
    #[arg(value_name = "NEW")]
    pub new: String,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Removes the history and logs of old runs, kept versions that nobody came back to, and what killed runs
left behind. Never an output, and nothing that is running.

Examples:
  assets gc
  assets gc --dry-run
  assets gc --days 7 --runs 20"
)]
pub struct GcArgs {
    /// Keep the runs and kept versions of so many days.
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub days: u32,
    /// Keep at most so many runs.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub runs: usize,
    /// Show what would go, and remove nothing.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Removes stored outputs and their records; sources are never touched.

Examples:
  assets clean -s 'staging/*'
  assets clean --orphans -n
  assets clean --all --yes")]
pub struct CleanArgs {
    /// The same as --select.
    #[arg(value_name = "SELECT")]
    pub words: Vec<String>,
    #[command(flatten)]
    pub selection: Selection,
    /// Everything that was made.
    #[arg(long, conflicts_with_all = ["words", "select", "exclude", "job", "orphans"])]
    pub all: bool,
    /// Outputs of assets that are not in the manifest any more.
    #[arg(long, conflicts_with_all = ["words", "select", "exclude", "job"])]
    pub orphans: bool,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
    /// Show what would go, and remove nothing.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  assets schema > assets.schema.json
  assets schema status")]
pub struct SchemaArgs {
    /// `assets` (the manifest) or a document: status, plan, materialize, list, why, ...
    #[arg(value_name = "NAME", default_value = "assets")]
    pub name: String,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  source <(assets completions bash)       in ~/.bashrc
  source <(assets completions zsh)        in ~/.zshrc
  assets completions fish > ~/.config/fish/completions/assets.fish")]
pub struct CompletionsArgs {
    /// The shell that is to read it.
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    Elvish,
    Powershell,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  assets man | man -l -
  assets man ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Write one page for each command into this folder.
    #[arg(value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub folder: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  assets help materialize
  assets help selection
  assets help exit-codes")]
pub struct HelpArgs {
    /// A command, or a topic: selection, exit-codes, environment.
    #[arg(value_name = "COMMAND|TOPIC")]
    pub words: Vec<String>,
}
