//! The arguments of checks that ask the rows of a table: from what is written to a [`Rule`].
//!
//! Knows no columns: whether they are there is told by the table itself.

use crate::{
    base::{diagnostic::Diagnostic, id::Id},
    model::{
        check::{Bounds, DataCheck, Expected, Literal, Rule, Share, dialect_of},
        project::{Home, NodeId, SqlTable},
        sql::{self, Dialect, Reads, SqlError, TableName},
    },
};

use super::{
    code, duration,
    query_text::QueryScope,
    raw::{Data, Entry, Table, Value},
    resolve::Resolver,
};

/// What is being read: in whose words, and which tables it has named so far.
struct Reading {
    asset: NodeId,
    dialect: Dialect,
    tables: Vec<SqlTable>,
    homes: Vec<Home>,
}

impl Resolver<'_> {
    /// The check that `kind` asks for; `None` after a mistake.
    pub fn data_check(&mut self, asset: NodeId, kind: &Entry, table: &Table) -> Option<DataCheck> {
        let Some(dialect) = self.check_dialect(asset) else {
            let message = format!("`{}` asks the rows of a table, and this asset is none", kind.key);
            let told = Diagnostic::error(code::BAD_VALUE, message).at(kind.place).label("needs rows");
            self.report.push(told.help(
                "give it a `format` that is one (parquet, csv, jsonl, arrow), keep it in a database, or check it with a `command`",
            ));
            return None;
        };
        let mut reading = Reading { asset, dialect, tables: Vec::new(), homes: Vec::new() };
        let rule = self.rule(kind, &mut reading);
        let filter = match table.entry("where") {
            Some(entry) => Some(self.expression(&entry.value, &mut reading)?),
            None => None,
        };
        let rule = rule?;
        let useless = |key: &str, why: &str| {
            let entry = table.entry(key)?;
            let message = format!("`{key}` means nothing to `{}`", rule.kind());
            Some(Diagnostic::error(code::BAD_VALUE, message).at(entry.place).help(why))
        };
        if matches!(rule, Rule::Sql { .. } | Rule::Schema { .. }) {
            let why = if matches!(rule, Rule::Sql { .. }) { "put it into the query" } else { "it looks at no rows" };
            useless("where", why).into_iter().for_each(|it| self.report.push(it));
        }
        if rule.is_of_whole() {
            let why = "it counts rows that are wrong, and this is right or wrong as a whole";
            useless("threshold", why).into_iter().for_each(|it| self.report.push(it));
        }
        Some(DataCheck { rule, filter, dialect, tables: reading.tables, homes: reading.homes })
    }

    fn check_dialect(&mut self, asset: NodeId) -> Option<Dialect> {
        let (io, form) = *self.keepers.get(asset.index())?;
        dialect_of(self.io_kinds.get(io.index())?, form)
    }

    fn rule(&mut self, kind: &Entry, reading: &mut Reading) -> Option<Rule> {
        let value = &kind.value;
        let none = Table::default();
        let table = value.table().unwrap_or(&none);
        Some(match &*kind.key {
            "not_null" => Rule::NotNull { columns: self.columns(value)? },
            "unique" => Rule::Unique { columns: self.columns(value)? },
            "accepted_values" => {
                let column = self.column(kind)?;
                let values = self.needed(kind, "values")?.items().iter().filter_map(literal).collect();
                Rule::AcceptedValues { column, values }
            }
            "relationships" => {
                let column = self.column(kind)?;
                let to = self.needed(kind, "to")?.clone();
                let to = self.other_table(&to, reading)?;
                let field =
                    table.get("field").and_then(Value::text).map_or_else(|| column.clone(), ToString::to_string);
                Rule::Relationships { column, to, field }
            }
            "row_count" => {
                let bounds = self.bounds(kind);
                if bounds == Bounds::default() {
                    self.asks_nothing(kind, "`min`, `max`, `equals` or `change`");
                }
                Rule::RowCount { bounds }
            }
            "freshness" => {
                let column = self.column(kind)?;
                let within = duration::parse(self.needed(kind, "within")?.text()?).ok()?;
                Rule::Freshness { column, within_ms: u64::try_from(within.as_millis()).unwrap_or(u64::MAX) }
            }
            "schema" => self.contract(kind)?,
            "range" => self.range(kind)?,
            "regex" => self.regex(kind)?,
            "length" => self.length(kind)?,
            "expression" => Rule::Expression { expression: self.expression(value, reading)? },
            "sql" => Rule::Sql { query: self.check_query(value, reading)? },
            "metric" => {
                let text = self.needed(kind, "value")?.clone();
                let value = self.expression(&text, reading)?;
                // Without bounds it is only kept.
                Rule::Metric { value, bounds: self.bounds(kind) }
            }
            "duplicate_rows" => match &value.data {
                Data::Boolean(false) => {
                    let told = Diagnostic::error(code::BAD_VALUE, "a check that allows everything").at(value.place);
                    self.report.push(told.help("write `true`, or take the check out"));
                    return None;
                }
                Data::Boolean(true) => Rule::DuplicateRows { columns: Vec::new() },
                _ => Rule::DuplicateRows { columns: self.columns(value)? },
            },
            _ => {
                let to = self.needed(kind, "to")?.clone();
                let to = self.other_table(&to, reading)?;
                let columns = match table.get("columns") {
                    Some(it) => self.columns(it)?,
                    None => Vec::new(),
                };
                Rule::Compare { to, columns }
            }
        })
    }

    /// An argument that the kind cannot do without.
    fn needed<'t>(&mut self, kind: &'t Entry, key: &str) -> Option<&'t Value> {
        let found = kind.value.table()?.get(key);
        if found.is_none() {
            let told = Diagnostic::error(code::MISSING_KEY, format!("`{}` has no `{key}`", kind.key)).at(kind.place);
            self.report.push(told.label(format!("`{key}` is missing")));
        }
        found
    }

    fn column(&mut self, kind: &Entry) -> Option<String> {
        self.needed(kind, "column")?.text().map(ToString::to_string)
    }

    /// Names, each once.
    fn columns(&mut self, value: &Value) -> Option<Vec<String>> {
        let mut columns: Vec<String> = Vec::new();
        for item in value.items() {
            let name = item.text()?;
            if columns.iter().any(|it| **it == **name) {
                let told = Diagnostic::error(code::BAD_VALUE, format!("the column `{name}` is named twice"));
                self.report.push(told.at(item.place).help("take one of the two out"));
            }
            columns.push(name.to_string());
        }
        (!columns.is_empty()).then_some(columns)
    }

    fn other_table(&mut self, value: &Value, reading: &mut Reading) -> Option<String> {
        let name = value.text()?.to_string();
        let table = TableName { parts: vec![name.clone()], at: 0..0 };
        let key = self.table_key(reading.asset, &table, value.place, reading.dialect)?;
        let node = self.keys[key];
        reading.tables.push(SqlTable { name: name.clone(), node });
        Some(name)
    }

    fn bounds(&mut self, kind: &Entry) -> Bounds {
        let number = |key: &str| match kind.value.table()?.get(key)?.data {
            Data::Integer(it) => Some(it as f64),
            Data::Float(it) => Some(it),
            _ => None,
        };
        let change = kind.value.table().and_then(|it| it.get("change")).cloned();
        let change = change.map(|it| self.share(&it, "change"));
        let bounds = Bounds { min: number("min"), max: number("max"), equals: number("equals"), change };
        self.in_order(kind, bounds.min, bounds.max);
        bounds
    }

    /// A number, or a share such as `"5 %"`.
    pub fn share(&mut self, value: &Value, what: &str) -> Share {
        let share = match &value.data {
            Data::Integer(it) if *it >= 0 => Some(Share::Amount(*it as f64)),
            Data::Float(it) if *it >= 0.0 => Some(Share::Amount(*it)),
            Data::Text(it) => Share::percent(it),
            _ => None,
        };
        if share.is_none() {
            let told = Diagnostic::error(code::BAD_VALUE, format!("`{what}` is neither a number nor a share"));
            self.report.push(told.at(value.place).help("write 10, or \"5 %\""));
        }
        share.unwrap_or(Share::NONE)
    }

    fn asks_nothing(&mut self, kind: &Entry, what: &str) {
        let told = Diagnostic::error(code::MISSING_KEY, format!("`{}` asks for nothing", kind.key)).at(kind.place);
        self.report.push(told.label(format!("{what} is missing")));
    }

    fn in_order<T: PartialOrd>(&mut self, kind: &Entry, min: Option<T>, max: Option<T>) {
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            let told = Diagnostic::error(code::BAD_VALUE, "nothing is at least `min` and at most `max`").at(kind.place);
            self.report.push(told.help("`min` is larger than `max`: turn them round"));
        }
    }

    fn contract(&mut self, kind: &Entry) -> Option<Rule> {
        let value = self.needed(kind, "columns")?;
        let columns: Vec<Expected> = match &value.data {
            Data::Table(them) => {
                let typed = |it: &Entry| {
                    let kind = it.value.text().filter(|it| !it.trim().is_empty()).map(ToString::to_string);
                    Expected { name: it.key.to_string(), kind }
                };
                them.entries.iter().map(typed).collect()
            }
            _ => self.columns(value)?.into_iter().map(|name| Expected { name, kind: None }).collect(),
        };
        if columns.is_empty() {
            self.asks_nothing(kind, "a column");
        }
        let is = |key: &str| {
            matches!(kind.value.table().and_then(|it| it.get(key)).map(|it| &it.data), Some(Data::Boolean(true)))
        };
        Some(Rule::Schema { columns, order: is("order"), extra: is("extra") })
    }

    fn range(&mut self, kind: &Entry) -> Option<Rule> {
        let column = self.column(kind)?;
        let bound = |key: &str| kind.value.table()?.get(key).and_then(literal);
        let (min, max) = (bound("min"), bound("max"));
        match (&min, &max) {
            (None, None) => self.asks_nothing(kind, "`min` or `max`"),
            (Some(Literal::Text(min)), Some(Literal::Text(max))) => self.in_order(kind, Some(min), Some(max)),
            (min, max) => {
                let number = |it: &Option<Literal>| match it {
                    Some(Literal::Integer(it)) => Some(*it as f64),
                    Some(Literal::Float(it)) => Some(*it),
                    _ => None,
                };
                self.in_order(kind, number(min), number(max));
            }
        }
        Some(Rule::Range { column, min, max })
    }

    fn regex(&mut self, kind: &Entry) -> Option<Rule> {
        let column = self.column(kind)?;
        let pattern = self.needed(kind, "pattern")?;
        let text = pattern.text()?.to_string();
        if let Err(error) = regex::Regex::new(&text) {
            // The last line says what is wrong, those before it draw the pattern once more.
            let error = error.to_string();
            let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let told = Diagnostic::error(code::BAD_VALUE, format!("`pattern` is no regular expression: {why}"));
            self.report
                .push(told.at(pattern.place).help("in a TOML string in single quotes, backslashes stay what they are"));
        }
        Some(Rule::Regex { column, pattern: text })
    }

    fn length(&mut self, kind: &Entry) -> Option<Rule> {
        let column = self.column(kind)?;
        let number = |key: &str| match kind.value.table()?.get(key)?.data {
            Data::Integer(it) => u64::try_from(it).ok(),
            _ => None,
        };
        let equals = number("equals");
        let (min, max) = (number("min").or(equals), number("max").or(equals));
        if min.is_none() && max.is_none() {
            self.asks_nothing(kind, "`min`, `max` or `equals`");
        }
        self.in_order(kind, min, max);
        Some(Rule::Length { column, min, max })
    }

    /// An SQL expression, with `vars` inserted.
    fn expression(&mut self, value: &Value, reading: &mut Reading) -> Option<String> {
        self.sql_text(
            value,
            reading,
            sql::reads_of_expression,
            "write what may stand after WHERE, or between SELECT and FROM",
        )
    }

    fn check_query(&mut self, value: &Value, reading: &mut Reading) -> Option<String> {
        self.sql_text(value, reading, sql::reads, "a check is one query, whose rows are the mistakes")
    }

    fn sql_text(
        &mut self,
        value: &Value,
        reading: &mut Reading,
        parse: fn(&str, Dialect) -> Result<Reads, SqlError>,
        help: &str,
    ) -> Option<String> {
        let written = value.text()?;
        let query = self.query_text(
            written,
            value.place,
            &QueryScope { dialect: reading.dialect, env: None, model: None, cut: None, batch: false },
        )?;
        let reads = match parse(&query.text, reading.dialect) {
            Ok(reads) => reads,
            Err(error) => {
                let told = Diagnostic::error(code::BAD_SQL, error.message).at(self.place_in(&query, error.at));
                self.report.push(told.help(help));
                return None;
            }
        };
        self.unseen(reading.asset, &reads.unseen, &query);
        for table in reads.tables {
            let place = self.place_in(&query, Some(table.at.clone()));
            let Some(key) = self.table_key(reading.asset, &table, place, reading.dialect) else { continue };
            let node = self.keys[key];
            let name = table.parts.join(".");
            if !reading.tables.iter().any(|it| it.name == name) {
                reading.tables.push(SqlTable { name, node });
            }
        }
        reading.homes.extend(self.home(&query));
        Some(query.text.to_string())
    }
}

/// A value of a column.
fn literal(value: &Value) -> Option<Literal> {
    Some(match &value.data {
        Data::Text(it) => Literal::Text(it.to_string()),
        Data::Integer(it) => Literal::Integer(*it),
        Data::Float(it) => Literal::Float(*it),
        Data::Boolean(it) => Literal::Boolean(*it),
        Data::Datetime | Data::List(_) | Data::Table(_) => return None,
    })
}
