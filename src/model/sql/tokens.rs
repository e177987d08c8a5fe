//! The parts of a text that count: its tokens, byte for byte, without white space and plain comments.
//!
//! Two texts with one normal form mean the same to the engine; the other way round is not promised. The case of
//! keywords and functions does not count where that was put to the engine, that of names does: columns keep it in
//! results. No rewriting. Any doubt, and the text as it stands is its own normal form.

use std::{borrow::Cow, collections::HashSet, ops::ControlFlow};

use sqlparser::{
    ast::{
        Expr, Function, FunctionArguments, ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr, Visit,
        VisitMut, Visitor, VisitorMut,
    },
    tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace},
};

use super::{Dialect, Lines, tables::query_as_written};

/// Every token with its length before it. What is a hint or is run by some engine (`/*+`, `/*!`, `--+`) counts.
pub fn normal_form(text: &str, dialect: Dialect) -> Vec<u8> {
    tokens(text, dialect).unwrap_or_else(|| {
        let mut raw = vec![1];
        raw.extend_from_slice(text.as_bytes());
        raw
    })
}

/// `None` where tokens are not to be trusted.
fn tokens(text: &str, dialect: Dialect) -> Option<Vec<u8>> {
    // What else is white space, every engine tells differently.
    let plain = |it: char| !(it.is_whitespace() || it.is_control()) || [' ', '\t', '\n', '\r', '\u{c}'].contains(&it);
    if !text.chars().all(plain) || dialect == Dialect::Sqlite && names_columns_by_text(text) {
        return None;
    }
    let found = Tokenizer::new(dialect.rules(), text).with_unescape(false).tokenize_with_location().ok()?;
    let folded = folded(text, &found, dialect);
    let lines = Lines::of(text);
    let starts: Vec<usize> = found.iter().map(|it| lines.offset(it.span.start.line, it.span.start.column)).collect();
    let mut out = vec![0];
    let (mut last, mut last_end, mut string_end) = ("", 0, None);
    for (index, token) in found.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(text.len());
        let mut piece = text.get(starts[index]..end)?;
        match &token.token {
            // Some engines take a comment at once after an operator for more of the operator, before they know better.
            Token::Whitespace(space)
                if is_comment(space) && last_end == starts[index] && last.ends_with(is_operator) =>
            {
                return None;
            }
            Token::Whitespace(space) if !counts(space) => continue,
            Token::EOF => continue,
            // A semicolon at the end ends nothing else.
            Token::SemiColon if found[index + 1..].iter().all(|it| is_plain(&it.token)) => continue,
            _ => piece = piece.trim_end_matches([' ', '\t', '\n', '\r', '\u{c}']),
        }
        if last_end == starts[index] && run_together(last, piece) {
            return None;
        }
        // What stands between two strings may join them: the end of a line, but not with every comment, hints too.
        let before = if matches!(token.token, Token::Whitespace(_)) { None } else { string_end.take() };
        if let Some(between) = before.filter(|_| piece.contains('\'')).map(|it: usize| &text[it..starts[index]]) {
            out.push(2);
            out.extend_from_slice(&(between.len() as u64).to_le_bytes());
            out.extend_from_slice(between.as_bytes());
        }
        (last, last_end) = (piece, starts[index] + piece.len());
        if !matches!(token.token, Token::Whitespace(_)) && piece.ends_with('\'') {
            string_end = Some(last_end);
        }
        let folds = folded.is_some() && is_plain_word(&token.token);
        push(&mut out, 3, &if folds { Cow::Owned(piece.to_ascii_lowercase()) } else { Cow::Borrowed(piece) });
    }
    if let Some(Some(names)) = folded {
        push(&mut out, 4, &names);
    }
    Some(out)
}

fn push(out: &mut Vec<u8>, kind: u8, piece: &str) {
    out.push(kind);
    out.extend_from_slice(&(piece.len() as u64).to_le_bytes());
    out.extend_from_slice(piece.as_bytes());
}

fn is_plain_word(token: &Token) -> bool {
    matches!(token, Token::Word(it) if it.quote_style.is_none())
}

