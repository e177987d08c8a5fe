//! From text to tree. Gathers mistakes where what follows can still be read.

use std::ops::Range;

use crate::{
    base::suggest::nearest,
    model::{
        select::{
            SelectError,
            ast::{Expr, Is, Layers, Place, Test},
            token::{Kind, Segment, Token, Unclosed, tokens, written},
        },
        staleness::State,
    },
};

/// Parentheses, functions and `not`s inside each other.
const DEPTH_MAX: usize = 100;

/// Mistakes told at once.
const ERRORS_MAX: usize = 20;

const ATTRIBUTES: [&str; 11] =
    ["key", "tag", "group", "owner", "kind", "io", "path", "source", "status", "changed", "is"];

/// # Errors
/// Every mistake, in the order of the text.
pub fn parse(text: &str) -> Result<Expr, Vec<SelectError>> {
    parse_one(text, 0)
}

/// The union of several selections; of none: everything.
///
/// # Errors
/// Every mistake of every text; `argument` says which.
pub fn parse_all(texts: &[String]) -> Result<Expr, Vec<SelectError>> {
    let mut them = Vec::new();
    let mut wrong = Vec::new();
    for (argument, text) in texts.iter().enumerate() {
        match parse_one(text, argument) {
            Ok(it) => them.push(it),
            Err(errors) => wrong.extend(errors),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    Ok(match them.len() {
        0 => Expr::Everything,
        1 => them.remove(0),
        _ => Expr::Or(them),
    })
}

fn parse_one(text: &str, argument: usize) -> Result<Expr, Vec<SelectError>> {
    let tokens = tokens(text).map_err(|Unclosed(at)| {
        let quote = &text[at.start..=at.start];
        let place = Place { argument, at };
        vec![SelectError::new("this quote is not closed", &place, format!("end it with `{quote}`"))]
    })?;
    let mut parser = Parser { tokens, next: 0, argument, depth: 0, errors: Vec::new() };
    let expr = parser.selection();
    let Parser { mut errors, .. } = parser;
    errors.truncate(ERRORS_MAX);
    match expr {
        Some(expr) if errors.is_empty() => Ok(expr),
        _ => Err(errors),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    argument: usize,
    depth: usize,
    errors: Vec<SelectError>,
}

/// What a mistake stands for in the tree, so that reading can go on; the tree is thrown away.
const WRONG: Expr = Expr::Everything;

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next]
    }

    fn kind(&self) -> &Kind {
        &self.peek().kind
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        if token.kind != Kind::End {
            self.next += 1;
        }
        token
    }

    fn takes(&mut self, kind: &Kind) -> bool {
        let is_it = self.kind() == kind;
        if is_it {
            self.take();
        }
        is_it
    }

    /// The next token stands right after the one before it.
    fn is_adjacent(&self) -> bool {
        !self.peek().after_space && *self.kind() != Kind::End
    }

    fn place(&self, at: Range<usize>) -> Place {
        Place { argument: self.argument, at }
    }

    fn wrong(&mut self, at: Range<usize>, message: impl Into<String>, help: impl Into<Option<String>>) -> Expr {
        let place = self.place(at);
        self.errors.push(SelectError::new(message, &place, help));
        WRONG
    }

    /// `None` if there is nothing in it or it is nested too deep to go on.
    fn selection(&mut self) -> Option<Expr> {
        if *self.kind() == Kind::End {
            self.wrong(0..0, "the selection is empty", "`*` selects everything".to_owned());
            return None;
        }
        loop {
            let expr = self.union()?;
            let token = self.take();
            if token.kind == Kind::End {
                return Some(expr);
            }
            self.wrong(token.at, "this `)` closes nothing", "take it away, or add a `(`".to_owned());
            while self.takes(&Kind::Close) {}
            if *self.kind() == Kind::End {
                return Some(expr);
            }
        }
    }

    /// Ends before `)` or the end.
    fn union(&mut self) -> Option<Expr> {
        let mut them = vec![self.intersection()?];
        loop {
            match self.kind() {
                Kind::End | Kind::Close => break,
                Kind::Or => drop(self.take()),
                Kind::Not => {
                    let at = self.peek().at.clone();
                    let help = "write `and not` to take away, `or not` to add".to_owned();
                    self.wrong(at, "`not` needs `and` or `or` before it", help);
                }
                _ if self.is_adjacent() => {
                    let at = self.peek().at.clone();
                    let help = "put a space between for a union, a comma for an intersection".to_owned();
                    self.wrong(at, "this joins on to what is before it", help);
                }
                _ => {}
            }
            them.push(self.intersection()?);
        }
        Some(if them.len() == 1 { them.remove(0) } else { Expr::Or(them) })
    }

    fn intersection(&mut self) -> Option<Expr> {
        let mut them = vec![self.negation()?];
        while self.takes(&Kind::And) || self.takes(&Kind::Comma) {
            them.push(self.negation()?);
        }
        Some(if them.len() == 1 { them.remove(0) } else { Expr::And(them) })
    }

    fn negation(&mut self) -> Option<Expr> {
        if *self.kind() != Kind::Not {
            return self.around();
        }
        self.enter()?;
        self.take();
        let inner = self.negation()?;
        self.depth -= 1;
        Some(Expr::Not(Box::new(inner)))
    }

    fn enter(&mut self) -> Option<()> {
        if self.depth < DEPTH_MAX {
            self.depth += 1;
            return Some(());
        }
        let at = self.peek().at.clone();
        self.wrong(at, format!("the selection is nested more than {DEPTH_MAX} deep"), None);
        None
    }

    /// `2+x+1`, `@x`
    fn around(&mut self) -> Option<Expr> {
        let start = self.peek().at.start;
        let is_at = self.takes(&Kind::At);
        let up = self.layers_before();
        if up.is_some() && is_at {
            let at = start..self.peek().at.start;
            self.wrong(at, "`@` and `+` cannot stand together", "`@` goes both ways already".to_owned());
        }
        if (is_at || up.is_some()) && self.peek().after_space {
            let at = start..self.tokens[self.next - 1].at.end;
            let help = "write it right before or after a name: `+a` is upstream, `a+` downstream".to_owned();
            return Some(self.wrong(at, "this sign belongs to nothing", help));
        }
        self.refuse_more_plus(start);
        if *self.kind() == Kind::At && up.is_some() {
            let at = start..self.peek().at.end;
            self.wrong(at, "`@` and `+` cannot stand together", "`@` goes both ways already".to_owned());
            self.take();
        }
        let inner = self.operand()?;
        let down = self.layers_after(start);
        if is_at {
            if down.is_some() {
                let at = start..self.tokens[self.next - 1].at.end;
                self.wrong(at, "`@` and `+` cannot stand together", "`@` goes both ways already".to_owned());
            }
            return Some(Expr::At(Box::new(inner)));
        }
        if up.is_none() && down.is_none() {
            return Some(inner);
        }
        Some(Expr::Around { up, inner: Box::new(inner), down })
    }

    /// `+` or `2+` right before something.
    fn layers_before(&mut self) -> Option<Layers> {
        if self.takes(&Kind::Plus) {
            return Some(Layers::All);
        }
        let layers = number(self.kind())?;
        let [_, plus, after, ..] = &self.tokens[self.next..] else { return None };
        let is_prefix = plus.kind == Kind::Plus
            && !plus.after_space
            && !after.after_space
            && !matches!(after.kind, Kind::End | Kind::Close | Kind::Comma);
        if !is_prefix {
            return None;
        }
        self.next += 2;
        Some(Layers::Some(layers))
    }

    /// `++a` is how older versions of Dagster said `2+a`.
    fn refuse_more_plus(&mut self, start: usize) {
        let from = self.next;
        while *self.kind() == Kind::Plus && self.is_adjacent() {
            self.take();
        }
        if self.next > from {
            let at = start..self.tokens[self.next - 1].at.end;
            let help = format!("for {0} layers upstream write `{0}+`, for all `+`", at.len());
            self.wrong(at, "only one `+` can stand here", help);
        }
    }

    fn layers_after(&mut self, start: usize) -> Option<Layers> {
        if *self.kind() != Kind::Plus || !self.is_adjacent() {
            return None;
        }
        let first = self.take();
        let mut pluses = 1;
        while *self.kind() == Kind::Plus && self.is_adjacent() {
            self.take();
            pluses += 1;
        }
        if pluses > 1 {
            let at = first.at.start..self.tokens[self.next - 1].at.end;
            let help = format!("for {pluses} layers downstream write `+{pluses}`, for all `+`");
            self.wrong(at, "only one `+` can stand here", help);
        }
        if !self.is_adjacent() {
            return Some(Layers::All);
        }
        match number(self.kind()) {
            Some(layers) => {
                self.take();
                Some(Layers::Some(layers))
            }
            None => {
                if matches!(self.kind(), Kind::Word(_) | Kind::Open | Kind::At) {
                    let at = start..self.peek().at.end;
                    let help = "put a space before the `+` or after it: `a +b`, `a+ b`".to_owned();
                    self.wrong(at, "this `+` stands between two names", help);
                    // Read what follows as if there were a space.
                    self.tokens[self.next].after_space = true;
                }
                Some(Layers::All)
            }
        }
    }

    /// A word, a function, or something in parentheses.
    fn operand(&mut self) -> Option<Expr> {
        let token = self.peek().clone();
        match &token.kind {
            Kind::Word(segments) => {
                self.take();
                let function: Option<fn(Box<Expr>) -> Expr> = match &**segments {
                    [Segment { text, is_quoted: false }] if text == "roots" => Some(Expr::Roots),
                    [Segment { text, is_quoted: false }] if text == "sinks" => Some(Expr::Sinks),
                    _ => None,
                };
                if *self.kind() == Kind::Open && self.is_adjacent() {
                    if let Some(function) = function {
                        return Some(function(Box::new(self.parenthesised()?)));
                    }
                    let help = "functions are `roots(...)` and `sinks(...)`".to_owned();
                    self.wrong(token.at, "there is no such function", help);
                    return self.parenthesised();
                }
                Some(self.word(segments, token.at))
            }
            Kind::Open => self.parenthesised(),
            kind => {
                let after = match self.next.checked_sub(1).map(|it| &self.tokens[it].kind) {
                    Some(Kind::And) => "after this `and`",
                    Some(Kind::Comma) => "after this comma",
                    Some(Kind::Or) => "after this `or`",
                    Some(Kind::Not) => "after this `not`",
                    Some(Kind::Open) => "between these parentheses",
                    Some(Kind::Plus | Kind::At) => "after this sign",
                    _ => "before this",
                };
                let at = match (after, self.next.checked_sub(1)) {
                    ("before this", _) | (_, None) => token.at.clone(),
                    (_, Some(before)) => self.tokens[before].at.start..token.at.end,
                };
                let is_last = matches!(kind, Kind::End | Kind::Close);
                self.wrong(at, format!("something is missing {after}"), None);
                if !is_last {
                    self.take();
                    self.tokens[self.next].after_space = true;
                }
                Some(WRONG)
            }
        }
    }

    fn parenthesised(&mut self) -> Option<Expr> {
        self.enter()?;
        let open = self.take();
        let inner = self.union()?;
        if !self.takes(&Kind::Close) {
            self.wrong(open.at, "this `(` is not closed", "add a `)`".to_owned());
        }
        self.depth -= 1;
        Some(inner)
    }

    /// A name or `attribute:value`.
    fn word(&mut self, segments: &[Segment], at: Range<usize>) -> Expr {
        let first = &segments[0];
        let colon = if first.is_quoted { None } else { first.text.find(':') };
        let Some(colon) = colon else {
            let name: String = segments.iter().map(|it| it.text.as_str()).collect();
            return self.name(&name, at);
        };
        let mut value = vec![Segment { text: first.text[colon + 1..].to_owned(), is_quoted: false }];
        value.extend_from_slice(&segments[1..]);
        let attribute = first.text[..colon].to_owned();
        let text: String = value.iter().map(|it| it.text.as_str()).collect();
        if let Some(help) = foreign(&attribute, &text) {
            return self.wrong(at, format!("`{attribute}:{text}` is not known here"), help);
        }
        if text.is_empty() {
            return self.wrong(at, format!("a value is missing after `{attribute}:`"), None);
        }
        if text == "<null>" {
            let help = format!("for what has none write `not {attribute}:*`");
            return self.wrong(at, "`<null>` is not a value here", help);
        }
        if attribute == "key" {
            return self.name(&text, at);
        }
        let place = self.place(at.clone());
        let test = match attribute.as_str() {
            "tag" => match tag(&value) {
                Test::Tag(name, _) if name.is_empty() => return self.wrong(at, "the tag's name is missing", None),
                test => test,
            },
            "group" => Test::Group(text),
            "owner" => Test::Owner(text),
            "kind" => Test::Kind(text),
            "io" => Test::Io(text),
            "path" => Test::Path(text),
            "source" => Test::Source(text),
            "changed" => Test::Changed(text),
            "status" | "state" => match State::ALL.into_iter().find(|it| it.name() == text) {
                Some(state) => Test::Status(state),
                None => return self.unknown_value("status", &text, at, &State::ALL.map(State::name)),
            },
            "is" => match text.as_str() {
                "asset" | "materializable" => Test::Is(Is::Asset),
                "source" | "external" => Test::Is(Is::Source),
                _ => return self.unknown_value("is", &text, at, &["asset", "source"]),
            },
            _ => {
                let help = match nearest(&attribute, ATTRIBUTES) {
                    Some(near) => format!("did you mean `{near}:`?"),
                    None => format!("attributes are {}", listed(&ATTRIBUTES)),
                };
                return self.wrong(at, format!("there is no attribute `{attribute}`"), help);
            }
        };
        Expr::Where(test, place)
    }

    fn unknown_value(&mut self, attribute: &str, value: &str, at: Range<usize>, values: &[&str]) -> Expr {
        let help = match nearest(value, values.iter().copied()) {
            Some(near) => format!("did you mean `{attribute}:{near}`?"),
            None => format!("it is one of {}", listed(values)),
        };
        self.wrong(at, format!("`{attribute}` is never `{value}`"), help)
    }

    fn name(&mut self, name: &str, at: Range<usize>) -> Expr {
        if name == "*" {
            return Expr::Everything;
        }
        let is_fine = |it: char| it.is_ascii_alphanumeric() || "_-/*?".contains(it);
        let Some(odd) = name.chars().find(|it| !is_fine(*it)) else {
            if name.is_empty() {
                return self.wrong(at, "a name is empty", None);
            }
            let place = self.place(at);
            return Expr::Name(name.to_owned(), place);
        };
        let help = match odd {
            '&' => "write `and`, or a comma".to_owned(),
            '|' => "write `or`, or a space".to_owned(),
            '!' | '~' | '^' => format!("to take it away write `not {}`", &name[odd.len_utf8()..]),
            '.' | ':' | '\\' => "the parts of a key are joined by `/`".to_owned(),
            '[' | ']' | '{' | '}' => "wildcards are `*` (any characters) and `?` (any one)".to_owned(),
            '=' => "for a tag write `tag:name=value`".to_owned(),
            _ => "names are letters, digits, `_`, `-` and `/`, with `*` and `?` as wildcards".to_owned(),
        };
        self.wrong(at, format!("{} cannot be part of a name", written_char(odd)), help)
    }
}

