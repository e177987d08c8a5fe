//! What may be asked of the rows of an asset: the kinds of check, as data.
//!
//! Knows neither the manifest nor an engine. The serialised form of a [`Rule`] is a written form: it is
//! what state, requests and fingerprints hold, and a test pins it.

pub mod judge;
pub mod sql;

use serde::{Deserialize, Serialize};

use crate::model::{
    format::TableFormat,
    project::{Home, IoKind, SqlTable},
    sql::Dialect,
};

/// A check of rows: of which, what must be true of them, and what else is read for that.
#[derive(Clone, PartialEq, Debug)]
pub struct DataCheck {
    pub rule: Rule,
    /// Only the rows for which this is true are looked at.
    pub filter: Option<String>,
    pub dialect: Dialect,
    /// The names in it, and what they stand for; its own asset may be among them.
    pub tables: Vec<SqlTable>,
    /// The texts in it that stand in the manifest as they are.
    pub homes: Vec<Home>,
}

/// What must be true. A null is a mistake to `not_null` alone; every other kind looks past it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    NotNull {
        columns: Vec<String>,
    },
    /// No two rows have the same values in all of them.
    Unique {
        columns: Vec<String>,
    },
    AcceptedValues {
        column: String,
        values: Vec<Literal>,
    },
    /// Every value is there in the column `field` of the table `to`.
    Relationships {
        column: String,
        to: String,
        field: String,
    },
    RowCount {
        bounds: Bounds,
    },
    /// The newest value is at most so old.
    Freshness {
        column: String,
        within_ms: u64,
    },
    Schema {
        columns: Vec<Expected>,
        /// They stand in this order.
        order: bool,
        /// There may be others.
        extra: bool,
    },
    Range {
        column: String,
        min: Option<Literal>,
        max: Option<Literal>,
    },
    Regex {
        column: String,
        pattern: String,
    },
    /// Of texts, in characters.
    Length {
        column: String,
        min: Option<u64>,
        max: Option<u64>,
    },
    /// Is not false of any row.
    Expression {
        expression: String,
    },
    /// Its rows are the mistakes.
    Sql {
        query: String,
    },
    /// A number made of all rows.
    Metric {
        value: String,
        bounds: Bounds,
    },
    /// No two rows are the same; in these columns, or if there are none, in all.
    DuplicateRows {
        columns: Vec<String>,
    },
    /// The table `to` has the same rows; in these columns, or if there are none, in all.
    Compare {
        to: String,
        columns: Vec<String>,
    },
}

/// A value as it is written in the manifest.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Literal {
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
}

/// What a number may be.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub equals: Option<f64>,
    /// How far it may be from what it was in the version published before.
    pub change: Option<Share>,
}

/// So much, or so much of the whole.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    Amount(f64),
    Percent(f64),
}

/// A column of a contract.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    pub name: String,
    /// `None`: of any type.
    pub kind: Option<String>,
}

/// What came of a look at the rows.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Why it failed, in one sentence; `None` if it passed.
    pub failure: Option<String>,
    /// Rows that are wrong, or values, or columns.
    pub failing: Option<u64>,
    /// Rows that were looked at.
    pub total: Option<u64>,
    /// The number that was judged.
    pub metric: Option<f64>,
    /// The first rows that are wrong.
    pub sample: Option<Sample>,
}

impl Finding {
    /// With `redact` over everything in it that may come from rows.
    #[must_use]
    pub fn redacted(self, redact: &dyn Fn(&str) -> String) -> Finding {
        let cell = |it: Option<String>| it.map(|it| redact(&it));
        let sample = self.sample.map(|it| Sample {
            rows: it.rows.into_iter().map(|row| row.into_iter().map(cell).collect()).collect(),
            columns: it.columns.iter().map(|it| redact(it)).collect(),
        });
        Finding { failure: self.failure.map(|it| redact(&it)), sample, ..self }
    }
}

/// Rows, for people: every value as text, `None` for a null.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
}

/// Words by which SQL asks for the time, or for chance. One that is only the name of a column does no harm.
const PASSING: &[&str] = &[
    "now",
    "today",
    "yesterday",
    "tomorrow",
    "current_date",
    "current_time",
    "current_timestamp",
    "current_datetime",
    "get_current_timestamp",
    "localtime",
    "localtimestamp",
    "clock_timestamp",
    "statement_timestamp",
    "transaction_timestamp",
    "timeofday",
    "sysdate",
    "getdate",
    "julianday",
    "unixepoch",
    "strftime",
    "date",
    "datetime",
    "random",
    "rand",
    "uuid",
    "gen_random_uuid",
];

