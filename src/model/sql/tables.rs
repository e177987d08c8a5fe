//! The tables that a query reads: names that stand in a FROM, other than those of its own WITH.

use std::{collections::HashMap, ops::ControlFlow, ops::Range};

use sqlparser::{
    ast::{
        Expr, Function, FunctionArguments, Ident, ObjectName, ObjectNamePart, Query, SetExpr, SetOperator, Statement,
        TableFactor, Visit, Visitor, With,
    },
    dialect::Dialect as Rules,
    parser::{Parser, ParserError},
    tokenizer::{Token, Tokenizer},
};

use super::{
    Dialect, SqlError, offset, respelt,
    unseen::{self, Stands},
};

/// What a query reads.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Reads {
    /// Each once, in the order in which they stand.
    pub tables: Vec<TableName>,
    /// Functions that read what nobody sees, each once.
    pub unseen: Vec<TableName>,
    /// The query asks for an order of its rows.
    pub ordered: bool,
}

/// A table as it is named.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableName {
    /// `raw.orders` has two; quotes are taken off.
    pub parts: Vec<String>,
    /// Where it stands first, in bytes of the text.
    pub at: Range<usize>,
}

impl TableName {
    /// The key that it means: as it is spelt, or as databases call that table; never one of several parts, which no
    /// engine finds.
    pub fn meant<'k>(
        &self,
        exact: impl FnOnce(&str) -> Option<&'k str>,
        keys: impl IntoIterator<Item = &'k str>,
    ) -> Option<&'k str> {
        let [name] = &self.parts[..] else { return None };
        let alike = |it: &&str| it.replace('/', "_").eq_ignore_ascii_case(&name.replace('/', "_"));
        exact(name).or_else(|| keys.into_iter().find(alike))
    }
}

/// Deep enough for people, shallow enough for every stack.
const DEPTH_MAX: usize = 50;

/// What the one query in `text` reads.
///
/// # Errors
/// Anything but one query: a mistake of syntax, several statements, one that changes something.
pub fn reads(text: &str, dialect: Dialect) -> Result<Reads, SqlError> {
    reads_of(&*query(text, dialect)?, text, dialect)
}

/// The tables alone.
///
/// # Errors
/// As [`reads`].
pub fn tables(text: &str, dialect: Dialect) -> Result<Vec<TableName>, SqlError> {
    reads(text, dialect).map(|it| it.tables)
}

/// Below the top no engine keeps an order.
fn is_ordered(query: &Query) -> bool {
    let within = match &*query.body {
        SetExpr::Query(it) => is_ordered(it),
        _ => false,
    };
    query.order_by.is_some() || within
}

/// The same of a query that was parsed of `text`.
pub(super) fn reads_of(query: &Query, text: &str, dialect: Dialect) -> Result<Reads, SqlError> {
    let mut reader = Reader::of(text, dialect);
    match query.visit(&mut reader) {
        ControlFlow::Continue(()) => Ok(Reads { ordered: is_ordered(query), ..reader.found }),
        // Some databases would do it, again with every build.
        ControlFlow::Break(()) => Err(SqlError { message: "a query must not change anything".to_owned(), at: None }),
    }
}

fn parser(text: &str, dialect: Dialect) -> Result<Parser<'static>, ParserError> {
    let rules: &'static dyn Rules = if dialect == Dialect::DuckDb { &respelt::duckdb::Rules } else { dialect.rules() };
    let tokens = Tokenizer::new(rules, text).tokenize_with_location()?;
    Ok(Parser::new(rules).with_recursion_limit(DEPTH_MAX).with_tokens_with_locations(respelt::plain(tokens, dialect)))
}

/// The one query in `text`.
pub(super) fn query(text: &str, dialect: Dialect) -> Result<Box<Query>, SqlError> {
    only_query(text, parser(text, dialect).and_then(|mut it| it.parse_statements()))
}

