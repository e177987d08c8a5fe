//! What some engine writes and the parser does not know, put in words that it knows and that read the same: tables,
//! functions, and queries within. What a query would give is another matter: nothing is ever run as it is put here.
//!
//! A token that is left has the place that it had, so that whoever is shown it is shown what was written. What is
//! put here wrongly is at worst refused by the parser, or not seen to be wrong before the engine says so: names of
//! tables are never left out.

pub mod duckdb;
mod pivot;
mod postgres;
mod sqlite;

use sqlparser::tokenizer::{Token, TokenWithSpan};

use self::pivot::Turned;
use super::Dialect;

/// `tokens` without spaces, as the parser knows them.
pub fn plain(tokens: Vec<TokenWithSpan>, dialect: Dialect) -> Vec<TokenWithSpan> {
    let is_plain = |it: &TokenWithSpan| !matches!(it.token, Token::Whitespace(_) | Token::EOF);
    let from: Vec<TokenWithSpan> = tokens.into_iter().filter(is_plain).collect();
    let mut respelling = Respelling { from, at: 0, made: Vec::new(), around: vec![Around::default()] };
    while respelling.at < respelling.from.len() {
        let is_done = respelling.brackets()
            || respelling.standard()
            || match dialect {
                Dialect::DuckDb => respelling.duckdb(),
                Dialect::Postgres => respelling.postgres(),
                Dialect::Sqlite => respelling.sqlite(),
                _ => false,
            };
        if !is_done {
            respelling.keep();
        }
    }
    respelling.made
}

/// What is known inside of a pair of brackets.
#[derive(Default)]
struct Around {
    opened: Option<Token>,
    /// What stands before it.
    of: Option<Token>,
    /// It begins with WITH; it has got to the SELECT of a query, or to a FROM that goes before it.
    is_with: bool,
    selects: bool,
    /// It has got to a FROM and not past it.
    tables: bool,
    /// It stands where a table does, and is no query.
    is_table: bool,
    turned: Option<Turned>,
    /// Behind the `for` of `[a for b in c if d]`.
    comprehends: bool,
}

/// Goes through tokens once, from the first to the last. What takes one apart says `true` and has gone on.
struct Respelling {
    from: Vec<TokenWithSpan>,
    at: usize,
    made: Vec<TokenWithSpan>,
    /// Innermost last; never empty.
    around: Vec<Around>,
}

impl Respelling {
    /// The token that stands so far on.
    fn token(&self, on: usize) -> Option<&Token> {
        self.from.get(self.at + on).map(|it| &it.token)
    }

    fn is_token(&self, on: usize, token: &Token) -> bool {
        self.token(on) == Some(token)
    }

    /// The word that stands so far on, unless it is in quotes.
    fn is(&self, on: usize, word: &str) -> bool {
        self.token(on).is_some_and(|it| is_word(it, word))
    }

    fn is_any(&self, on: usize, words: &[&str]) -> bool {
        words.iter().any(|it| self.is(on, it))
    }

    /// What was made so long ago; 1 is the last.
    fn before(&self, back: usize) -> Option<&Token> {
        self.made.len().checked_sub(back).map(|it| &self.made[it].token)
    }

    fn came_after(&self, words: &[&str]) -> bool {
        self.before(1).is_some_and(|it| words.iter().any(|word| is_word(it, word)))
    }

    fn came_after_token(&self, token: &Token) -> bool {
        self.before(1) == Some(token)
    }

    /// Behind what may be the end of a value, and is the beginning of none.
    fn came_after_value(&self) -> bool {
        let begins = [
            "and", "as", "by", "case", "distinct", "else", "from", "having", "join", "not", "on", "or", "select",
            "then", "when", "where",
        ];
        match self.before(1) {
            Some(Token::Word(_)) => !self.came_after(&begins),
            it => {
                matches!(it, Some(Token::RParen | Token::RBracket | Token::Number(..) | Token::SingleQuotedString(_)))
            }
        }
    }

    /// Where a query may begin.
    fn is_beginning(&self) -> bool {
        self.made.is_empty() || self.came_after_token(&Token::LParen)
    }