impl DataCheck {
    /// Whether it asks for nothing but the rows, those of other tables too: not for the time, and not for what was
    /// published before.
    pub fn is_of_rows_alone(&self) -> bool {
        let compares = self.rule.bounds().is_some_and(|it| it.change.is_some());
        let texts = self.filter.iter().chain(self.rule.sql());
        let mut words = texts.flat_map(|it| it.split(|it: char| !it.is_alphanumeric() && it != '_'));
        let passes = |it: &str| PASSING.iter().any(|word| word.eq_ignore_ascii_case(it));
        !compares && !matches!(self.rule, Rule::Freshness { .. }) && !words.any(passes)
    }

    /// Everything that its answer depends on, as a text.
    pub fn written(&self) -> String {
        let filter = self.filter.as_ref().map(|it| format!(" where {it}")).unwrap_or_default();
        format!("{}{filter}", self.rule.written())
    }
}

impl Rule {
    /// As the manifest calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Rule::NotNull { .. } => "not_null",
            Rule::Unique { .. } => "unique",
            Rule::AcceptedValues { .. } => "accepted_values",
            Rule::Relationships { .. } => "relationships",
            Rule::RowCount { .. } => "row_count",
            Rule::Freshness { .. } => "freshness",
            Rule::Schema { .. } => "schema",
            Rule::Range { .. } => "range",
            Rule::Regex { .. } => "regex",
            Rule::Length { .. } => "length",
            Rule::Expression { .. } => "expression",
            Rule::Sql { .. } => "sql",
            Rule::Metric { .. } => "metric",
            Rule::DuplicateRows { .. } => "duplicate_rows",
            Rule::Compare { .. } => "compare",
        }
    }

    /// The columns of the asset itself that it names, other than in a text of SQL.
    pub fn columns(&self) -> &[String] {
        match self {
            Rule::NotNull { columns }
            | Rule::Unique { columns }
            | Rule::DuplicateRows { columns }
            | Rule::Compare { columns, .. } => columns,
            Rule::AcceptedValues { column, .. }
            | Rule::Relationships { column, .. }
            | Rule::Freshness { column, .. }
            | Rule::Range { column, .. }
            | Rule::Regex { column, .. }
            | Rule::Length { column, .. } => std::slice::from_ref(column),
            Rule::RowCount { .. }
            | Rule::Schema { .. }
            | Rule::Expression { .. }
            | Rule::Sql { .. }
            | Rule::Metric { .. } => &[],
        }
    }

    /// The same, to be spelt as the table spells them.
    pub fn columns_mut(&mut self) -> &mut [String] {
        match self {
            Rule::NotNull { columns }
            | Rule::Unique { columns }
            | Rule::DuplicateRows { columns }
            | Rule::Compare { columns, .. } => columns,
            Rule::AcceptedValues { column, .. }
            | Rule::Relationships { column, .. }
            | Rule::Freshness { column, .. }
            | Rule::Range { column, .. }
            | Rule::Regex { column, .. }
            | Rule::Length { column, .. } => std::slice::from_mut(column),
            Rule::RowCount { .. }
            | Rule::Schema { .. }
            | Rule::Expression { .. }
            | Rule::Sql { .. }
            | Rule::Metric { .. } => &mut [],
        }
    }

    /// What of it is a text of SQL.
    fn sql(&self) -> Option<&String> {
        match self {
            Rule::Expression { expression: it } | Rule::Sql { query: it } | Rule::Metric { value: it, .. } => Some(it),
            _ => None,
        }
    }

    /// The other table that it reads, other than in a text of SQL.
    pub fn other(&self) -> Option<&str> {
        match self {
            Rule::Relationships { to, .. } | Rule::Compare { to, .. } => Some(to),
            _ => None,
        }
    }

    /// What the number that it judges may be.
    pub fn bounds(&self) -> Option<&Bounds> {
        match self {
            Rule::RowCount { bounds } | Rule::Metric { bounds, .. } => Some(bounds),
            _ => None,
        }
    }

    /// Judges a number, or the columns, and not row by row.
    pub fn is_of_whole(&self) -> bool {
        matches!(self, Rule::RowCount { .. } | Rule::Freshness { .. } | Rule::Schema { .. } | Rule::Metric { .. })
    }

    /// What it is called if nobody gave it a name.
    pub fn default_name(&self) -> String {
        let of = match self {
            Rule::Metric { value: it, .. } | Rule::Expression { expression: it } | Rule::Compare { to: it, .. } => {
                it.split_whitespace().collect::<Vec<_>>().join(" ")
            }
            _ => self.columns().join(", "),
        };
        let name: String = format!("{} {of}", self.kind()).chars().take(NAME_CHARACTERS_MAX).collect();
        name.trim_end().to_owned()
    }

    /// Its written form.
    pub fn written(&self) -> String {
        serde_json::to_string(self).expect("texts, finite numbers and lists of them")
    }

    /// # Errors
    /// Anything that [`written`](Self::written) does not write.
    pub fn parse(text: &str) -> Result<Rule, serde_json::Error> {
        serde_json::from_str(text)
    }
}