/// The same, if the parser knows all of its words: with every name that is in it.
pub(super) fn query_as_written(text: &str, dialect: Dialect) -> Result<Box<Query>, SqlError> {
    let parser = Parser::new(dialect.rules()).with_recursion_limit(DEPTH_MAX).try_with_sql(text);
    only_query(text, parser.and_then(|mut it| it.parse_statements()))
}

fn only_query(text: &str, parsed: Result<Vec<Statement>, ParserError>) -> Result<Box<Query>, SqlError> {
    let mut statements = parsed.map_err(|error| syntax_error(text, &error.to_string()))?;
    let message = match (statements.pop(), statements.is_empty()) {
        (Some(Statement::Query(query)), true) => return Ok(query),
        (None, _) => "there is no query",
        (Some(_), true) => "this is not a query: begin with SELECT or WITH",
        (Some(_), false) => "there is more than one statement",
    };
    Err(SqlError { message: message.to_owned(), at: None })
}

/// The same for an expression, which is true or false of a row or is made of many.
///
/// # Errors
/// Anything but one whole expression.
pub fn reads_of_expression(text: &str, dialect: Dialect) -> Result<Reads, SqlError> {
    let parsed = parser(text, dialect).and_then(|mut it| {
        let expression = it.parse_expr()?;
        // What is left over would be part of the query around it.
        it.expect_token(&Token::EOF).map(|_| expression)
    });
    let expression = parsed.map_err(|error| {
        let told = syntax_error(text, &error.to_string());
        SqlError { message: told.message.replace("Expected: EOF, found:", "the expression is over before"), ..told }
    })?;
    let mut reader = Reader::of(text, dialect);
    let _ = expression.visit(&mut reader);
    Ok(reader.found)
}