/// Layers, if the word is a number. More than `u32::MAX` layers are as good as that many.
fn number(kind: &Kind) -> Option<u32> {
    match kind {
        Kind::Word(segments) => match &**segments {
            [Segment { text, is_quoted: false }] if text.bytes().all(|it| it.is_ascii_digit()) => {
                Some(text.parse().unwrap_or(u32::MAX))
            }
            _ => None,
        },
        _ => None,
    }
}

fn written_char(odd: char) -> String {
    if odd == '`' || odd.is_control() { format!("{odd:?}") } else { format!("`{odd}`") }
}

fn listed(them: &[&str]) -> String {
    them.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
}

/// The first `=` outside quotes parts name and value.
fn tag(segments: &[Segment]) -> Test {
    let mut name = String::new();
    for (index, segment) in segments.iter().enumerate() {
        if !segment.is_quoted
            && let Some((before, after)) = segment.text.split_once('=')
        {
            name += before;
            let value = after.to_owned() + &segments[index + 1..].iter().map(|it| it.text.as_str()).collect::<String>();
            return Test::Tag(name, Some(value));
        }
        name += &segment.text;
    }
    Test::Tag(name, None)
}

/// What to write instead of something that dbt, Dagster or others say.
fn foreign(attribute: &str, value: &str) -> Option<String> {
    let value = written(value);
    Some(match attribute {
        "state" if ["modified", "new", "old", "unmodified"].contains(&value.as_str()) => {
            "write `changed:GIT_REF`, for instance `changed:main`".to_owned()
        }
        "git" | "changed_in_branch" => format!("write `changed:{value}`"),
        "result" => "write `status:failed`".to_owned(),
        "fqn" | "name" | "model" | "asset" => format!("write `{value}`, or `key:{value}`"),
        "resource_type" => "write `is:asset` or `is:source`".to_owned(),
        "file" | "package" => format!("write `path:{value}`"),
        _ if attribute.starts_with("config.") => "select by `tag:`, `group:`, `owner:`, `kind:` or `io:`".to_owned(),
        _ => return None,
    })
}
