//! Inserts values into a command for `sh`, quoted so that each stays the value it is.
//!
//! How a value has to be quoted depends on where it stands: `{{ x }}`, `"{{ x }}"` and
//! `'{{ x }}'` each need something else. So what the author wrote is read along, as far as quotes,
//! substitutions, comments and here-documents go. Where no quoting would be right, a value that needs
//! some is refused.

use crate::model::template::{Quoting, TemplateError};

/// Frames of a value inside a rendered text. No value holds NUL: the kernel has no way to pass it.
pub(super) const VALUE_START: &str = "\0<";
pub(super) const VALUE_END: &str = "\0>";

/// Puts a text together from what the author wrote and what is inserted.
pub(super) struct Writer {
    quoting: Quoting,
    out: String,
    reader: Reader,
    /// A number was inserted last: before `>` it would be taken for a file descriptor.
    after_number: bool,
}

impl Writer {
    pub(super) fn new(quoting: Quoting) -> Self {
        Writer { quoting, out: String::new(), reader: Reader::default(), after_number: false }
    }

    pub(super) fn literal(&mut self, text: &str) {
        if self.after_number && text.starts_with(['<', '>']) && self.reader.is_in_command() {
            self.out.push_str("''");
        }
        self.after_number &= text.is_empty();
        self.out.push_str(text);
        if self.quoting == Quoting::Shell {
            text.chars().for_each(|it| self.reader.read(it));
        }
    }

    /// Inserts a value that the author wants the shell to read.
    pub(super) fn raw(&mut self, value: &str) -> Result<(), TemplateError> {
        self.literal(value);
        Ok(())
    }

    pub(super) fn value(&mut self, value: &str) -> Result<(), TemplateError> {
        if self.quoting == Quoting::AsIs {
            self.out.push_str(value);
            return Ok(());
        }
        if value.contains('\0') {
            return Err(nul_in_value("an inserted value"));
        }
        match self.reader.insert(value) {
            Ok(quoted) => {
                self.out.push_str(&quoted);
                self.after_number = value.bytes().all(|it| it.is_ascii_digit());
            }
            Err(Refused { place, help }) => {
                let message = format!("a value cannot be inserted safely {place}");
                return Err(TemplateError::new(message, None).help(help));
            }
        }
        Ok(())
    }

    /// The text.
    ///
    /// # Errors
    /// A value took part in the end of a here-document.
    pub(super) fn finish(mut self) -> Result<String, TemplateError> {
        self.reader.end_line();
        if self.reader.is_broken {
            let message = "an inserted value would end the here-document that it stands in";
            return Err(TemplateError::new(message, None).help("give the here-document another end word"));
        }
        Ok(self.out)
    }
}

/// Quotes the framed values of a rendered text.
pub(super) fn quote_framed(text: &str) -> Result<String, TemplateError> {
    let mut out = Writer::new(Quoting::Shell);
    let mut parts = text.split(VALUE_START);
    out.literal(parts.next().unwrap_or(""));
    for part in parts {
        let Some((value, literal)) = part.split_once(VALUE_END) else {
            return Err(TemplateError::new("a captured block that holds values cannot be cut", None));
        };
        out.value(value)?;
        out.literal(literal);
    }
    out.finish()
}

pub(super) fn nul_in_value(what: &str) -> TemplateError {
    TemplateError::new(format!("{what} holds a NUL byte, which no command can be given"), None)
}

/// What a character stands in.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Context {
    /// Commands and their words.
    Command(Opened),
    Single,
    Double,
    Comment,
    Backquote,
    /// `${`
    Brace,
    /// `$((`, with the parentheses that are open.
    Arithmetic(usize),
    /// The word after `<<`.
    EndWord(Document),
    HereDocument(Document),
}

/// What commands stand in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Opened {
    Nothing,
    /// `(`
    Subshell,
    /// `$(`
    Substitution,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Document {
    end: String,
    /// Nothing is expanded in it.
    is_quoted: bool,
    strips_tabs: bool,
    /// The line so far, values included.
    line: String,
    holds_value: bool,
    open_quote: Option<char>,
}

struct Refused {
    place: &'static str,
    help: &'static str,
}

/// Reads a command along, one character at a time.
#[derive(Debug, Default)]
struct Reader {
    /// What the innermost context stands in; at the bottom always `Command`.
    outer: Vec<Context>,
    inner: Context,
    /// The character before was an unquoted backslash.
    is_escaped: bool,
    /// The character before was an unquoted `$`.
    after_dollar: bool,
    /// The character before opened what `inner` is.
    after_open: bool,
    /// How many `<` stand right before.
    less: usize,
    /// The unquoted word so far.
    word: String,
    /// Something has been begun that is not `word`: a quote, a value.
    in_word: bool,
    documents: Vec<Document>,
    /// It can no longer be said what stands in what.
    is_lost: bool,
    /// A value took part in a line that ends a here-document.
    is_broken: bool,
}

impl Default for Context {
    fn default() -> Self {
        Context::Command(Opened::Nothing)
    }
}

