//! Queries to Postgres that only copy: columns of one table as they are, all rows of it.
//!
//! Told from the tokens. A grammar this small has no corner in which something else is asked for, and any doubt is
//! a no: such a query is run as every other.

use sqlparser::{
    keywords::Keyword,
    tokenizer::{Token, Tokenizer, Word},
};

use super::Dialect;

/// What is no name of a column for Postgres unless it is quoted: its reserved words, as its manual lists them.
const RESERVED: &str = "all analyse analyze and any array as asc asymmetric authorization binary both case cast check \
    collate collation column concurrently constraint create cross current_catalog current_date current_role \
    current_schema current_time current_timestamp current_user default deferrable desc distinct do else end except \
    false fetch for foreign freeze from full grant group having ilike in initially inner intersect into is isnull join \
    lateral leading left like limit localtime localtimestamp natural not notnull null offset on only or order outer \
    overlaps placing primary references returning right select session_user similar some symmetric system_user table \
    tablesample then to trailing true union unique user using variadic verbose when where window with";

/// A query that only copies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copied {
    pub table: String,
    /// Which columns, in order; `None`: all of them.
    pub columns: Option<Vec<String>>,
}

/// What the query copies, if that is all that it does. Names are those that Postgres makes of them.
pub fn copied(text: &str) -> Option<Copied> {
    let tokens = Tokenizer::new(Dialect::Postgres.rules(), text).tokenize().ok()?;
    let mut tokens = tokens.iter().filter(|it| !matches!(it, Token::Whitespace(_))).peekable();
    let is = |keyword: Keyword, token: Option<&Token>| matches!(token, Some(Token::Word(it)) if it.keyword == keyword && it.quote_style.is_none());
    if !is(Keyword::SELECT, tokens.next()) {
        return None;
    }
    let columns = match tokens.next_if(|it| **it == Token::Mul) {
        Some(_) => None,
        None => {
            let mut columns = vec![name(tokens.next()?)?];
            while tokens.next_if(|it| **it == Token::Comma).is_some() {
                columns.push(name(tokens.next()?)?);
            }
            Some(columns)
        }
    };
    if !is(Keyword::FROM, tokens.next()) {
        return None;
    }
    let table = name(tokens.next()?)?;
    tokens.next_if(|it| **it == Token::SemiColon);
    tokens.all(|it| *it == Token::EOF).then_some(Copied { table, columns })
}

fn name(token: &Token) -> Option<String> {
    let Token::Word(Word { value, quote_style, .. }) = token else { return None };
    match quote_style {
        Some('"') => Some(value.clone()),
        Some(_) => None,
        // Elsewhere than in ASCII what is lower case depends on the server.
        None => value.is_ascii().then(|| value.to_ascii_lowercase()).filter(|it| !is_reserved(it)),
    }
}

fn is_reserved(word: &str) -> bool {
    RESERVED.split_whitespace().any(|it| it == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<String> {
        let it = copied(text)?;
        Some(format!("{} of {}", it.columns.map_or("all".to_owned(), |it| it.join(", ")), it.table))
    }

    #[test]
    fn columns_of_one_table_and_nothing_else() {
        assert_eq!(told("select * from raw").as_deref(), Some("all of raw"));
        assert_eq!(told("SELECT id, \"The name\"\nFROM Raw -- all\n;").as_deref(), Some("id, The name of raw"));
        for other in [
            "select * from raw where n > 1",
            "select distinct id from raw",
            "select id n from raw",
            "select id as n from raw",
            "select raw.id from raw",
            "select id from raw r",
            "select id from s.raw",
            "select id from raw, other",
            "select id from raw limit 1",
            "select *, id from raw",
            "select 1 from raw",
            "select user from raw",
            "select current_date from raw",
            "select id from only",
            "select from raw",
            "with raw as (select 1) select * from raw",
            "select * from raw; select 1",
            "table raw",
            "select * from",
            "",
        ] {
            assert_eq!(told(other), None, "{other}");
        }
    }
}
