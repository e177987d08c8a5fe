//! The words of a query that an engine may not know: functions and types, and what other engines call the same.
//!
//! Knows how they are written, and no engine's list of them.

use std::ops::{ControlFlow, Range};

use sqlparser::{
    ast::{Expr, Function, ObjectName, Spanned, TableFactor, Visit, Visitor},
    tokenizer::Span,
};

use super::{Dialect, Lines, tables::query};

/// What a word is used as.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Use {
    Function,
    /// With OVER.
    WindowFunction,
    /// In a FROM.
    TableFunction,
    /// Of a CAST.
    Type,
}

/// One word, where it stands first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Word {
    /// As it is written, quotes and all.
    pub text: String,
    pub is: Use,
    /// Bytes of the text.
    pub at: Range<usize>,
}

/// Each once. Of a text that is no query nothing is known.
pub fn words(text: &str, dialect: Dialect) -> Vec<Word> {
    let mut reader = Reader { text, lines: Lines::of(text), found: Vec::new() };
    if let Ok(query) = query(text, dialect) {
        let _ = query.visit(&mut reader);
    }
    reader.found
}

struct Reader<'t> {
    text: &'t str,
    lines: Lines<'t>,
    found: Vec<Word>,
}

impl Reader<'_> {
    fn range(&self, span: Span) -> Range<usize> {
        let place = |line, column| self.lines.offset(line, column);
        place(span.start.line, span.start.column)..place(span.end.line, span.end.column)
    }

    fn add(&mut self, text: String, is: Use, at: Range<usize>) {
        if !self.found.iter().any(|it| it.is == is && it.text == text) {
            self.found.push(Word { text, is, at });
        }
    }

    /// A name with a schema is of somebody's own function.
    fn add_name(&mut self, name: &ObjectName, is: Use) {
        if let [part] = &name.0[..]
            && let Some(it) = part.as_ident()
        {
            self.add(it.to_string(), is, self.range(it.span));
        }
    }

    fn add_function(&mut self, it: &Function) {
        self.add_name(&it.name, if it.over.is_some() { Use::WindowFunction } else { Use::Function });
    }
}

impl Visitor for Reader<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        match expression {
            Expr::Function(it) => self.add_function(it),
            Expr::Cast { expr, data_type, .. } => {
                let text = data_type.to_string();
                let of = self.range(expr.span());
                // The parser forgets where a type stands: it is after what is cast.
                let first = text.split(|it: char| !it.is_alphanumeric()).next().unwrap_or_default();
                let rest = self.text.get(of.end..).unwrap_or_default().to_ascii_lowercase();
                let at = rest.find(&first.to_ascii_lowercase()).map(|it| of.end + it..of.end + it + first.len());
                self.add(text, Use::Type, at.unwrap_or(of));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                self.add_name(name, Use::TableFunction);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// What engines call one thing: the names that it has somewhere, and how it is written in each of some.
struct Same {
    names: &'static [&'static str],
    here: &'static [(Dialect, &'static str)],
}

use Dialect::{BigQuery, DataFusion, DuckDb, Postgres, Snowflake, Sqlite};

