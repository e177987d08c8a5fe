//! Every key of `assets.toml`, once: its name, what it may hold, what it means.

use super::{
    check_keys::CHECK,
    shape::{
        Choice, Field, Kind,
        Kind::{Boolean, Count, Duration, Either, Filled, FilledList, Label, List, Map, Named, Text, Variable},
        Names, Shape, field,
    },
};

pub const fn shape(name: &'static str, about: &'static str, fields: &'static [Field]) -> Shape {
    Shape { name, about, fields, open: false }
}

const PATTERNS: Kind = List(&Filled);
pub const LABELS: Kind = List(&Label);
const VARIABLES: Kind = List(&Filled);
const RETRIES: Kind = Count(0, 1000);
pub const COMMAND: Kind = Either(&[Text, List(&Text)]);

const ENV: Field =
    field("env", VARIABLES, "Variables of the environment that it is given, and whose values count as code.");
const SECRET_ENV: Field = field(
    "secret_env",
    VARIABLES,
    "Like `env`, but the values are secret: kept out of state, logs and output, compared by a keyed hash.",
);
const DESCRIPTION: Field = field("description", Text, "What it is, for people.");
const GROUP: Field = field("group", Label, "The group it is shown and selected with (`group:NAME`).");
const TAGS: Field = field("tags", Map(&Text), "Free labels, selected with `tag:KEY=VALUE`.");
const OWNERS: Field = field("owners", LABELS, "Who answers for it, selected with `owner:NAME`.");
const KINDS: Field = field("kinds", LABELS, "What it is made with, selected with `kind:NAME`.");
const COMMAND_FIELD: Field = field(
    "command",
    COMMAND,
    "What makes it: a list is run as it is, each element one argument; a string is run by `sh -c`. A template.",
);
const CODE: Field =
    field("code", PATTERNS, "Files whose content is part of the code; patterns, relative to this file's folder.");
const ONE_DEP: Kind = Either(const { &[Filled, Kind::Table(&DEP)] });
const DEPS: Field = field("deps", List(&ONE_DEP), "Keys of the assets and sources that it reads.");
const SOURCES: Field = field(
    "sources",
    PATTERNS,
    "Files that it reads itself: an unnamed source; patterns, relative to this file's folder.",
);
const POOL_FIELD: Field = field("pool", Filled, "The pool that limits how many of these run at once.");
const RETRIES_FIELD: Field = field("retries", RETRIES, "How often a failed attempt is tried again.");
const RETRY_DELAY: Field =
    field("retry_delay", Duration, "How long to wait before the first retry; doubled for each one after it.");
pub const TIMEOUT: Field = field("timeout", Duration, "An attempt that takes longer is ended and has failed.");
const CODE_VERSION: Field = field(
    "code_version",
    Either(&[Filled, Count(i64::MIN, i64::MAX)]),
    "A version bumped by hand, for what the tool cannot see.",
);
const VERSIONS: Choice = Choice { now: &["content", "canonical", "reported", "inputs", "always"], later: &[] };
pub const VERSION: Field = field(
    "version",
    Kind::Choice(&VERSIONS),
    "What its data version is: its content, its content whatever the form, what its command reports, what it was made from, or always a new one.",
);
const IN_PLACE: Field = field("in_place", Boolean, "The command can only write to the final path.");
const IO_FIELD: Field = field("io", Filled, "The IO manager that keeps it.");
const EXTERNAL: Field = field(
    "external_tables",
    List(&Filled),
    "Tables that queries may read although nobody declares them, as `raw.events` or `legacy_*`. They are not tracked.",
);
const PARTITION_COLUMN: Field = field(
    "partition_column",
    Either(const { &[Filled, Map(&Filled)] }),
    "Of a table with partitions: the column that holds the key, or for each dimension the one that holds that.",
);
static ALL_AT_ONCE: Choice = Choice { now: &["all"], later: &[] };
const BATCH: Field = field(
    "batch",
    Either(const { &[Count(1, 1_000_000), Kind::Choice(&ALL_AT_ONCE)] }),
    "The command or query is given so many partitions at once, or \"all\".",
);
const PARTITIONS_FIELD: Field = field("partitions", Filled, "The `[partitions.*]` that it is cut into.");
const MATERIALIZED: Choice = Choice { now: &["table", "view", "incremental"], later: &[] };
const MATERIALIZED_FIELD: Field = field(
    "materialized",
    Kind::Choice(&MATERIALIZED),
    "How the result of the SQL is kept: made anew each time, as a view, or by adding to what is there. Default: table.",
);
pub static STRATEGY: Choice = Choice { now: &["append", "delete+insert", "merge"], later: &[] };
const STRATEGY_FIELD: Field = field(
    "strategy",
    Kind::Choice(&STRATEGY),
    "incremental: what becomes of the rows that are there. Default: merge with a `unique_key`, append without.",
);
const UNIQUE_KEY: Field = field(
    "unique_key",
    Either(&[Filled, FilledList(&Filled)]),
    "incremental: the columns that tell rows apart: a new row takes the place of the one with its key.",
);

