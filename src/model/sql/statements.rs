//! Statements that are run beside a query: what each begins with, and which cannot be.

use sqlparser::tokenizer::{Token, Tokenizer};

use super::{Dialect, SqlError, offset};

/// What would end or begin a transaction that is not theirs.
const TRANSACTION: [&str; 9] =
    ["begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "prepare"];

/// Refuses a text that is no statement, or that would meddle with the transaction in which it is run.
///
/// # Errors
/// What is wrong, with its place.
pub fn check_statements(text: &str, dialect: Dialect) -> Result<(), SqlError> {
    let tokens = Tokenizer::new(dialect.rules(), text).tokenize_with_location();
    let tokens = tokens.map_err(|it| SqlError { message: it.message, at: None })?;
    let mut is_first = true;
    let mut found = false;
    for it in tokens {
        match &it.token {
            Token::Whitespace(_) | Token::EOF => {}
            Token::SemiColon => is_first = true,
            Token::Word(word) if is_first && TRANSACTION.contains(&&*word.value.to_ascii_lowercase()) => {
                let start = offset(text, it.span.start.line, it.span.start.column);
                return Err(SqlError {
                    message: format!("{} has no place here: it is run inside of a transaction", word.value),
                    at: Some(start..start + word.value.len()),
                });
            }
            _ => (is_first, found) = (false, true),
        }
    }
    if found { Ok(()) } else { Err(SqlError { message: "there is no statement".to_owned(), at: None }) }
}

/// Each statement by itself, for engines that take one at a time. The text as it stands if it cannot be told apart.
pub fn statements(text: &str, dialect: Dialect) -> Vec<&str> {
    let Ok(tokens) = Tokenizer::new(dialect.rules(), text).tokenize_with_location() else { return vec![text] };
    let (mut found, mut start, mut is_empty) = (Vec::new(), 0, true);
    for it in &tokens {
        match it.token {
            Token::Whitespace(_) | Token::EOF => {}
            Token::SemiColon => {
                let end = offset(text, it.span.start.line, it.span.start.column);
                found.extend((!is_empty).then(|| text[start..end].trim()));
                (start, is_empty) = (end + 1, true);
            }
            _ => is_empty = false,
        }
    }
    found.extend((!is_empty).then(|| text[start..].trim()));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_apart() {
        let text = "a; 'b;' -- c;\n; ;\n/* d; */ e";
        assert_eq!(statements(text, Dialect::DuckDb), ["a", "'b;' -- c;", "/* d; */ e"]);
        assert_eq!(statements("analyze", Dialect::DuckDb), ["analyze"]);
    }

    #[test]
    fn a_transaction_is_left_alone() {
        for fine in [
            "grant select on t to reader",
            "update t set a = 'commit; rollback' -- commit",
            "do $$ begin; raise notice 'x; commit'; end $$; analyze t;",
            "create index on t (a); vacuum",
        ] {
            assert_eq!(check_statements(fine, Dialect::Postgres), Ok(()), "{fine}");
        }
        for (text, word) in [("commit", "commit"), ("analyze t; ROLLBACK", "ROLLBACK"), (" /* x */ Begin;", "Begin")] {
            let at = check_statements(text, Dialect::Postgres).unwrap_err().at.unwrap();
            assert_eq!(&text[at], word);
        }
        for text in ["", " -- nothing\n;"] {
            assert_eq!(check_statements(text, Dialect::Sqlite).unwrap_err().message, "there is no statement");
        }
    }
}
