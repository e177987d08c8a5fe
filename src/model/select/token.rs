//! Words, signs and the space between them.

use std::ops::Range;

/// A stretch of a word, as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Segment {
    pub text: String,
    pub is_quoted: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Quoted and unquoted stretches with nothing between them: `tag:k="a b"`.
    Word(Vec<Segment>),
    Plus,
    At,
    Comma,
    Open,
    Close,
    And,
    Or,
    Not,
    End,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Token {
    pub kind: Kind,
    pub at: Range<usize>,
    /// White space, or the start of the text, stands before it.
    pub after_space: bool,
}

/// The range of a quote that is not closed.
pub(super) struct Unclosed(pub Range<usize>);

/// The tokens of a text, the last one `End`.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Unclosed> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut after_space = true;
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            after_space = true;
            continue;
        }
        let start = at;
        let sign = match first {
            '+' => Some(Kind::Plus),
            '@' => Some(Kind::At),
            ',' => Some(Kind::Comma),
            '(' => Some(Kind::Open),
            ')' => Some(Kind::Close),
            _ => None,
        };
        let kind = match sign {
            Some(sign) => {
                at += 1;
                sign
            }
            None => word(text, &mut at)?,
        };
        tokens.push(Token { kind, at: start..at, after_space });
        after_space = false;
    }
    tokens.push(Token { kind: Kind::End, at: at..at, after_space });
    Ok(tokens)
}

/// Whether it ends an unquoted stretch. `@` may stand inside one: `owner:a@b.c`.
fn ends_word(it: char) -> bool {
    it.is_whitespace() || "+,()\"'".contains(it)
}

fn word(text: &str, at: &mut usize) -> Result<Kind, Unclosed> {
    let mut segments = Vec::new();
    while let Some(first) = text[*at..].chars().next() {
        if first == '"' || first == '\'' {
            segments.push(quoted(text, at, first)?);
        } else if ends_word(first) {
            break;
        } else {
            let rest = &text[*at..];
            let len = rest.find(ends_word).unwrap_or(rest.len());
            segments.push(Segment { text: rest[..len].to_owned(), is_quoted: false });
            *at += len;
        }
    }
    Ok(match &*segments {
        [Segment { text, is_quoted: false }] => match text.as_str() {
            "and" | "AND" => Kind::And,
            "or" | "OR" => Kind::Or,
            "not" | "NOT" => Kind::Not,
            _ => Kind::Word(segments),
        },
        _ => Kind::Word(segments),
    })
}

/// Between double quotes `\"` and `\\` stand for `"` and `\`; nothing is special between single ones.
fn quoted(text: &str, at: &mut usize, quote: char) -> Result<Segment, Unclosed> {
    let start = *at;
    let mut inside = String::new();
    let mut chars = text[start + 1..].char_indices().peekable();
    while let Some((offset, it)) = chars.next() {
        if it == quote {
            *at = start + 1 + offset + 1;
            return Ok(Segment { text: inside, is_quoted: true });
        }
        match chars.peek() {
            Some((_, next @ ('"' | '\\'))) if it == '\\' && quote == '"' => {
                inside.push(*next);
                chars.next();
            }
            _ => inside.push(it),
        }
    }
    Err(Unclosed(start..text.len()))
}

/// `value` as one or more segments that read as itself.
pub(super) fn written(value: &str) -> String {
    let is_plain = !value.is_empty()
        && !value.chars().any(|it| ends_word(it) || it.is_control() || it == '=' || it == '\\')
        && !["and", "AND", "or", "OR", "not", "NOT"].contains(&value);
    if is_plain { value.to_owned() } else { in_quotes(value) }
}

/// The same for a name, which could also be taken for a number of layers.
pub(super) fn written_name(name: &str) -> String {
    if name.bytes().all(|it| it.is_ascii_digit()) { in_quotes(name) } else { written(name) }
}

fn in_quotes(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', r"\\").replace('"', "\\\""))
}