const SAME: &[Same] = &[
    Same {
        names: &["strftime", "to_char", "date_format", "format_date", "format_datetime", "format_timestamp"],
        here: &[
            (DataFusion, "to_char(moment, '%Y-%m-%d')"),
            (Sqlite, "strftime('%Y-%m-%d', moment)"),
            (Postgres, "to_char(moment, 'YYYY-MM-DD')"),
            (DuckDb, "strftime(moment, '%Y-%m-%d')"),
            (Snowflake, "to_char(moment, 'YYYY-MM-DD')"),
            (BigQuery, "format_timestamp('%Y-%m-%d', moment)"),
        ],
    },
    Same {
        names: &["ifnull", "nvl", "isnull"],
        here: &[
            (DataFusion, "coalesce(a, b)"),
            (Sqlite, "coalesce(a, b)"),
            (Postgres, "coalesce(a, b)"),
            (DuckDb, "coalesce(a, b)"),
            (Snowflake, "coalesce(a, b)"),
            (BigQuery, "coalesce(a, b)"),
        ],
    },
    Same {
        names: &["if", "iif", "iff", "decode"],
        here: &[
            (DataFusion, "case when a then b else c end"),
            (Sqlite, "case when a then b else c end"),
            (Postgres, "case when a then b else c end"),
            (DuckDb, "case when a then b else c end"),
        ],
    },
    Same {
        names: &["date_trunc", "datetime_trunc", "timestamp_trunc", "trunc_date"],
        here: &[(Sqlite, "date(moment, 'start of month')")],
    },
    Same {
        names: &["date_part", "datepart", "extract", "year", "month", "day", "hour", "dayofweek", "weekday", "epoch"],
        here: &[
            (DataFusion, "date_part('year', moment)"),
            (Sqlite, "cast(strftime('%Y', moment) as integer)"),
            (Postgres, "date_part('year', moment)"),
            (DuckDb, "date_part('year', moment)"),
        ],
    },
    Same {
        names: &["dateadd", "date_add", "timestampadd", "add_months", "date_sub"],
        here: &[
            (DataFusion, "moment + interval '1 day'"),
            (Sqlite, "date(moment, '+1 day')"),
            (Postgres, "moment + interval '1 day'"),
            (DuckDb, "moment + interval '1 day'"),
        ],
    },
    Same {
        names: &["datediff", "date_diff", "timestampdiff", "age"],
        here: &[
            (Sqlite, "julianday(later) - julianday(earlier)"),
            (Postgres, "later::date - earlier::date"),
            (DuckDb, "date_diff('day', earlier, later)"),
        ],
    },
    Same {
        names: &["to_date", "to_timestamp", "str_to_date", "strptime", "parse_date", "parse_timestamp", "try_strptime"],
        here: &[
            (DataFusion, "to_timestamp(text, '%Y-%m-%d')"),
            (Sqlite, "datetime(text)"),
            (Postgres, "to_timestamp(text, 'YYYY-MM-DD')"),
            (DuckDb, "strptime(text, '%Y-%m-%d')"),
        ],
    },
    Same {
        names: &["now", "getdate", "sysdate", "current_datetime", "datetime", "julianday", "unixepoch"],
        here: &[(Sqlite, "datetime('now')"), (DataFusion, "now()"), (Postgres, "now()"), (DuckDb, "now()")],
    },
    Same {
        names: &["group_concat", "string_agg", "listagg"],
        here: &[
            (DataFusion, "string_agg(text, ',')"),
            (Sqlite, "group_concat(text, ',')"),
            (Postgres, "string_agg(text, ',')"),
            (DuckDb, "string_agg(text, ',')"),
            (Snowflake, "listagg(text, ',')"),
        ],
    },
    Same {
        names: &["len", "char_length", "character_length", "strlen"],
        here: &[(DataFusion, "length(text)"), (Sqlite, "length(text)"), (Postgres, "length(text)")],
    },
    Same {
        names: &["instr", "strpos", "charindex", "locate", "position"],
        here: &[(DataFusion, "strpos(text, part)"), (Sqlite, "instr(text, part)"), (Postgres, "strpos(text, part)")],
    },
    Same {
        names: &["left", "right", "mid"],
        here: &[(DataFusion, "substr(text, 1, 3)"), (Sqlite, "substr(text, 1, 3)"), (Postgres, "substr(text, 1, 3)")],
    },
    Same { names: &["lpad", "rpad"], here: &[(Sqlite, "format('%5s', text)")] },
    Same { names: &["to_hex"], here: &[(Sqlite, "format('%x', n)")] },
    Same { names: &["greatest", "least"], here: &[(Sqlite, "max(a, b) or min(a, b)")] },
    Same {
        names: &["bool_or", "bool_and", "logical_or", "logical_and", "every", "any_value"],
        here: &[(Sqlite, "max(value) or min(value)"), (DataFusion, "bool_or(value)"), (Postgres, "bool_or(value)")],
    },
    Same {
        names: &["array_agg", "list", "collect_list", "json_agg", "json_group_array"],
        here: &[
            (DataFusion, "array_agg(value)"),
            (Sqlite, "json_group_array(value)"),
            (Postgres, "array_agg(value)"),
            (DuckDb, "array_agg(value)"),
        ],
    },
    Same {
        names: &["regexp_matches", "regexp_like", "regexp_contains", "rlike"],
        here: &[
            (DataFusion, "regexp_like(text, pattern)"),
            (Postgres, "text ~ pattern"),
            (DuckDb, "regexp_matches(text, pattern)"),
        ],
    },
    Same {
        names: &["regexp_split_to_array", "string_to_array", "string_split", "str_split", "split"],
        here: &[
            (DataFusion, "string_to_array(text, ',')"),
            (Postgres, "string_to_array(text, ',')"),
            (DuckDb, "string_split(text, ',')"),
        ],
    },
    Same {
        names: &["printf", "format"],
        here: &[(Sqlite, "printf('%05d', n)"), (Postgres, "format('%s', text)"), (DuckDb, "printf('%05d', n)")],
    },
    Same {
        names: &["rand", "random"],
        here: &[(DataFusion, "random()"), (Sqlite, "random()"), (Postgres, "random()"), (DuckDb, "random()")],
    },
    Same { names: &["total"], here: &[(DataFusion, "sum(n)"), (Postgres, "sum(n)"), (DuckDb, "sum(n)")] },
    // What is not called, but written.
    Same { names: &["::"], here: &[(Sqlite, "cast(value as text)")] },
    Same { names: &["ilike"], here: &[(Sqlite, "text like pattern, which looks past upper and lower case here")] },
    Same { names: &["interval"], here: &[(Sqlite, "date(moment, '+1 day')")] },
    Same {
        names: &["json", "jsonb", "uuid", "hstore", "inet", "citext", "variant", "object"],
        here: &[(DataFusion, "cast(value as text)")],
    },
    Same { names: &["money"], here: &[(DataFusion, "cast(value as decimal(18, 2))")] },
];

