//! Inserts values into a command for `sh`, quoted so that each stays the value it is.

use crate::model::template::{Quoting, TemplateError};

/// Frames of a value inside a rendered text. No value holds NUL: the kernel has no way to pass it.
pub(super) const VALUE_START: &str = "\0<";
pub(super) const VALUE_END: &str = "\0>";

/// Puts a text together from what the author wrote and what is inserted.
pub(super) struct Writer {
    quoting: Quoting,
    out: String,
}

impl Writer {
    pub(super) fn new(quoting: Quoting) -> Self {
        Writer { quoting, out: String::new() }
    }

    pub(super) fn literal(&mut self, text: &str) {
        self.out.push_str(text);
    }

    pub(super) fn raw(&mut self, value: &str) -> Result<(), TemplateError> {
        self.literal(value);
        Ok(())
    }

    pub(super) fn value(&mut self, value: &str) -> Result<(), TemplateError> {
        if self.quoting == Quoting::Shell && value.contains('\0') {
            return Err(nul_in_value("an inserted value"));
        }
        match self.quoting {
            Quoting::AsIs => self.out.push_str(value),
            Quoting::Shell => self.out.push_str(&quoted(value)),
        }
        Ok(())
    }

    pub(super) fn finish(self) -> String {
        self.out
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
    Ok(out.finish())
}

pub(super) fn nul_in_value(what: &str) -> TemplateError {
    TemplateError::new(format!("{what} holds a NUL byte, which no command can be given"), None)
}

/// One word of `sh`.
fn quoted(value: &str) -> String {
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"_-./:@%+,".contains(&it);
    if !value.is_empty() && value.bytes().all(is_plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}
