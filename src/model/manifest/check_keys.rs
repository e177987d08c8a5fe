//! The keys of `[[asset.KEY.checks]]`: the kinds of check, the arguments of each, and what all have.

use super::{
    keys::{COMMAND, TIMEOUT, shape},
    shape::{
        Choice, Field, Kind,
        Kind::{Boolean, Count, Duration, Either, Filled, FilledList, Label, Map, Number, Scalar, Text},
        Shape, field,
    },
};

/// The names of columns.
const COLUMNS: Kind = FilledList(&Label);
/// Anything that can be counted.
const MANY: Kind = Count(0, i64::MAX);
const COLUMN: Field = field("column", Label, "The column.").required();
/// `10`, `"20 %"`.
const SHARE: Kind = Either(&[Filled, Number]);
const CHANGE: Field = field(
    "change",
    SHARE,
    "How far it may be, up or down, from that of the version published before: a number, or a share as in \"20 %\".",
);

static ACCEPTED_VALUES: Shape = shape(
    "check_accepted_values",
    "A column that holds nothing but these values.",
    &[COLUMN, field("values", FilledList(&Scalar), "The values.").required()],
);
static RELATIONSHIPS: Shape = shape(
    "check_relationships",
    "A column whose values are there in a column of another asset.",
    &[
        COLUMN,
        field("to", Filled, "Key of the other asset or source; a dependency of this one from now on.").required(),
        field("field", Label, "The column of the other. Default: the one of the same name."),
    ],
);
static ROW_COUNT: Shape = shape(
    "check_row_count",
    "How many rows there may be.",
    &[
        field("min", MANY, "At least so many."),
        field("max", MANY, "At most so many."),
        field("equals", MANY, "Exactly so many."),
        CHANGE,
    ],
);
static FRESHNESS: Shape = shape(
    "check_freshness",
    "How old the newest value of a column may be.",
    &[
        field("column", Label, "A column of dates, timestamps (without a zone: UTC) or seconds since 1970.").required(),
        field("within", Duration, "The age.").required(),
    ],
);
static SCHEMA: Shape = shape(
    "check_schema",
    "A contract: columns, and if wanted their types and order.",
    &[
        field(
            "columns",
            Either(&[COLUMNS, Map(&Text)]),
            "Names, or names with types; integer, number, text, boolean, date, timestamp and binary mean all types of that family.",
        )
        .required(),
        field("order", Boolean, "They stand in this order. Default: false."),
        field("extra", Boolean, "There may be other columns. Default: false."),
    ],
);
static RANGE: Shape = shape(
    "check_range",
    "The least and the most that a column may hold.",
    &[COLUMN, field("min", Scalar, "At least this."), field("max", Scalar, "At most this.")],
);
static REGEX: Shape = shape(
    "check_regex",
    "What the texts of a column look like.",
    &[
        COLUMN,
        field("pattern", Filled, "A regular expression that is found in each; `^` and `$` tie it to the ends.")
            .required(),
    ],
);
static LENGTH: Shape = shape(
    "check_length",
    "How many characters the texts of a column have.",
    &[
        COLUMN,
        field("min", MANY, "At least so many."),
        field("max", MANY, "At most so many."),
        field("equals", MANY, "Exactly so many."),
    ],
);
static METRIC: Shape = shape(
    "check_metric",
    "A number made of all rows, kept and compared with what it was.",
    &[
        field("value", Filled, "An SQL expression over all rows, such as `avg(total)`.").required(),
        field("min", Number, "At least this."),
        field("max", Number, "At most this."),
        field("equals", Number, "Exactly this."),
        CHANGE,
    ],
);
static COMPARE: Shape = shape(
    "check_compare",
    "Another asset that holds the same rows, in whatever order.",
    &[
        field("to", Filled, "Key of the other asset or source; a dependency of this one from now on.").required(),
        field("columns", COLUMNS, "Only these columns are compared. Default: all."),
    ],
);

pub static CHECK: Shape = shape(
    "check",
    "Something that must be true of an asset's data, looked at before it is published.",
    &[
        field("name", Label, "What it is called in messages and reports. Default: its kind with its columns."),
        field(
            "command",
            COMMAND,
            "Passes by exit status 0. A template like the asset's own command; `{{ output }}` is what is to be published.",
        ),
        field(
            "severity",
            Kind::Choice(&Choice { now: &["warn", "error"], later: &[] }),
            "error (default): what fails is not published; warn: it is, and people are told.",
        ),
        TIMEOUT,
        field("not_null", COLUMNS, "Columns that hold no null."),
        field("unique", COLUMNS, "Columns that together are unique; nulls are never the same."),
        field("accepted_values", Kind::Table(&ACCEPTED_VALUES), ACCEPTED_VALUES.about),
        field("relationships", Kind::Table(&RELATIONSHIPS), RELATIONSHIPS.about),
        field("row_count", Kind::Table(&ROW_COUNT), ROW_COUNT.about),
        field("freshness", Kind::Table(&FRESHNESS), FRESHNESS.about),
        field("schema", Kind::Table(&SCHEMA), SCHEMA.about),
        field("range", Kind::Table(&RANGE), RANGE.about),
        field("regex", Kind::Table(&REGEX), REGEX.about),
        field("length", Kind::Table(&LENGTH), LENGTH.about),
        field("expression", Filled, "An SQL expression that is false of no row. A template with `vars`."),
        field(
            "sql",
            Filled,
            "A query that finds the rows that are wrong, of assets by their keys. A template with `vars`.",
        ),
        field("metric", Kind::Table(&METRIC), METRIC.about),
        field(
            "duplicate_rows",
            Either(&[Boolean, COLUMNS]),
            "`true`: no row is there twice; or the columns that are looked at.",
        ),
        field("compare", Kind::Table(&COMPARE), COMPARE.about),
        field(
            "where",
            Filled,
            "Only the rows for which this SQL expression is true are looked at. A template with `vars`.",
        ),
        field(
            "threshold",
            Either(&[Count(0, i64::MAX), Filled]),
            "How many rows may be wrong: a number, or a share as in \"5 %\". Default: 0.",
        ),
        field(
            "blocking",
            Boolean,
            "false: what fails is published all the same, and the run still ends with exit status 4. Default: true.",
        ),
        field("sample", Count(0, 1000), "How many wrong rows are shown and kept. Default: 20."),
    ],
);

/// Kinds of check, in the order of the shape.
pub const CHECK_KINDS: [&str; 16] = [
    "command",
    "not_null",
    "unique",
    "accepted_values",
    "relationships",
    "row_count",
    "freshness",
    "schema",
    "range",
    "regex",
    "length",
    "expression",
    "sql",
    "metric",
    "duplicate_rows",
    "compare",
];