const STATEMENTS: Kind = Either(&[Filled, FilledList(&Filled)]);
const PRE_HOOK: Field = field(
    "pre_hook",
    STATEMENTS,
    "Databases: statements run in the transaction that publishes it, before what is new takes its name. A template with `vars` and `this`.",
);
const POST_HOOK: Field = field(
    "post_hook",
    STATEMENTS,
    "Databases: the same, after it. `{{ this }}` is the new table: grants, comments, statistics.",
);
const INDEXES: Field = field(
    "indexes",
    List(const { &Either(const { &[FilledList(&Filled), Kind::Table(&INDEX)] }) }),
    "Databases: lists of columns, each of which gets an index before the table is published.",
);
const ALLOW_EMPTY: Field = field(
    "allow_empty",
    Boolean,
    "Whether a table without rows may take the place of one with some. Default: it may, and people are told.",
);

static INDEX: Shape = shape(
    "index",
    "An index of a table.",
    &[
        field("columns", FilledList(&Filled), "The columns, in their order.").required(),
        field("unique", Boolean, "No two rows have the same values in them."),
    ],
);

static DEP: Shape = shape(
    "dep",
    "A dependency with options.",
    &[
        field("asset", Filled, "Key of the asset or source.").required(),
        field("format", Filled, "The form in which its rows are wanted: parquet, csv, jsonl or arrow."),
        field("partitions", MAPPINGS, "Which of its partitions are read for one. Default: those that overlap it."),
    ],
);

const MAPPINGS: Kind = Either(const { &[Filled, Kind::Table(&MAPPING), List(&ONE_MAPPING)] });
const ONE_MAPPING: Kind = Either(const { &[Filled, Kind::Table(&MAPPING)] });
const NUMBER: Kind = Count(i64::MIN, i64::MAX);

static MAPPING: Shape = shape(
    "mapping",
    "Which partitions of a dependency are read for one; or a word: same, overlap, all, last.",
    &[
        OFFSET,
        WINDOW,
        TABLE_OF_KEYS,
        field("dimension", Filled, "The one dimension that belongs to the other side."),
        field(
            "dimensions",
            Map(const { &Either(const { &[Filled, Kind::Table(&DIMENSION)] }) }),
            "For each dimension of the dependency the one here that it belongs to.",
        ),
    ],
);

const OFFSET: Field = field("offset", NUMBER, "That many windows on: -1 is the one before.");
const WINDOW: Field =
    field("window", List(&NUMBER), "From that many windows on to that many: [-6, 0] are the last seven.");
const TABLE_OF_KEYS: Field =
    field("table", Map(const { &Either(&[Filled, List(&Filled)]) }), "For each key those of the dependency.");

static PLAIN_MAPPING: Shape =
    shape("plain_mapping", "How one dimension belongs to another.", &[OFFSET, WINDOW, TABLE_OF_KEYS]);

static DIMENSION: Shape = shape(
    "dimension",
    "A dimension, and how the dependency's belongs to it.",
    &[
        field("to", Filled, "The dimension.").required(),
        field("partitions", Either(const { &[Filled, Kind::Table(&PLAIN_MAPPING)] }), "How; see `mapping`."),
    ],
);

const DURABILITY: Choice = Choice { now: &["strict", "epoch", "off"], later: &[] };

static PROJECT: Shape = shape(
    "project",
    "What holds for the whole project.",
    &[
        field("name", Label, "The project's name.").required(),
        field("requires", Filled, "The versions of the tool that will do, as in `>=0.1`."),
        field("include", PATTERNS, "Further manifests, as patterns; their keys share one namespace with this file's."),
        field("default_io", Filled, "The IO manager of assets that name none."),
        ENV,
        field(
            "pass_env",
            PATTERNS,
            "Variables given to every computation that never count as code; `*` stands for anything.",
        ),
        SECRET_ENV,
        EXTERNAL,
        field(
            "durability",
            Kind::Choice(&DURABILITY),
            "When results are forced to the disk: before each step counts, once at the end of a run, never.",
        ),
    ],
);