/// Whose SQL checks of an asset are written in; `None` where rows cannot be looked at yet.
///
/// The one place that decides where data checks can be used.
pub fn dialect_of(io: &IoKind, form: Option<TableFormat>) -> Option<Dialect> {
    match io {
        IoKind::Sqlite { .. } | IoKind::Postgres { .. } | IoKind::Adbc(_) => io.database(),
        IoKind::Fs { .. } | IoKind::ObjectStore { .. } => form.map(|_| Dialect::DataFusion),
        IoKind::Memory => None,
    }
}

impl std::fmt::Display for Literal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Literal::Boolean(it) => it.fmt(f),
            Literal::Integer(it) => it.fmt(f),
            Literal::Float(it) => it.fmt(f),
            Literal::Text(it) => it.fmt(f),
        }
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Share::Amount(it) => write!(f, "{it}"),
            Share::Percent(it) => write!(f, "{it} %"),
        }
    }
}

impl Share {
    /// Nothing at all.
    pub const NONE: Share = Share::Amount(0.0);

    /// `"5 %"`, `"5%"`; not a plain number, which the manifest writes as one.
    pub fn percent(text: &str) -> Option<Share> {
        let number: f64 = text.trim().strip_suffix('%')?.trim_end().parse().ok()?;
        (number.is_finite() && number >= 0.0).then_some(Share::Percent(number))
    }

    /// Whether `part` is at most this much of `whole`.
    pub fn allows(self, part: f64, whole: f64) -> bool {
        match self {
            Share::Amount(most) => part <= most,
            // Of nothing, nothing may be wrong.
            Share::Percent(most) => part * 100.0 <= most * whole,
        }
    }
}

/// Of a name that nobody gave.
const NAME_CHARACTERS_MAX: usize = 60;

/// Families of types, by the word that a contract may use for all of one.
const FAMILIES: [(&str, &[&str]); 7] = [
    (
        "integer",
        &[
            "int",
            "integer",
            "bigint",
            "smallint",
            "tinyint",
            "int2",
            "int4",
            "int8",
            "int16",
            "int32",
            "int64",
            "uint8",
            "uint16",
            "uint32",
            "uint64",
            "hugeint",
            "uhugeint",
            "ubigint",
            "uinteger",
            "usmallint",
            "utinyint",
            "bignum",
        ],
    ),
    (
        "number",
        &[
            "real",
            "double",
            "double precision",
            "float",
            "float4",
            "float8",
            "float32",
            "float64",
            "num",
            "numeric",
            "decimal",
        ],
    ),
    (
        "text",
        &["text", "varchar", "char", "character varying", "string", "utf8", "largeutf8", "utf8view", "bpchar", "clob"],
    ),
    ("boolean", &["bool", "boolean"]),
    ("date", &["date", "date32", "date64"]),
    (
        "timestamp",
        &[
            "timestamp",
            "timestamptz",
            "timestamp with time zone",
            "timestamp without time zone",
            "datetime",
            "timestamp_s",
            "timestamp_ms",
            "timestamp_ns",
        ],
    ),
    ("binary", &["blob", "bytea", "bytes", "binary", "largebinary", "varbinary"]),
];

/// What Postgres, DuckDB and SQL call one type; of several words the first is as it is told.
const SAME: [&[&str]; 13] = [
    &["int8", "bigint"],
    &["int4", "int", "integer"],
    &["int2", "smallint"],
    &["float4", "real"],
    &["float8", "double precision", "double"],
    &["bool", "boolean"],
    &["varchar", "character varying"],
    &["bpchar", "character", "char"],
    &["numeric", "decimal"],
    &["timestamptz", "timestamp with time zone"],
    &["timetz", "time with time zone"],
    &["time", "time without time zone"],
    &["varbit", "bit varying"],
];

/// A type by the one name that it has here, with its size as it is.
fn one_name(written: &str) -> String {
    let (bare, size) = written.split_at(written.find('(').unwrap_or(written.len()));
    let found = SAME.iter().find(|it| it.contains(&bare.trim()));
    // Before each element of a list, too, a space says nothing.
    format!("{}{}", found.map_or(bare.trim(), |it| it[0]), size.replace(", ", ","))
}