    fn is_query(&self, on: usize) -> bool {
        self.is_any(on, &["select", "from", "with", "values"])
    }

    fn keep(&mut self) {
        self.made.push(self.from[self.at].clone());
        self.at += 1;
    }

    fn leave_out(&mut self, count: usize) -> bool {
        self.at += count;
        true
    }

    /// The next one is these instead, all in its place.
    fn put(&mut self, tokens: impl IntoIterator<Item = Token>) -> bool {
        let span = self.from[self.at].span;
        self.made.extend(tokens.into_iter().map(|token| TokenWithSpan { token, span }));
        self.leave_out(1)
    }

    fn put_words(&mut self, words: &[&str]) -> bool {
        self.put(words.iter().map(|it| Token::make_keyword(it)))
    }

    /// How many tokens a bracket holds that stands so far on, both ends with them; none, if there is a query in it.
    fn bracketed(&self, on: usize) -> Option<usize> {
        if !self.is_token(on, &Token::LParen) {
            return None;
        }
        let ends = |it: usize| self.is_token(on + it, &Token::RParen);
        let is_plain = |it: usize| !self.is_token(on + it, &Token::LParen) && !self.is_query(on + it);
        let inner = (1..).take_while(|it| self.token(on + it).is_some() && !ends(*it) && is_plain(*it)).count();
        ends(inner + 1).then_some(inner + 2)
    }

    /// How many tokens are names with commas between them, from so far on.
    fn names(&self, on: usize) -> usize {
        let is_name = |it: usize| matches!(self.token(on + it), Some(Token::Word(_)));
        if !is_name(0) {
            return 0;
        }
        let more = (0..).take_while(|it| self.is_token(on + 2 * it + 1, &Token::Comma) && is_name(2 * it + 2)).count();
        2 * more + 1
    }

    fn around(&mut self) -> &mut Around {
        self.around.last_mut().expect("never empty")
    }

    fn is_within(&self, opened: &Token) -> bool {
        self.around.last().is_some_and(|it| it.opened.as_ref() == Some(opened))
    }

    fn brackets(&mut self) -> bool {
        match self.token(0) {
            Some(token @ (Token::LParen | Token::LBracket | Token::LBrace)) => {
                let (opened, of) = (Some(token.clone()), self.before(1).cloned());
                let is_table = self.is_table();
                self.around.push(Around { opened, of, tables: is_table, is_table, ..Around::default() });
            }
            Some(Token::RParen | Token::RBracket | Token::RBrace) if self.around.len() > 1 => {
                self.around.pop();
            }
            _ => return false,
        }
        self.keep();
        true
    }

    /// Whether the bracket here holds tables: behind FROM, JOIN, or a comma between tables, or first among them.
    fn is_table(&self) -> bool {
        let within = self.around.last().expect("never empty");
        let is_first = within.is_table && self.came_after_token(&Token::LParen);
        let is_next = self.came_after(&["from", "join"]) || self.came_after_token(&Token::Comma);
        let is_there = within.tables && (is_first || is_next) && !self.compares();
        self.is_token(0, &Token::LParen) && is_there && !self.is_query(1)
    }

    /// Behind the FROM of `a is distinct from b`.
    fn compares(&self) -> bool {
        self.came_after(&["from"]) && self.before(2).is_some_and(|it| is_word(it, "distinct"))
    }

    /// What several engines know.
    fn standard(&mut self) -> bool {
        let is_frame = |count: usize| self.is(0, "exclude") && self.is_token(count, &Token::RParen);
        if self.is(0, "materialized") && self.is_token(1, &Token::LParen) && self.came_after(&["as"]) {
            self.leave_out(1)
        } else if self.is(0, "not") && self.is(1, "materialized") && self.came_after(&["as"])
            || is_frame(2) && self.is_any(1, &["group", "ties"])
        {
            self.leave_out(2)
        } else if is_frame(3) && self.is_any(1, &["current", "no"]) {
            self.leave_out(3)
        } else if self.is_any(0, &["glob", "match"]) && matches!(self.token(1), Some(Token::SingleQuotedString(_))) {
            self.put_words(&["like"])
        } else if self.is(0, "table") && self.is_beginning() && matches!(self.token(1), Some(Token::Word(_))) {
            self.put([Token::make_keyword("select"), Token::Mul, Token::make_keyword("from")])
        } else {
            false
        }
    }
}

fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(it) if it.quote_style.is_none() && it.value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use sqlparser::{ast::Statement, parser::Parser};

    use crate::model::sql::{Dialect, tables, tables::reads_of};

    fn read(text: &str, dialect: Dialect) -> String {
        let found = tables(text, dialect).unwrap_or_else(|it| panic!("{text}: {it}"));
        found.into_iter().map(|it| it.parts.join(".")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_duckdb_alone_writes_reads_what_it_says() {
        for (text, expected) in [
            ("pivot a on b using sum(c)", "a"),
            (
                "pivot a on b in (select b from more), c using sum(d) as e, max(f) group by g order by g limit 3",
                "more a",
            ),
            ("pivot a join b on a.x = b.x left join c using (y) on z using count(*)", "a b c"),
            ("pivot a using sum(b)", "a"),
            ("pivot a cross join b on c", "a b"),
            ("with a as (from b) pivot a on c using sum(d)", "b"),
            ("with a as (from b) pivot (select * from a join c using (i)) on c using sum(d)", "b c"),
            ("select * from (pivot (from a) on b using sum(c) group by d) join e using (d)", "a e"),
            ("with p as (pivot a on b using sum(c)) select * from p", "a"),
            ("from a pivot (sum(b) for c in (1, 2))", "a"),
            ("from a pivot (sum(b) as s, count(*) for c in (1, 2) group by d, \"e\") as p join f using (d)", "a f"),
            (
                "select * from (select * from a group by b) pivot (max(c) for d in (select e from f group by e) group by g)",
                "a f",
            ),
            ("pivot_wider a on b using sum(c)", "a"),
            ("unpivot a on b, c into name d value e", "a"),
            ("unpivot include nulls a on columns(* exclude (k)) into name d value e, f order by k", "a"),
            ("select * from (unpivot a on (b, c), d into name e value f, g) where f > (select max(i) from h)", "a h"),
            ("pivot_longer a on b", "a"),
            ("select (from a select max(b)), exists(from c where d), e > any(from f select g) from h", "a c f h"),
            ("select * from (from a where b > 1) join (from c select d) using (d)", "a c"),
            ("from a where b > 1 order by c", "a"),
            ("with x as (from a where b), y as (from x select c) from y where d", "a"),
            ("from a where b union all by name from c where d union from e", "a c e"),
            ("from a select extract(year from b), count(*) where c group by all", "a"),
            ("select (select max(b) from c), substring(d, 1) from a", "c a"),
            ("select b in l, c not in s.l, d in [1, 2], position('x' in e), f in (select g from h) from a", "h a"),
            ("select * from (summarize a)", "a"),
            ("select * from (describe select * from a join b using (c))", "a b"),
            ("select * from a asof join b on a.t >= b.t", "a b"),
            ("from a asof left join b using (k, t) asof join c on a.t > c.t", "a b c"),
            ("select * from a positional join b", "a b"),
            ("select [x * 2 for x in l if (x > 1)], [i + x for x, i in l], [if(y, 1, 2)] from a", "a"),
            ("select [x for x in (select list(n) from b)] from a", "b a"),
            (
                "select list_reduce(l, lambda x, y: x + y), list_filter(l, lambda z: z in (select n from b)) from a",
                "b a",
            ),
            ("select * from a using sample 10%", "a"),
            ("select * from (from a using sample reservoir(20 rows) repeatable (1)) join b using (c)", "a b"),
            ("from a tablesample 10 percent (bernoulli) join b tablesample system(5%) on a.c = b.c", "a b"),
            ("with a as materialized (from b), c as not materialized (from d) from a, c", "b d"),
            ("with recursive t(n) using key (n) as (from a union select n + 1 from t) from t", "a"),
            ("select b: c + 1, d: (select max(e) from f) from a", "f a"),
            ("select {'b': c}, l[1:2], x::integer from t: a", "a"),
            ("select * rename (b as c) from a", "a"),
            ("select * like 'b%' from a join (select * not ilike 'x' from c) on true", "a c"),
            ("select count(*) filter (b > 1), sum(c) filter (where c > 1) over () from a", "a"),
            (
                "select lag(b ignore nulls) over (order by c rows between 1 preceding and current row exclude ties) from a",
                "a",
            ),
            (
                "select sum(b) over (order by c rows 1 preceding exclude current row), max(b) over (rows 1 preceding exclude no others) from a",
                "a",
            ),
            (
                "select b ** 2, b ^@ 'c', b glob 'd*', e'\\n', 1_000, #1, timestamp_ns '2026-01-01' from a limit 10%",
                "a",
            ),
            (
                "select trim(leading from b), trim(both 'x' from c) from a where d isnull and e notnull and f not null",
                "a",
            ),
            ("select 'b'\n'c', /* /* nested */ from d */ 1 from a", "a"),
        ] {
            assert_eq!(read(text, Dialect::DuckDb), expected, "{text}");
        }
    }

    /// Such a word is a name where it stands as one.
    #[test]
    fn words_that_only_some_places_make_special_are_names_elsewhere() {
        for (text, expected) in [
            ("select pivot, unpivot, sample, key, glob, lambda, describe from a", "a"),
            ("select a.pivot, b.\"for\" from pivot a join summarize b using (id)", "pivot summarize"),
            ("select case when b then c end as filter, materialized from a as sample", "a"),
            ("select \"asof\" from \"pivot\" join \"using\" using (key, sample)", "pivot using"),
            ("select glob(b, 'c'), like(d, 'e'), filter(f, g -> g) from a", "a"),
        ] {
            assert_eq!(read(text, Dialect::DuckDb), expected, "{text}");
        }
    }

    #[test]
    fn what_postgres_and_sqlite_alone_write_reads_what_it_says() {
        for (dialect, text, expected) in [
            (Dialect::Postgres, "table a", "a"),
            (Dialect::Postgres, "select b from only (a), only (s.c) join only(d) using (e)", "a s.c d"),
            (Dialect::Postgres, "select (b).*, f(variadic c), d between symmetric 1 and 2 from only a", "a"),
            (
                Dialect::Postgres,
                "select j.id, k.* from a join b using (id) as j left join (c join d using (e, f) as \"k\") using (id), g where j.id = (select max(m) from n)",
                "a b c d g n",
            ),
            (Dialect::Postgres, "select b is json, c is not json object with unique keys and d from a", "a"),
            (Dialect::Postgres, "select sum(b) over (order by c rows 1 preceding exclude ties) from a", "a"),
            (
                Dialect::Postgres,
                "with recursive t as (select * from a union all select * from t) search depth first by n set o select * from t, b",
                "a b",
            ),
            (
                Dialect::Postgres,
                "with recursive t as (select * from a union all select * from t) cycle n, m set c to 1 default 0 using p \
                 select * from t join b using (n)",
                "a b",
            ),
            (
                Dialect::Sqlite,
                "select b is c, d is not e, f is null, g is not null, h is not distinct from i from a",
                "a",
            ),
            (
                Dialect::Sqlite,
                "select b << 1, c >> 2, d in e, f not in g, h in (1, 2), i in (select j from k) from a",
                "e g k a",
            ),
            (Dialect::Sqlite, "select * from (a, b)", "a b"),
            (
                Dialect::Sqlite,
                "select x, y from (a as c, b left join d on max(c.x, 1) in (1, 2), (e, f), (select g, h from k)) where (l, m) in n",
                "a b d e f k n",
            ),
            (
                Dialect::Sqlite,
                "select (1, 2) is distinct from (x, y), (select o from p, (q, r) order by s, (t)) from ((a, b) join c on (d, d) is not distinct from (d, d), e), (f, json_each(g, 'h'))",
                "p q r a b c e f",
            ),
            (Dialect::Sqlite, "select * from a indexed by b join c not indexed on a.d is c.d", "a c"),
            (
                Dialect::Sqlite,
                "with a as materialized (select * from b), c as not materialized (select 1) select * from a, c",
                "b",
            ),
            (Dialect::Sqlite, "select sum(b) over (order by c rows 1 preceding exclude no others) from a", "a"),
        ] {
            assert_eq!(read(text, dialect), expected, "{text}");
        }
    }

    /// What the parser understands by itself reads the same as it is put here, or is refused: whatever the names are.
    #[test]
    fn no_table_is_ever_lost() {
        let words = [
            "pivot",
            "unpivot",
            "summarize",
            "describe",
            "sample",
            "key",
            "glob",
            "lambda",
            "asof",
            "positional",
            "materialized",
            "exclude",
            "include",
            "nulls",
            "isnull",
            "leading",
            "both",
            "filter",
            "name",
            "value",
            "search",
            "cycle",
            "indexed",
            "symmetric",
            "variadic",
            "json",
            "tablesample",
            "timestamp_ns",
            "a",
            "b",
            "ties",
            "no",
            "others",
            "depth",
            "by",
            "first",
            "tables",
            "trim",
            "show",
            "similar",
            "percent",
            "rows",
            "into",
            "if",
            "for",
            "table",
            "using",
            "cross",
            "distinct",
            "group",
        ];
        let shapes = [
            "select ? from ? where ? = 1",
            "select ?, ? ? from ? ? join ? on ? = ?",
            "select ?(?) from ? group by ?",
            "select (? + ?) ? from (select ? from ? ?) ? join ? using (?, ?)",
            "with ? as (select ? from ?) select * from ? , ?",
            "select ? from ? where not ? and ? in (select ? from ?) or ? is not null",
            "select x[?] , [?, ?], {'k': ?} from ? where ?",
            "select * from ? ? , ? where ? between ? and ?",
            "select ? as ? , ? ? from ?(?) ? join ? on ?",
            "select trim(? from ?) from ?",
            "select sum(?) filter (where ?) over (partition by ? order by ? rows 1 preceding) from ?",
            "select ? from ? limit 10",
            "select ?::date, ? '2026-01-01', * from ? union select ? from ? order by ?",
            "from ? select ?",
            "select ? from ? as ?(?, ?)",
            "select * from ? join ? using (?) as ? , ?",
            "with ? (?) as ? (select ? from ?) select * from ? join ? using (?, ?) as ? (?)",
            "select * from (? ?, ? join (?, ?)) ? where ? ? from (?, ?) order by ?, (?, ?)",
            "select ? from (? join ? on ?), (? , ?(?, ?)), (select ?, ? from ?)",
            "select ? from ? ? (sum(?) as ? for ? in (?, ?) group by ?) ?, ?",
            "select ?((? ?), ? group by ?), ? from ? group by ?, ?",
        ];
        let mut seed = 1u64;
        let mut next = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % below
        };
        let mut same = 0;
        for _ in 0..15_000 {
            let mut text = String::new();
            for (at, part) in shapes[next(shapes.len())].split('?').enumerate() {
                if at > 0 {
                    text += words[next(words.len())];
                }
                text += part;
            }
            for dialect in [Dialect::DuckDb, Dialect::Postgres, Dialect::Sqlite] {
                let parsed = Parser::parse_sql(dialect.rules(), &text);
                let Ok([Statement::Query(query)]) = parsed.as_deref() else { continue };
                let Ok(alone) = reads_of(query, &text, dialect) else { continue };
                if let Ok(found) = tables(&text, dialect) {
                    assert_eq!(found, alone.tables, "{dialect:?}: {text}");
                    same += 1;
                }
            }
        }
        assert!(same > 10_000, "{same}");
    }

    /// Nothing is ever lost in it, and it always ends: what is left is parsed, or told in its place.
    #[test]
    fn what_nobody_writes_is_told_in_its_place() {
        for (text, wrong) in
            [("select [x for x in l from a", "from"), ("summarize a", "summarize"), ("from a b c", "c")]
        {
            let error = tables(text, Dialect::DuckDb).unwrap_err();
            assert_eq!(&text[error.at.clone().unwrap()], wrong, "{text}: {error}");
        }
        for text in [
            "pivot",
            "using key (",
            "from a using sample (",
            "unpivot a on b into name",
            "select [x for",
            "select lambda",
            "filter (",
            ")]}",
        ] {
            for dialect in Dialect::ALL {
                let _ = tables(text, dialect);
            }
        }
    }
}