static TARGET_PROJECT: Shape = shape(
    "target_project",
    "What a target may change of the project.",
    &[
        field("default_io", Filled, "The IO manager of assets that name none."),
        ENV,
        field("pass_env", PATTERNS, "Variables given to every computation that never count as code."),
        SECRET_ENV,
        EXTERNAL,
    ],
);

static DEFAULTS: Shape = shape(
    "defaults",
    "For every asset and op that does not say otherwise.",
    &[
        GROUP,
        TAGS,
        OWNERS,
        KINDS,
        IO_FIELD,
        MATERIALIZED_FIELD,
        ENV,
        SECRET_ENV,
        POOL_FIELD,
        RETRIES_FIELD,
        RETRY_DELAY,
        TIMEOUT,
    ],
);

/// The types of IO manager.
pub static IO_TYPES: Choice = Choice {
    now: &["fs", "sqlite", "postgres", "duckdb", "adbc", "object_store", "memory"],
    later: &["mysql", "plugin"],
};

/// Whose SQL is spoken behind an ADBC driver.
static DIALECTS: Choice =
    Choice { now: &["sqlite", "postgres", "duckdb", "snowflake", "bigquery", "ansi"], later: &[] };

/// The options that a type of IO manager has, `type` among them; all, of one that is not known.
pub fn options_of(kind: &str) -> &'static [&'static str] {
    match kind {
        "fs" => &["type", "root"],
        "sqlite" => &["type", "path", "external_tables"],
        "postgres" => &["type", "url", "schema", "schema_from_key", "external_tables"],
        "duckdb" => &["type", "path", "library", "options", "external_tables"],
        "adbc" => &["type", "driver", "entrypoint", "dialect", "schema", "options", "external_tables"],
        "object_store" => &["type", "url", "endpoint", "region", "allow_http", "skip_signature"],
        _ => &["type"],
    }
}

pub static IO: Shape = shape(
    "io",
    "A named IO manager: its type and that type's options. Options are templates with `vars` and `env`.",
    &[
        field("type", Kind::Choice(&IO_TYPES), "What kind of place it is.").required(),
        field("root", Filled, "fs: the folder that everything is kept below, relative to this file's folder."),
        field("path", Filled, "sqlite, duckdb: the database file, relative to this file's folder."),
        field(
            "url",
            Filled,
            "object_store: s3://BUCKET/PREFIX, gs://, az://, file://FOLDER or memory://. postgres: postgres://USER:PASSWORD@HOST:PORT/DATABASE, by way of `env`.",
        ),
        field("endpoint", Filled, "object_store: the server, if it is not the service's own."),
        field("region", Filled, "object_store: the region of the bucket."),
        field("allow_http", Boolean, "object_store: an endpoint without encryption is fine."),
        field("skip_signature", Boolean, "object_store: ask without credentials."),
        field(
            "schema_from_key",
            Boolean,
            "postgres: a key with a prefix is a table in the schema of that name: marts/daily is marts.daily.",
        ),
        field("schema", Filled, "Databases: the schema that tables are kept in."),
        field("library", Filled, "duckdb: where its library is, if it is not found by itself."),
        field(
            "driver",
            Filled,
            "adbc: the driver: the path of its library, or a name that is looked for as ADBC does.",
        ),
        field("entrypoint", Filled, "adbc: the function of the library that sets it up, if not the usual one."),
        field("dialect", Kind::Choice(&DIALECTS), "adbc: whose SQL the database speaks."),
        field("command", COMMAND, "plugin: the program to run."),
        field("options", Map(&Text), "duckdb, adbc: what the driver is told when it connects."),
        EXTERNAL,
    ],
);

static SOURCE: Shape = shape(
    "source",
    "Data made elsewhere: observed, never made. One of `files`, `command`, `url`, or `io` with `table`.",
    &[
        DESCRIPTION,
        GROUP,
        TAGS,
        OWNERS,
        KINDS,
        field("files", Either(&[Filled, FilledList(&Filled)]), "Files that match, relative to this file's folder."),
        field("command", COMMAND, "A command that prints a version; run by `materialize` and `--refresh` only."),
        field("url", Filled, "An address; its ETag, Last-Modified or content is the version. A template."),
        field("max_age", Duration, "url: an answer this young is not asked for again."),
        ENV,
        SECRET_ENV,
        field("io", Filled, "The IO manager that the table is in.").later(),
        field("table", Filled, "The table.").later(),
        PARTITIONS_FIELD,
    ],
);