/// Whether a column of the type `found` is what a contract calls `expected`: a word for a family means
/// every type of it (`number` also whole ones), anything else exactly that type, whatever the case and by any name of it.
pub fn is_of_type(found: &str, expected: &str) -> bool {
    let (found, expected) = (found.trim().to_ascii_lowercase(), expected.trim().to_ascii_lowercase());
    let bare = found.split('(').next().unwrap_or_default().trim();
    // Sizes, scales and zones are told after it.
    let first = bare.split(' ').next().unwrap_or_default();
    let belongs = |family: &str| {
        FAMILIES.iter().any(|(name, them)| *name == family && (them.contains(&bare) || them.contains(&first)))
    };
    match expected.as_str() {
        "number" => belongs("number") || belongs("integer"),
        "integer" | "text" | "boolean" | "date" | "timestamp" | "binary" => found == expected || belongs(&expected),
        _ => one_name(&found) == one_name(&expected),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn the_written_form_is_pinned_and_read_back() {
        let bounds = Bounds { min: Some(1.0), change: Some(Share::Percent(20.0)), ..Bounds::default() };
        let text = |it: &str| it.to_owned();
        let rules = [
            Rule::NotNull { columns: vec![text("a"), text("b")] },
            Rule::AcceptedValues {
                column: text("a"),
                values: vec![
                    Literal::Text(text("1")),
                    Literal::Integer(1),
                    Literal::Float(1.0),
                    Literal::Boolean(true),
                ],
            },
            Rule::Relationships { column: text("a"), to: text("b"), field: text("c") },
            Rule::RowCount { bounds },
            Rule::Schema { columns: vec![Expected { name: text("a"), kind: None }], order: true, extra: false },
            Rule::Range { column: text("a"), min: Some(Literal::Float(0.5)), max: None },
            Rule::Metric { value: text("sum(a)"), bounds: Bounds { change: Some(Share::Amount(3.0)), ..bounds } },
            Rule::DuplicateRows { columns: vec![] },
        ];
        let written: Vec<String> = rules.iter().map(Rule::written).collect();
        expect![[r#"
            {"not_null":{"columns":["a","b"]}}
            {"accepted_values":{"column":"a","values":["1",1,1.0,true]}}
            {"relationships":{"column":"a","to":"b","field":"c"}}
            {"row_count":{"bounds":{"min":1.0,"max":null,"equals":null,"change":{"percent":20.0}}}}
            {"schema":{"columns":[{"name":"a","kind":null}],"order":true,"extra":false}}
            {"range":{"column":"a","min":0.5,"max":null}}
            {"metric":{"value":"sum(a)","bounds":{"min":1.0,"max":null,"equals":null,"change":{"amount":3.0}}}}
            {"duplicate_rows":{"columns":[]}}"#]]
        .assert_eq(&written.join("\n"));
        for (rule, text) in rules.iter().zip(&written) {
            assert_eq!(Rule::parse(text).unwrap(), *rule);
        }
    }

    #[test]
    fn a_share_is_of_the_whole_or_plain() {
        assert_eq!(Share::percent(" 5 % "), Some(Share::Percent(5.0)));
        assert_eq!(Share::percent("0.5%"), Some(Share::Percent(0.5)));
        assert_eq!(
            [Share::percent("5"), Share::percent("-1 %"), Share::percent("inf %"), Share::percent("%")],
            [None; 4]
        );
        assert!(Share::Percent(5.0).allows(5.0, 100.0) && !Share::Percent(5.0).allows(6.0, 100.0));
        assert!(Share::Percent(5.0).allows(0.0, 0.0) && !Share::Percent(50.0).allows(1.0, 0.0));
        assert!(Share::Amount(2.0).allows(2.0, 0.0) && !Share::Amount(2.0).allows(3.0, 1e9));
    }

    #[test]
    fn a_word_for_a_family_means_all_of_it() {
        for (found, expected) in [
            ("INT", "integer"),
            ("BIGINT", "Integer"),
            ("Int64", "integer"),
            ("REAL", "number"),
            ("INT", "number"),
            ("DECIMAL(10, 2)", "number"),
            ("decimal(10, 2)", "DECIMAL(10, 2)"),
            ("VARCHAR(20)", "text"),
            ("TEXT", "text"),
            ("decimal 2", "number"),
            ("timestamp UTC", "timestamp"),
            ("bytes", "binary"),
            ("int8", "bigint"),
            ("varchar(20)", "Character Varying(20)"),
            ("timestamptz", "timestamp with time zone"),
            ("UTINYINT", "utinyint"),
            ("Timestamp(Microsecond, None)", "timestamp"),
        ] {
            assert!(is_of_type(found, expected), "{found} {expected}");
        }
        for (found, expected) in
            [("REAL", "integer"), ("BIGINT", "int"), ("", "text"), ("TEXT", "varchar"), ("INT", "text")]
        {
            assert!(!is_of_type(found, expected), "{found} {expected}");
        }
    }
}