impl Reader {
    fn is_in_command(&self) -> bool {
        matches!(self.inner, Context::Command(_))
    }

    fn push(&mut self, context: Context) {
        self.outer.push(std::mem::replace(&mut self.inner, context));
    }

    fn pop(&mut self) {
        self.inner = self.outer.pop().unwrap_or_default();
    }

    fn read(&mut self, it: char) {
        let (is_escaped, after_dollar) = (self.is_escaped, self.after_dollar);
        (self.is_escaped, self.after_dollar) = (false, false);
        let after_open = std::mem::take(&mut self.after_open);
        match &mut self.inner {
            // A backslash before the end of a line joins lines, and is no part of a word.
            Context::Command(_) if is_escaped => self.in_word |= it != '\n',
            Context::Command(_) => self.read_command(it, after_dollar, after_open),
            Context::Single => {
                if it == '\'' {
                    self.pop();
                }
            }
            Context::Comment => {
                if it == '\n' {
                    self.pop();
                    self.read_command(it, false, false);
                }
            }
            Context::Backquote => match it {
                '\\' if !is_escaped => self.is_escaped = true,
                '`' if !is_escaped => self.pop(),
                _ => {}
            },
            Context::Double | Context::Brace if is_escaped => {}
            Context::Double => match it {
                '"' => self.pop(),
                _ => self.read_expansion(it, after_dollar),
            },
            Context::Brace => match it {
                '}' => self.pop(),
                // Shells do not agree on what quotes mean in `"${x:-...}"`.
                '"' | '\'' if self.outer.contains(&Context::Double) => self.is_lost = true,
                '"' => self.push(Context::Double),
                '\'' => self.push(Context::Single),
                _ => self.read_expansion(it, after_dollar),
            },
            Context::Arithmetic(open) => match it {
                '(' => *open += 1,
                ')' if *open > 1 => *open -= 1,
                ')' => self.pop_substitution(),
                '"' | '\'' | '`' | '\\' | '#' | '\n' => self.is_lost = true,
                _ => {}
            },
            Context::EndWord(_) => self.read_end_word(it),
            Context::HereDocument(_) => self.read_document(it, is_escaped, after_dollar),
        }
    }

    /// What `$`, backquotes and backslashes begin.
    fn read_expansion(&mut self, it: char, after_dollar: bool) {
        match it {
            '\\' => {
                self.is_escaped = true;
                // Lines may be joined between `$` and `(`.
                self.is_lost |= after_dollar;
            }
            '`' => self.push(Context::Backquote),
            '(' if after_dollar => self.open(Opened::Substitution),
            '{' if after_dollar => self.push(Context::Brace),
            '$' => self.after_dollar = !after_dollar,
            _ => {}
        }
    }

    fn open(&mut self, opened: Opened) {
        // Whether the document begins inside depends on the shell.
        self.is_lost |= !self.documents.is_empty();
        self.push(Context::Command(opened));
        self.begin_word();
        self.after_open = true;
    }

    /// Ends `$(...)` or `$((...))`; what follows belongs to the same word.
    fn pop_substitution(&mut self) {
        self.pop();
        self.begin_word();
        self.in_word = true;
    }

    fn begin_word(&mut self) {
        self.word.clear();
        self.in_word = false;
    }

    fn read_command(&mut self, it: char, after_dollar: bool, after_open: bool) {
        let less = std::mem::take(&mut self.less);
        if less == 2 && it != '<' {
            self.push(Context::EndWord(Document { strips_tabs: it == '-', ..Document::default() }));
            if it != '-' {
                self.read_end_word(it);
            }
            return;
        }
        match it {
            '\'' | '"' => {
                // `$'` and `$"` are read differently by different shells.
                self.is_lost |= after_dollar;
                self.in_word = true;
                self.push(if it == '"' { Context::Double } else { Context::Single });
            }
            '#' if !self.in_word && self.word.is_empty() && !after_dollar => self.push(Context::Comment),
            '(' if after_open => match self.inner {
                Context::Command(Opened::Substitution) => self.inner = Context::Arithmetic(2),
                // Some shells take `((` for arithmetic.
                _ => self.is_lost = true,
            },
            '(' if after_dollar => self.open(Opened::Substitution),
            '(' => self.open(Opened::Subshell),
            ')' => {
                self.is_lost |= !self.documents.is_empty();
                match self.inner {
                    Context::Command(Opened::Nothing) => self.begin_word(),
                    Context::Command(Opened::Substitution) => self.pop_substitution(),
                    _ => {
                        self.pop();
                        self.begin_word();
                    }
                }
            }
            '<' => {
                self.less = less + 1;
                self.begin_word();
            }
            '\n' => {
                self.begin_word();
                self.begin_documents();
            }
            ' ' | '\t' | ';' | '&' | '|' | '>' => self.begin_word(),
            '\\' => {
                self.is_lost |= less > 0 || after_open;
                self.read_expansion(it, after_dollar);
            }
            _ => {
                self.read_expansion(it, after_dollar);
                self.word.push(it);
                // The patterns of `case` end in `)`, which would be taken for the end of `$(`.
                self.is_lost |= self.word == "case" && !self.outer.is_empty();
            }
        }
    }