/// Keys that say how an asset is computed: not for an asset whose op says it.
pub const COMPUTATION: [&str; 18] = [
    "command",
    "sql",
    "materialized",
    "strategy",
    "unique_key",
    "code",
    "deps",
    "sources",
    "env",
    "secret_env",
    "pool",
    "retries",
    "retry_delay",
    "timeout",
    "code_version",
    "in_place",
    "partitions",
    "batch",
];

pub static ASSET: Shape = shape(
    "asset",
    "An asset: what makes it, what it is made from, where it is kept.",
    &[
        DESCRIPTION,
        GROUP,
        TAGS,
        OWNERS,
        KINDS,
        COMMAND_FIELD,
        CODE,
        DEPS,
        SOURCES,
        IO_FIELD,
        field("format", Filled, "csv, json, jsonl, parquet, arrow, or any extension. Default: that of `path`."),
        field(
            "path",
            Filled,
            "Where below the IO manager's root. Default: the key, with the format. A template with `vars` and `env`.",
        ),
        field("folder", Boolean, "The output is a folder; so is one whose `path` ends in `/`."),
        ENV,
        SECRET_ENV,
        POOL_FIELD,
        RETRIES_FIELD,
        RETRY_DELAY,
        TIMEOUT,
        CODE_VERSION,
        VERSION,
        IN_PLACE,
        field("op", Filled, "The `[op.*]` that makes it, together with others."),
        field(
            "sql",
            Filled,
            "A query whose rows are the asset, or the path of one that ends in `.sql`. A template with `vars`, `env` and `ref(\"KEY\")`; what it reads is a dependency.",
        ),
        EXTERNAL,
        field("python", Filled, "`module:function`.").later(),
        MATERIALIZED_FIELD,
        STRATEGY_FIELD,
        UNIQUE_KEY,
        PRE_HOOK,
        POST_HOOK,
        INDEXES,
        ALLOW_EMPTY,
        PARTITIONS_FIELD,
        BATCH,
        PARTITION_COLUMN,
        field("checks", List(&Kind::Table(&CHECK)), "What must be true of its data before it is published."),
    ],
);

static OP: Shape = shape(
    "op",
    "One computation that makes several assets.",
    &[
        field("description", Text, "What it does, for people."),
        COMMAND_FIELD,
        CODE,
        DEPS,
        SOURCES,
        ENV,
        SECRET_ENV,
        POOL_FIELD,
        RETRIES_FIELD,
        RETRY_DELAY,
        TIMEOUT,
        CODE_VERSION,
        IN_PLACE,
        field("python", Filled, "`module:function`.").later(),
        PARTITIONS_FIELD,
        BATCH,
    ],
);

static POOL: Shape = shape(
    "pool",
    "A concurrency limit.",
    &[
        field("limit", Count(1, 1_000_000), "How many may run at once.").required(),
        field("per", Filled, "A dimension of partitions: the limit is for each value of it by itself."),
    ],
);

static JOB: Shape = shape(
    "job",
    "A named selection.",
    &[
        field("select", Filled, "The selection.").required(),
        field("description", Text, "What it is for."),
        field("partitions", Filled, "The partitions that it makes, as `--partition` has them."),
        field("vars", Map(&Text), "Variables of its runs, as `--var` has them."),
        field("pool", Filled, "The pool whose limit is how many steps of its run are at work at once."),
    ],
);

static MODELS: Shape = shape(
    "models",
    "Every .sql file that matches is an asset named after the file; `[asset.NAME]` may say more of one.",
    &[
        field("files", PATTERNS, "The files, relative to this file's folder.").required(),
        IO_FIELD,
        GROUP,
        TAGS,
        OWNERS,
        KINDS,
        MATERIALIZED_FIELD,
        STRATEGY_FIELD,
        UNIQUE_KEY,
        PRE_HOOK,
        POST_HOOK,
        INDEXES,
        ALLOW_EMPTY,
        PARTITIONS_FIELD,
        BATCH,
        PARTITION_COLUMN,
        CODE_VERSION,
        VERSION,
        POOL_FIELD,
        RETRIES_FIELD,
        RETRY_DELAY,
        TIMEOUT,
        ENV,
        SECRET_ENV,
        EXTERNAL,
    ],
);