/// The parser tells the place at the end of its words.
fn syntax_error(text: &str, told: &str) -> SqlError {
    let told = told.trim_start_matches("sql parser error: ");
    let place = told.rsplit_once(" at Line: ").and_then(|(message, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        let start = offset(text, line.trim().parse().ok()?, column.trim().parse().ok()?);
        let word = text[start..].find(|it: char| !(it.is_alphanumeric() || it == '_')).unwrap_or(text.len() - start);
        let one = text[start..].chars().next().map_or(0, char::len_utf8);
        Some((message.to_owned(), start..start + word.max(one)))
    });
    match place {
        Some((message, at)) => SqlError { message, at: Some(at) },
        None => {
            let end = text.trim_end().len();
            let last = text[..end].chars().next_back().map_or(0, char::len_utf8);
            SqlError { message: told.to_owned(), at: told.ends_with("EOF").then_some(end - last..end) }
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    dialect: Dialect,
    /// What the queries in a WITH see: the names before them, and their own if it is recursive.
    own: HashMap<*const Query, Vec<String>>,
    /// Every name of a WITH that is known in the queries around the place, [`folded`], innermost last.
    scopes: Vec<Vec<String>>,
    found: Reads,
}

impl<'t> Reader<'t> {
    fn of(text: &'t str, dialect: Dialect) -> Self {
        Reader { text, dialect, own: HashMap::new(), scopes: Vec::new(), found: Reads::default() }
    }

    fn add(&mut self, name: &ObjectName) {
        let Some(named) = self.named(name) else { return };
        if let [ObjectNamePart::Identifier(only)] = &name.0[..]
            && self.is_own(&folded(only, self.dialect))
        {
            return;
        }
        push_new(&mut self.found.tables, named);
    }

    fn is_own(&self, folded: &str) -> bool {
        self.scopes.last().is_some_and(|it| it.iter().any(|own| own == folded))
    }

    /// `table a`, wherever a SELECT could stand.
    fn add_named_alone(&mut self, body: &SetExpr) {
        match body {
            SetExpr::SetOperation { left, right, .. } => {
                self.add_named_alone(left);
                self.add_named_alone(right);
            }
            SetExpr::Table(it) => {
                let parts: Vec<String> = it.schema_name.iter().chain(&it.table_name).cloned().collect();
                let Some(name) = it.table_name.as_deref() else { return };
                if parts.len() == 1 && self.is_own(&folded(&Ident::new(name), self.dialect)) {
                    return;
                }
                // The parser keeps no place.
                let at = self.text.rfind(name).unwrap_or(0);
                push_new(&mut self.found.tables, TableName { parts, at: at..at + name.len() });
            }
            _ => {}
        }
    }

    /// What each query of a WITH sees: names of the queries around it, of those before it, and what else its engine lets it
    /// see.
    fn scopes_of(&mut self, with: &With, around: &[String]) -> Vec<String> {
        let names: Vec<String> = with.cte_tables.iter().map(|it| folded(&it.alias.name, self.dialect)).collect();
        for (at, cte) in with.cte_tables.iter().enumerate() {
            let sees_later = self.dialect == Dialect::Sqlite || self.dialect == Dialect::Postgres && with.recursive;
            let later = if sees_later { &names[at + 1..] } else { &[] };
            let mut seen = [around, &names[..at], later].concat();
            let first = match &*cte.query.body {
                SetExpr::SetOperation { op: SetOperator::Union, left, .. } => Some(left),
                _ => None,
            };
            let sees_itself = match self.dialect {
                Dialect::DuckDb => with.recursive && first.is_some(),
                // Which says nothing by RECURSIVE.
                Dialect::Sqlite => first.is_some(),
                _ => with.recursive,
            };
            if sees_itself {
                if let (Dialect::DuckDb | Dialect::Sqlite, Some(first)) = (self.dialect, first) {
                    // What it begins with is another table of that name.
                    let within = cte.query.with.iter().flat_map(|it| &it.cte_tables);
                    let within = within.map(|it| folded(&it.alias.name, self.dialect));
                    let mut alone = Reader::of(self.text, self.dialect);
                    alone.scopes.push(seen.iter().cloned().chain(within).collect());
                    alone.add_named_alone(first);
                    let _ = first.visit(&mut alone);
                    alone.found.tables.into_iter().for_each(|it| push_new(&mut self.found.tables, it));
                }
                seen.push(names[at].clone());
            }
            self.own.insert(std::ptr::from_ref(&*cte.query), seen);
        }
        [around, &names].concat()
    }

    fn add_call(&mut self, name: &ObjectName, stands: Stands) {
        let last = name.0.last().and_then(|it| it.as_ident());
        if last.is_some_and(|it| unseen::reads(&it.value, stands, self.dialect))
            && let Some(named) = self.named(name)
        {
            push_new(&mut self.found.unseen, named);
        }
    }

    fn named(&self, name: &ObjectName) -> Option<TableName> {
        let idents: Vec<_> = name.0.iter().filter_map(|it| it.as_ident()).collect();
        let (first, last) = (idents.first()?, idents.last()?);
        let parts = idents.iter().map(|it| it.value.clone()).collect();
        if first.span.start.line == 0 {
            // Of a name in single quotes the parser keeps no place.
            let written = first.to_string();
            let start = self.text.find(&written).unwrap_or(0);
            return Some(TableName { parts, at: start..start + written.len() });
        }
        let start = offset(self.text, first.span.start.line, first.span.start.column);
        let end = offset(self.text, last.span.end.line, last.span.end.column).max(start);
        Some(TableName { parts, at: start..end })
    }
}

/// A name of a WITH as the engine compares it with others.
fn folded(name: &Ident, dialect: Dialect) -> String {
    match (dialect, name.quote_style) {
        (Dialect::DataFusion, _) | (Dialect::Postgres | Dialect::Snowflake, Some(_)) => name.value.clone(),
        (Dialect::Snowflake, None) => name.value.to_uppercase(),
        _ => name.value.to_lowercase(),
    }
}

fn push_new(them: &mut Vec<TableName>, name: TableName) {
    if !them.iter().any(|it| it.parts == name.parts) {
        them.push(name);
    }
}

impl Visitor for Reader<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if matches!(*query.body, SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)) {
            return ControlFlow::Break(());
        }
        let names = self.own.remove(&std::ptr::from_ref(query));
        let mut names = names.or_else(|| self.scopes.last().cloned()).unwrap_or_default();
        if let Some(with) = &query.with {
            names = self.scopes_of(with, &names);
        }
        self.scopes.push(names);
        self.add_named_alone(&query.body);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args: None, .. } => self.add(name),
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                self.add_call(name, Stands::Table);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        if let Expr::Function(Function { name, args, .. }) = expression
            && *args != FunctionArguments::None
        {
            self.add_call(name, Stands::Value);
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_counts_where_it_is_that_of_the_rows() {
        let ordered = |text: &str| reads(text, Dialect::DataFusion).unwrap().ordered;
        for text in [
            "select * from t order by 1",
            "with a as (select * from t) select * from a order by n desc limit 3",
            "(select * from t order by n)",
            "select * from t union all select * from u order by n",
        ] {
            assert!(ordered(text), "{text}");
        }
        for text in [
            "select * from t limit 3",
            "select * from (select * from t order by n limit 3)",
            "with a as (select * from t order by n) select * from a",
            "select row_number() over (order by n) as r from t",
        ] {
            assert!(!ordered(text), "{text}");
        }
    }

    fn read(text: &str) -> Vec<String> {
        tables(text, Dialect::Sqlite).unwrap().into_iter().map(|it| it.parts.join(".")).collect()
    }

    #[test]
    fn tables_are_found_wherever_they_are_read() {
        for (text, expected) in [
            ("select 1", &[][..]),
            ("select * from a", &["a"]),
            ("select * from a, b join c using (x) left join a as d on true", &["a", "b", "c"]),
            (
                "select * from \"raw/orders\" where x in (select y from [b]) and exists (select 1 from `c`)",
                &["raw/orders", "b", "c"],
            ),
            ("select (select max(x) from a) from (select * from raw.b)", &["a", "raw.b"]),
            ("select * from a union all select * from b except select * from c", &["a", "b", "c"]),
            ("with a as (select * from b) select * from a join c", &["b", "c"]),
            ("with a as (select * from x), b as (select * from a) select * from B, A", &["x"]),
            ("with recursive n(i) as (select 1 union all select i + 1 from n where i < 9) select i from n", &[]),
            // A name of a WITH is known in its query only.
            ("select * from (with a as (select 1) select * from a) join a", &["a"]),
            ("with orders as (select * from orders) select * from orders", &["orders"]),
            ("select * from generate_series(1, 3)", &[]),
            ("select 'from a' -- from b\n from c /* from d */", &["c"]),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn functions_that_read_unseen_are_found_wherever_they_stand() {
        const DUCKDB: Dialect = Dialect::DuckDb;
        for (text, dialect, expected) in [
            ("select * from read_csv('raw/c.csv')", DUCKDB, &["read_csv"][..]),
            ("from Query_Table('a') x join range(3) using (i), lateral glob('*')", DUCKDB, &["Query_Table", "glob"]),
            ("select * from a where n in (select n from main.query('select 1 as n'))", DUCKDB, &["main.query"]),
            ("select * from unnest([1, 2]) u(n), generate_series(1, 3) g, a, json_each('[]') j", DUCKDB, &[]),
            ("select sum(read_csv) from a", DUCKDB, &[]),
            (
                "select pg_read_file('x'), lower(n) from dblink('a', 'b') as d(n text), crosstab3('c')",
                Dialect::Postgres,
                &["crosstab3", "dblink", "pg_read_file"],
            ),
            ("select * from own(1), jsonb_each(j), string_to_table('a', 'b')", Dialect::Postgres, &[]),
            ("select * from pragma_table_info('a')", Dialect::Sqlite, &["pragma_table_info"]),
            ("select * from (a, pragma_table_info('a'))", Dialect::Sqlite, &["pragma_table_info"]),
            ("select * from json_each('[]'), generate_series(1, 2)", Dialect::Sqlite, &[]),
        ] {
            let mut found: Vec<String> =
                reads(text, dialect).unwrap().unseen.into_iter().map(|it| it.parts.join(".")).collect();
            found.sort();
            assert_eq!(found, expected, "{text}");
        }
        let text = "select * from (select 1) where x in (select y from pg_ls_dir('.') y)";
        let at = reads(text, Dialect::Postgres).unwrap().unseen[0].at.clone();
        assert_eq!(&text[at], "pg_ls_dir");
    }

    #[test]
    fn places_are_bytes_of_the_text() {
        let text = "select 'é',\n  * from raw.orders o";
        let at = tables(text, Dialect::Sqlite).unwrap()[0].at.clone();
        assert_eq!(&text[at], "raw.orders");
        let text = "select 'é',\n  * from 'raw/c.csv' o";
        let at = tables(text, Dialect::DuckDb).unwrap()[0].at.clone();
        assert_eq!(&text[at], "'raw/c.csv'");
    }

    /// What the queries of a WITH see of each other differs from engine to engine.
    #[test]
    fn names_of_a_with_hide_tables_as_the_engine_says() {
        let all = [Dialect::DuckDb, Dialect::Postgres, Dialect::Sqlite, Dialect::DataFusion];
        for (text, expected) in [
            ("select a from t union all table b", ["b t"; 4]),
            ("with x as (select 1 as n) table b", ["b"; 4]),
            ("with x as (select 1 as n) table x", [""; 4]),
            // By its own name.
            ("with recursive b as (select * from b) select * from b", ["b", "", "b", ""]),
            ("with recursive b as (select n from b union all select n + 1 from b) select * from b", ["b", "", "b", ""]),
            ("with recursive b as (table b union all select n + 1 from b) select * from b", ["b", "", "b", ""]),
            (
                "with recursive b as (with c as (select * from d) select n from c union select n from b, c) select * from b",
                ["d"; 4],
            ),
            ("with b as (select 1 as n union all select n + 1 from b) select * from b", ["b", "b", "", "b"]),
            // By those after it.
            ("with x as (select * from y), y as (select 1) select * from x", ["y", "y", "", "y"]),
            ("with recursive x as (select * from y), y as (select 1) select * from x", ["y", "", "", "y"]),
            // By case.
            ("with B as (select 1 as x) select * from b", ["", "", "", "b"]),
            ("with \"B\" as (select 1 as x) select * from b, \"B\"", ["", "b", "", "b"]),
            ("with \"b\" as (select 1 as x) select * from B", ["", "", "", "B"]),
        ] {
            for (dialect, expected) in all.into_iter().zip(expected) {
                let found = tables(text, dialect).unwrap_or_else(|it| panic!("{dialect:?}: {text}: {it}"));
                let found: Vec<String> = found.into_iter().map(|it| it.parts.join(".")).collect();
                assert_eq!(found.join(" "), expected, "{dialect:?}: {text}");
            }
        }
    }

    #[test]
    fn only_one_query_will_do() {
        for (text, message, at) in [
            ("", "there is no query", None),
            ("drop table a", "this is not a query: begin with SELECT or WITH", None),
            ("select 1; select 2", "there is more than one statement", None),
            ("select *\nfrom a\nwhere", "Expected: an expression, found: EOF", Some("e")),
            ("select * from a where )", "Expected: an expression, found: )", Some(")")),
        ] {
            let error = tables(text, Dialect::Sqlite).unwrap_err();
            assert_eq!((error.message.as_str(), error.at.map(|it| &text[it])), (message, at), "{text}");
        }
        for change in
            ["delete from a returning *", "update a set b = 1 returning *", "insert into a values (1) returning *"]
        {
            let text = format!("with t as ({change}) select * from t");
            assert_eq!(
                tables(&text, Dialect::Postgres).unwrap_err().message,
                "a query must not change anything",
                "{change}"
            );
        }
        assert!(tables(&format!("select {}1{}", "(".repeat(5000), ")".repeat(5000)), Dialect::Sqlite).is_err());
    }
}