/// Whether the case of words that are no names can be left out, and if names have one, the query as its parser
/// writes it, with theirs.
fn folded(text: &str, tokens: &[TokenWithSpan], dialect: Dialect) -> Option<Option<String>> {
    // Others were never asked.
    let is_proven = matches!(dialect, Dialect::DataFusion | Dialect::Sqlite | Dialect::Postgres | Dialect::DuckDb);
    let has_case = |it: &TokenWithSpan| it.token.to_string().contains(|it: char| it.is_ascii_uppercase());
    if !is_proven || !tokens.iter().any(|it| is_plain_word(&it.token) && has_case(it)) {
        return None;
    }
    let lower = |it: &TokenWithSpan| match is_plain_word(&it.token) {
        true => it.token.to_string().to_ascii_lowercase(),
        false => it.token.to_string(),
    };
    let lower: String = tokens.iter().map(lower).collect();
    let (written, lower) = (written(text, dialect)?, written(&lower, dialect)?);
    Some((written != lower).then_some(written))
}

/// The query as its parser writes it, functions in lower case; `None` if the text of an expression may be the name of
/// a column.
fn written(text: &str, dialect: Dialect) -> Option<String> {
    struct Fold;
    impl VisitorMut for Fold {
        type Break = ();

        fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
            // Without parentheses it may be a column, which is called `user`.
            if let Expr::Function(Function { name: ObjectName(parts), args, .. }) = expression
                && *args != FunctionArguments::None
                && let [ObjectNamePart::Identifier(name)] = &mut parts[..]
                && name.quote_style.is_none()
            {
                name.value.make_ascii_lowercase();
            }
            ControlFlow::Continue(())
        }
    }
    let mut query = query_as_written(text, dialect).ok()?;
    if has_unnamed(&query) {
        return None;
    }
    let _ = VisitMut::visit(&mut query, &mut Fold);
    Some(query.to_string())
}

/// Whether what stands at once after something else is a part of it for some engine, as in `1_000`.
fn run_together(before: &str, after: &str) -> bool {
    let is_word = |it: char| it.is_alphanumeric() || !it.is_ascii() || "_$'\"`".contains(it);
    let (Some(last), Some(first)) = (before.chars().next_back(), after.chars().next()) else { return false };
    let is_number = |it: &str| it.trim_start_matches('.').starts_with(|it: char| it.is_ascii_digit());
    is_word(last) && is_word(first)
        || is_number(before) && (is_word(first) || first == '.')
        || last == '.' && is_number(after)
        || is_operator(last) && is_operator(first)
}

/// SQLite calls a column that is an expression without a name as that is written, white space and all.
fn names_columns_by_text(text: &str) -> bool {
    query_as_written(text, Dialect::Sqlite).map_or(true, |it| has_unnamed(&it))
}

/// Whether some column that can be seen is an expression without a name.
fn has_unnamed(query: &Query) -> bool {
    /// The queries that are values of an expression: nobody sees what their columns are called.
    struct Unnamed(HashSet<*const Select>);
    impl Unnamed {
        fn unseen(&mut self, body: &SetExpr) {
            match body {
                SetExpr::Select(it) => drop(self.0.insert(std::ptr::from_ref(&**it))),
                SetExpr::Query(it) => self.unseen(&it.body),
                SetExpr::SetOperation { left, right, .. } => [left, right].into_iter().for_each(|it| self.unseen(it)),
                _ => {}
            }
        }
    }
    impl Visitor for Unnamed {
        type Break = ();

        fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
            if let Expr::Subquery(it) | Expr::InSubquery { subquery: it, .. } | Expr::Exists { subquery: it, .. } =
                expression
            {
                self.unseen(&it.body);
            }
            ControlFlow::Continue(())
        }

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            if self.0.contains(&std::ptr::from_ref(select)) {
                return ControlFlow::Continue(());
            }
            let unnamed = |it: &SelectItem| match it {
                // What is in double quotes may turn out to be a string.
                SelectItem::UnnamedExpr(Expr::Identifier(it)) => it.quote_style.is_some(),
                SelectItem::UnnamedExpr(it) => !matches!(it, Expr::CompoundIdentifier(_)),
                _ => false,
            };
            if select.projection.iter().any(unnamed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    Visit::visit(query, &mut Unnamed(HashSet::new())).is_break()
}

fn is_plain(token: &Token) -> bool {
    match token {
        Token::Whitespace(space) => !counts(space),
        Token::EOF => true,
        _ => false,
    }
}

fn is_comment(space: &Whitespace) -> bool {
    matches!(space, Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_))
}