/// Days of the week, from Monday.
pub static WEEKDAYS: Choice =
    Choice { now: &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"], later: &[] };

pub static PARTITIONS: Shape = shape(
    "partitions",
    "How assets are cut into partitions.",
    &[
        field("type", Kind::Choice(&Choice { now: &["time", "static", "dynamic", "multi"], later: &[] }), "What kind.")
            .required(),
        field("every", Kind::Choice(&Choice { now: &["hour", "day", "week", "month"], later: &[] }), "time: the step."),
        field("cron", Filled, "time: the step, as a cron expression of five fields."),
        field("start", Filled, "time: where the first begins, or sooner: a day, or a day with a time."),
        field("end", Filled, "time: where the last has ended. Default: they go on."),
        field("timezone", Filled, "time: the zone whose clocks count. Default: UTC."),
        field("minute", Count(0, 59), "time: the minute at which each begins."),
        field("hour", Count(0, 23), "day, week, month: the hour at which each begins."),
        field("weekday", Kind::Choice(&WEEKDAYS), "week: the day on which each begins. Default: monday."),
        field("day", Count(1, 28), "month: the day on which each begins."),
        field("format", Filled, "time: how keys are written, as strftime has it."),
        field(
            "end_offset",
            Count(-100_000, 100_000),
            "time: how many more there are than those that are over; 1 for the current one too.",
        ),
        field("keys", FilledList(&Filled), "static: the keys, in their order."),
        field("dimensions", Map(&Filled), "multi: for each dimension the `[partitions.*]` that it has."),
    ],
);

static SCHEDULE: Shape = shape(
    "schedule",
    "When a job is run.",
    &[
        field("job", Filled, "The job.").required(),
        field("cron", Filled, "When, as a cron expression.").required(),
        field("timezone", Filled, "The time zone of the expression."),
    ],
);

const fn open(name: &'static str, about: &'static str) -> Shape {
    Shape { name, about, fields: &[], open: true }
}

static SENSOR: Shape = open("sensor", "Starts runs when something happens.");
static ALERT: Shape = open("alert", "Tells people when something happened.");
static EXECUTOR: Shape = open("executor", "Where computations run.");
static CACHE: Shape = open("cache", "A store of results shared between machines.");
static STATE: Shape = open("state", "Where the project's state is kept.");

const VARS: Field = field("vars", Map(&Variable), "Values for templates: `{{ vars.NAME }}`, `--var NAME=VALUE`.");
const DEFAULTS_FIELD: Field = field("defaults", Kind::Table(&DEFAULTS), DEFAULTS.about);
const SECTIONS: [Field; 14] = [
    field("io", Named(Names::Words, &IO), IO.about),
    field("source", Named(Names::Keys, &SOURCE), SOURCE.about),
    field("asset", Named(Names::Keys, &ASSET), ASSET.about),
    field("op", Named(Names::Words, &OP), OP.about),
    field("pool", Named(Names::Words, &POOL), POOL.about),
    field("job", Named(Names::Words, &JOB), JOB.about),
    field("models", List(const { &Kind::Table(&MODELS) }), MODELS.about),
    field("partitions", Named(Names::Words, &PARTITIONS), PARTITIONS.about),
    field("schedule", Named(Names::Words, &SCHEDULE), SCHEDULE.about).later(),
    field("sensor", Named(Names::Words, &SENSOR), SENSOR.about).later(),
    field("alert", Named(Names::Words, &ALERT), ALERT.about).later(),
    field("executor", Named(Names::Words, &EXECUTOR), EXECUTOR.about).later(),
    field("cache", Kind::Table(&CACHE), CACHE.about).later(),
    field("state", Kind::Table(&STATE), STATE.about).later(),
];

const fn with_sections<const HEAD: usize, const ALL: usize>(head: [Field; HEAD]) -> [Field; ALL] {
    let mut all = [field("", Boolean, ""); ALL];
    let mut at = 0;
    while at < ALL {
        all[at] = if at < HEAD { head[at] } else { SECTIONS[at - HEAD] };
        at += 1;
    }
    all
}

static TARGET: Shape = shape(
    "target",
    "A named set of overrides, merged key by key over everything else.",
    &with_sections::<3, 17>([
        field("project", Kind::Table(&TARGET_PROJECT), TARGET_PROJECT.about),
        VARS,
        DEFAULTS_FIELD,
    ]),
);

/// The whole file.
pub static ROOT: Shape = shape(
    "assets.toml",
    "The manifest of a project of `assets`.",
    &with_sections::<4, 18>([
        field("project", Kind::Table(&PROJECT), PROJECT.about),
        VARS,
        DEFAULTS_FIELD,
        field("target", Named(Names::Words, &TARGET), TARGET.about),
    ]),
);

/// Keys of the root that an included file may not have.
pub const ONLY_IN_MAIN: [&str; 6] = ["project", "vars", "target", "executor", "cache", "state"];

/// Keys of `[project]` that `assets.local.toml` may not override.
pub const NEVER_LOCAL: [&str; 3] = ["name", "requires", "include"];
