//! Finds what a template names, and where, without running it.
//!
//! Over-approximates: a mention counts even where it would not be reached or is shadowed. That it
//! never misses one is made sure of elsewhere: a template is rendered with nothing in scope but what
//! was found here.

use std::ops::Range;

/// The first word of a lookup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Root {
    Vars,
    Env,
    Inputs,
    Outputs,
    Output,
    Project,
    Run,
    Partition,
}

impl Root {
    pub(super) const ALL: [Root; 8] =
        [Root::Vars, Root::Env, Root::Inputs, Root::Outputs, Root::Output, Root::Project, Root::Run, Root::Partition];

    pub(super) fn name(self) -> &'static str {
        match self {
            Root::Vars => "vars",
            Root::Env => "env",
            Root::Inputs => "inputs",
            Root::Outputs => "outputs",
            Root::Output => "output",
            Root::Project => "project",
            Root::Run => "run",
            Root::Partition => "partition",
        }
    }

    fn parse(word: &str) -> Option<Root> {
        Root::ALL.into_iter().find(|it| it.name() == word)
    }
}

/// One name below a root, and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Name {
    pub text: String,
    pub at: Range<usize>,
}

/// A root and the names after it, as far as they are written out. An empty path is the root as a
/// whole, or a computed name below it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Reference {
    pub root: Root,
    pub path: Vec<Name>,
    pub at: Range<usize>,
    /// It stands alone in its tag: what is inserted is its value, as it is.
    pub plain: bool,
}

impl Reference {
    /// As a person would write it.
    pub(super) fn shown(&self) -> String {
        self.path.iter().fold(self.root.name().to_owned(), |so_far, name| so_far + &written_name(&name.text))
    }

    /// The names below the root, with dots.
    pub(super) fn below(&self) -> String {
        self.path.iter().map(|it| it.text.as_str()).collect::<Vec<_>>().join(".")
    }
}

/// `.name`, or `["raw/name"]` where that is needed.
pub(super) fn written_name(name: &str) -> String {
    let is_word = name.bytes().all(is_word_byte) && !name.starts_with(|it: char| it.is_ascii_digit());
    if is_word && !name.is_empty() { format!(".{name}") } else { format!("[{name:?}]") }
}

#[derive(Debug)]
pub(super) enum Piece {
    Text(Range<usize>),
    Lookup { reference: Reference, raw: bool },
}

#[derive(Debug)]
pub(super) struct Scan {
    /// The whole template, if it is simple.
    pub pieces: Vec<Piece>,
    pub references: Vec<Reference>,
    /// Only texts and plain lookups: minijinja is not needed.
    pub simple: bool,
    /// How much of the text is inside tags, and inside the longest of them.
    pub tag_bytes: usize,
    pub tag_bytes_most: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Token<'a> {
    Word(&'a str),
    /// A string without escapes.
    Text(&'a str),
    /// A string with escapes, a number.
    Other,
    Mark(u8),
}

type Placed<'a> = (Token<'a>, Range<usize>);

pub(super) fn scan(text: &str) -> Scan {
    let mut scan = Scan { pieces: Vec::new(), references: Vec::new(), simple: true, tag_bytes: 0, tag_bytes_most: 0 };
    let mut at = 0;
    while let Some(start) = find_start(text, at) {
        if start > at {
            scan.pieces.push(Piece::Text(at..start));
        }
        let inside = start + 2;
        at = match text.as_bytes()[start + 1] {
            b'#' => {
                scan.simple = false;
                text[inside..].find("#}").map_or(text.len(), |it| inside + it + 2)
            }
            b'%' => {
                scan.simple = false;
                let (tokens, end) = tokens(text, inside, b'%');
                let is_raw = tokens.len() == 1 && tokens[0].0 == Token::Word("raw");
                scan.references.extend(references(&tokens));
                if is_raw { after_endraw(text, end) } else { end }
            }
            _ => {
                let (tokens, end) = tokens(text, inside, b'}');
                let mut found = references(&tokens);
                let lookup = simple_lookup(&tokens, &found);
                found.iter_mut().for_each(|it| it.plain = lookup.is_some());
                match lookup {
                    Some(raw) if text[..end].ends_with("}}") && scan.simple => {
                        scan.pieces.push(Piece::Lookup { reference: found[0].clone(), raw });
                    }
                    _ => scan.simple = false,
                }
                scan.references.extend(found);
                end
            }
        };
        scan.tag_bytes += at - start;
        scan.tag_bytes_most = scan.tag_bytes_most.max(at - start);
    }
    if at < text.len() {
        scan.pieces.push(Piece::Text(at..text.len()));
    }
    scan
}

fn find_start(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        at += bytes[at..].iter().position(|it| *it == b'{')?;
        if matches!(bytes.get(at + 1), Some(b'{' | b'%' | b'#')) {
            return Some(at);
        }
        at += 1;
    }
}