fn is_operator(it: char) -> bool {
    "+-*/<>=~!@#%^&|`?:".contains(it)
}

fn counts(space: &Whitespace) -> bool {
    match space {
        Whitespace::Space | Whitespace::Newline | Whitespace::Tab => false,
        Whitespace::SingleLineComment { comment, .. } => comment.starts_with('+'),
        Whitespace::MultiLineComment(comment) => ["+", "!", "M!"].iter().any(|it| comment.starts_with(it)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        normal_form(a, Dialect::Sqlite) == normal_form(b, Dialect::Sqlite)
    }

    #[test]
    fn form_does_not_count() {
        for text in [
            "select a,b from t where x='it''s' and y<>2",
            "select a, b\n  from t -- why\n where x = 'it''s' and y <> 2 ;\n",
            "\tselect a , b from t /* a\n comment */ where x='it''s' and y<>2; -- end",
            "SELECT a,b From t where x='it''s' AND y<>2",
        ] {
            assert!(same(text, "select a,b from t where x='it''s' and y<>2"), "{text}");
        }
    }

    #[test]
    fn the_case_of_keywords_and_functions_does_not_count() {
        for (a, b) in [
            ("select sum(a) as s from t", "SELECT SUM(a) AS s FROM t"),
            ("select sum(a) as S from t", "Select Sum(a) As S From t"),
            (
                "select cast(a as bigint) as n from t where b is null",
                "select CAST(a AS BigInt) as n from t where b IS NULL",
            ),
            ("select a from t where a >= (select max(a) from t)", "SELECT a FROM t WHERE a >= (SELECT MAX(a) FROM t)"),
            ("select row_number() over (order by a) as n from t", "select ROW_NUMBER() OVER (ORDER BY a) as n from t"),
        ] {
            for dialect in Dialect::ALL {
                let is_asked = !matches!(dialect, Dialect::Snowflake | Dialect::BigQuery | Dialect::Ansi);
                assert_eq!(normal_form(a, dialect) == normal_form(b, dialect), is_asked, "{a} and {b} {dialect:?}");
            }
        }
    }

    #[test]
    fn everything_else_does() {
        for (a, b) in [
            ("select a from t", "select A from t"),
            ("select sum(a) as s from t", "select sum(a) as S from t"),
            ("select sum(a) as s from t", "SELECT sum(A) as s from t"),
            ("select sum(a) from t", "select SUM(a) from t"),
            ("select * from (select sum(a) from t) x", "select * from (select SUM(a) from t) x"),
            (
                "select 1 in (select x.* from (select sum(a) from t) x) as y",
                "select 1 in (select x.* from (select SUM(a) from t) x) as y",
            ),
            ("select user as a from t", "select USER as a from t"),
            ("select current_date as a from t", "SELECT Current_Date as a from t"),
            ("select 'a' as b from t", "SELECT 'A' as b from t"),
            ("select \"a\" as b from t", "SELECT \"A\" as b from t"),
            ("with sum as (select a from t) select * from sum", "with Sum as (select a from t) select * from sum"),
            ("select ab from t", "select a b from t"),
            ("select 1 - 1", "select 1 -- 1"),
            ("select a--1\n", "select a - -1"),
            ("select 'a b'", "select 'a  b'"),
            ("select '-- a'", "select '-- b'"),
            ("select \"a b\"", "select \"a  b\""),
            ("select 'a' 'b'", "select 'a''b'"),
            ("select 'a' 'b'", "select 'a'\n'b'"),
            ("select 'a' --+ h\n'b'", "select 'a' --+ h\n/* c */ 'b'"),
            ("select /*+ hint */ a from t", "select a from t"),
            ("select a /*! + 1 */ from t", "select a from t"),
            ("select a from t; select b from t", "select a from t select b from t"),
            ("select a <> b", "select a != b"),
            ("select 1.0", "select 1.00"),
            ("select x'00'", "select X'00'"),
            ("select\u{a0}a", "select a"),
            ("select 'open", "select  'open"),
            ("select a+1 from t", "select a + 1 from t"),
            ("select * from (select count(*) from t)", "select * from (select count( * ) from t)"),
            ("select a\u{b}from t", "select a from t"),
            ("select x -> a", "select x ->/* c */ a"),
            ("select x -> +1", "select x ->+1"),
        ] {
            assert!(!same(a, b), "{a:?} and {b:?}");
        }
    }
}