    fn read_end_word(&mut self, it: char) {
        let Context::EndWord(document) = &mut self.inner else { return };
        match (document.open_quote, it) {
            (Some(quote), _) if it == quote => document.open_quote = None,
            (Some(_), '\n') => self.is_lost = true,
            (Some(_), _) => document.end.push(it),
            (None, '\'' | '"') => {
                document.is_quoted = true;
                document.open_quote = Some(it);
            }
            (None, '\\' | '$' | '`') => self.is_lost = true,
            (None, ' ' | '\t') if document.end.is_empty() && !document.is_quoted => {}
            (None, ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')') => {
                let document = std::mem::take(document);
                self.is_lost |= document.end.is_empty();
                self.documents.push(document);
                self.pop();
                self.begin_word();
                self.read_command(it, false, false);
            }
            (None, _) => document.end.push(it),
        }
    }

    /// The first of the documents that were announced on the line before.
    fn begin_documents(&mut self) {
        if !self.documents.is_empty() {
            let document = self.documents.remove(0);
            self.push(Context::HereDocument(document));
        }
    }

    fn read_document(&mut self, it: char, is_escaped: bool, after_dollar: bool) {
        let Context::HereDocument(document) = &mut self.inner else { return };
        if it == '\n' {
            // A backslash joins lines, also to the end word.
            self.is_lost |= is_escaped && !document.is_quoted;
            return self.end_line();
        }
        document.line.push(it);
        if document.is_quoted {
            return;
        }
        match it {
            _ if is_escaped => {}
            '\\' => self.is_escaped = true,
            // Substitutions in here-documents are read in too many ways.
            '`' => self.is_lost = true,
            '(' if after_dollar => self.is_lost = true,
            '$' => self.after_dollar = true,
            _ => {}
        }
    }

    /// Ends the here-document if this line is its end word.
    fn end_line(&mut self) {
        let Context::HereDocument(document) = &mut self.inner else { return };
        let line = std::mem::take(&mut document.line);
        let holds_value = std::mem::take(&mut document.holds_value);
        let shown = if document.strips_tabs { line.trim_start_matches('\t') } else { &line };
        if shown == document.end {
            self.is_broken |= holds_value;
            self.pop();
            self.begin_documents();
        }
    }

    /// `value` as it has to be written here.
    fn insert(&mut self, value: &str) -> Result<String, Refused> {
        let plain = is_plain(value).then(|| value.to_owned());
        let refused =
            |place| Refused { place, help: "put it in a variable of the shell first: `x={{ ... }}`, then \"$x\"" };
        if self.is_escaped || self.after_dollar {
            let place = if self.is_escaped { "right after a backslash" } else { "right after `$`" };
            return Err(Refused { place, help: "write `| raw` if the shell is to read it" });
        }
        self.after_open = false;
        self.in_word = true;
        let less = std::mem::take(&mut self.less);
        if self.is_lost {
            return plain.ok_or_else(|| refused("after shell that is this involved"));
        }
        match &mut self.inner {
            Context::Command(_) if less == 2 => Err(refused("as the end word of a here-document")),
            Context::Command(_) => Ok(plain.unwrap_or_else(|| quoted(value))),
            Context::Single => Ok(value.replace('\'', r"'\''")),
            Context::Double => Ok(escaped(value, "\\\"$`")),
            Context::Comment if value.contains('\n') => Err(refused("in a comment: it has several lines")),
            Context::Comment => Ok(value.to_owned()),
            Context::Backquote => plain.ok_or(Refused { place: "in backquotes", help: "write `$(...)` instead" }),
            Context::Brace => plain.ok_or_else(|| refused("inside `${...}`")),
            Context::Arithmetic(_) => plain.ok_or_else(|| refused("inside `$((...))`")),
            Context::EndWord(_) => Err(refused("as the end word of a here-document")),
            Context::HereDocument(_) if value.contains('\n') => {
                Err(refused("in a here-document: it has several lines"))
            }
            Context::HereDocument(document) => {
                document.line.push_str(value);
                document.holds_value = true;
                Ok(if document.is_quoted { value.to_owned() } else { escaped(value, "\\$`") })
            }
        }
    }
}

/// `value` as a word of a command that is not its first: there `name=value` would be a variable.
pub fn argument(value: &str) -> String {
    if is_plain(&value.replacen('=', "-", 1)) { value.to_owned() } else { quoted(value) }
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// The shell reads it as itself, wherever it stands.
fn is_plain(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|it| it.is_ascii_alphanumeric() || b"_-./:@%+,".contains(&it))
}

fn escaped(value: &str, special: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for it in value.chars() {
        if special.contains(it) {
            out.push('\\');
        }
        out.push(it);
    }
    out
}
