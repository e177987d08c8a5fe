//! The parts of a text that count: its tokens, byte for byte, without white space and plain comments.
//!
//! Two texts with one normal form mean the same to the engine; the other way round is not promised. No
//! folding of case, no rewriting: names of columns keep their case in results. Any doubt, and the text as
//! it stands is its own normal form.

use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

use super::{Dialect, offset};

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
    // What is white space beyond ASCII is told differently by every engine.
    if text.chars().any(|it| !it.is_ascii() && (it.is_whitespace() || it.is_control()) || it == '\0') {
        return None;
    }
    let found = Tokenizer::new(dialect.rules(), text).with_unescape(false).tokenize_with_location().ok()?;
    let starts: Vec<usize> = found.iter().map(|it| offset(text, it.span.start.line, it.span.start.column)).collect();
    let mut out = vec![0];
    // White space between two strings may join them, and only if it holds the end of a line.
    let (mut after_string, mut broken) = (false, false);
    for (index, token) in found.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(text.len());
        let mut piece = text.get(starts[index]..end)?;
        match &token.token {
            Token::Whitespace(space) if !counts(space) => {
                broken |= piece.contains('\n');
                continue;
            }
            Token::EOF => continue,
            // A semicolon at the end ends nothing else.
            Token::SemiColon if found[index + 1..].iter().all(|it| is_plain(&it.token)) => continue,
            _ => piece = piece.trim_end_matches([' ', '\t', '\n', '\r', '\u{c}']),
        }
        let is_string = piece.ends_with('\'');
        if after_string && piece.contains('\'') {
            out.push(if broken { 2 } else { 3 });
        }
        (after_string, broken) = (is_string, false);
        out.push(4);
        out.extend_from_slice(&(piece.len() as u64).to_le_bytes());
        out.extend_from_slice(piece.as_bytes());
    }
    Some(out)
}

fn is_plain(token: &Token) -> bool {
    match token {
        Token::Whitespace(space) => !counts(space),
        Token::EOF => true,
        _ => false,
    }
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
            "\tselect a , b from t /* a\n comment */ where x='it''s'and y<>2; -- end",
        ] {
            assert!(same(text, "select a,b from t where x='it''s' and y<>2"), "{text}");
        }
    }

    #[test]
    fn everything_else_does() {
        for (a, b) in [
            ("select a from t", "select A from t"),
            ("select a from t", "SELECT a from t"),
            ("select ab from t", "select a b from t"),
            ("select 1 - 1", "select 1 -- 1"),
            ("select a--1\n", "select a - -1"),
            ("select 'a b'", "select 'a  b'"),
            ("select '-- a'", "select '-- b'"),
            ("select \"a b\"", "select \"a  b\""),
            ("select 'a' 'b'", "select 'a''b'"),
            ("select 'a' 'b'", "select 'a'\n'b'"),
            ("select /*+ hint */ a from t", "select a from t"),
            ("select a /*! + 1 */ from t", "select a from t"),
            ("select a from t; select b from t", "select a from t select b from t"),
            ("select a <> b", "select a != b"),
            ("select 1.0", "select 1.00"),
            ("select x'00'", "select X'00'"),
            ("select\u{a0}a", "select a"),
            ("select 'open", "select  'open"),
        ] {
            assert!(!same(a, b), "{a:?} and {b:?}");
        }
    }
}