/// How what is called `name` elsewhere is written in `dialect`, if that is well known.
pub fn written_here(name: &str, dialect: Dialect) -> Option<&'static str> {
    let same = SAME.iter().find(|it| it.names.iter().any(|it| it.eq_ignore_ascii_case(name)))?;
    let here = same.here.iter().find(|it| it.0 == dialect)?.1;
    // What is called the same is not what is missing.
    let called = here.split('(').next().unwrap_or_default();
    (!called.eq_ignore_ascii_case(name)).then_some(here)
}

/// Every name that [`written_here`] puts in place of another: an engine must know it.
pub fn all_written_here(dialect: Dialect) -> impl Iterator<Item = &'static str> {
    SAME.iter().flat_map(|it| it.here).filter(move |it| it.0 == dialect).map(|it| it.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_wherever_they_stand() {
        let text = "with a as (select sum(x::numeric(9, 2)) as s from t)\n\
                    select lower(s), row_number() over (order by own.f(s)), extract(year from s), \"Odd\"(1),\n\
                    lower(s) from a, generate_series(1, 2) where cast(s as jsonb) is not null";
        let found = words(text, Dialect::DataFusion);
        let told: Vec<String> =
            found.iter().map(|it| format!("{:?} {} {}", it.is, it.text, &text[it.at.clone()])).collect();
        assert_eq!(
            told,
            [
                "Function sum sum",
                "Type NUMERIC(9,2) numeric",
                "Function lower lower",
                "WindowFunction row_number row_number",
                "Function \"Odd\" \"Odd\"",
                "TableFunction generate_series generate_series",
                "Type JSONB jsonb",
            ]
        );
        assert!(words("no query", Dialect::DataFusion).is_empty());
    }

    #[test]
    fn what_is_called_otherwise_elsewhere_is_known() {
        assert_eq!(written_here("STRFTIME", Dialect::Postgres), Some("to_char(moment, 'YYYY-MM-DD')"));
        assert_eq!(written_here("to_char", Dialect::Postgres), None);
        assert_eq!(written_here("frobnicate", Dialect::Postgres), None);
    }
}