/// The tokens of one tag, and where the text goes on after it. `closer` stands before the last `}`.
fn tokens(text: &str, from: usize, closer: u8) -> (Vec<Placed<'_>>, usize) {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut depth = 0usize;
    let mut at = from;
    while at < bytes.len() {
        let byte = bytes[at];
        if depth == 0 && byte == closer && bytes.get(at + 1) == Some(&b'}') {
            return (tokens, at + 2);
        }
        let start = at;
        if is_word_byte(byte) {
            at += bytes[at..].iter().position(|it| !is_word_byte(*it)).unwrap_or(bytes.len() - at);
            let word = &text[start..at];
            let token = if byte.is_ascii_digit() { Token::Other } else { Token::Word(word) };
            tokens.push((token, start..at));
        } else if matches!(byte, b'"' | b'\'') {
            at = string_end(bytes, at);
            let inside = text.get(start + 1..at.saturating_sub(1)).unwrap_or("");
            let token = if inside.contains('\\') { Token::Other } else { Token::Text(inside) };
            tokens.push((token, start..at));
        } else {
            match byte {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            at += 1;
            if !byte.is_ascii_whitespace() {
                tokens.push((Token::Mark(byte), start..at));
            }
        }
    }
    (tokens, text.len())
}

/// Just after the string's closing quote, or the end of the text.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != bytes[start] {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn after_endraw(text: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(start) = text[at..].find("{%") {
        at += start + 2;
        let inside = text[at..].trim_start_matches(['-', '+']).trim_start();
        if let Some(rest) = inside.strip_prefix("endraw")
            && let Some(close) = rest.find("%}")
        {
            return text.len() - rest.len() + close + 2;
        }
    }
    text.len()
}

/// `Some(raw)` if the tag is one written-out lookup and perhaps `| raw`.
fn simple_lookup(tokens: &[Placed<'_>], found: &[Reference]) -> Option<bool> {
    let [reference] = found else { return None };
    let starts_there = tokens[0].1.start == reference.at.start;
    let rest: Vec<&Token<'_>> = tokens.iter().filter(|it| it.1.start >= reference.at.end).map(|it| &it.0).collect();
    match *rest {
        [] if starts_there => Some(false),
        [Token::Mark(b'|'), Token::Word("raw")] if starts_there => Some(true),
        _ => None,
    }
}

fn references(tokens: &[Placed<'_>]) -> Vec<Reference> {
    let mut found = Vec::new();
    for (index, (token, at)) in tokens.iter().enumerate() {
        let is_attribute = index > 0 && tokens[index - 1].0 == Token::Mark(b'.');
        if let Token::Word(word) = token
            && !is_attribute
            && let Some(root) = Root::parse(word)
        {
            let (path, end) = path(&tokens[index + 1..], at.end);
            found.push(Reference { root, path, at: at.start..end, plain: false });
        }
    }
    found
}

/// The names that follow a root, as far as each is `.name` or `["name"]`.
fn path(mut tokens: &[Placed<'_>], mut end: usize) -> (Vec<Name>, usize) {
    let mut path = Vec::new();
    loop {
        let (name, at, rest) = match tokens {
            [(Token::Mark(b'.'), _), (Token::Word(name), at), rest @ ..] => (name, at.clone(), rest),
            [(Token::Mark(b'['), _), (Token::Text(name), at), (Token::Mark(b']'), close), rest @ ..] => {
                (name, at.start..close.end, rest)
            }
            _ => return (path, end),
        };
        end = at.end;
        let at = if at.end > at.start + name.len() { at.start + 1..at.start + 1 + name.len() } else { at };
        path.push(Name { text: (*name).to_owned(), at });
        tokens = rest;
    }
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
