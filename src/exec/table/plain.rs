//! Csv that every reader reads alike, told from csv that each reads in its own way: blank lines, mixed ends of lines, quotes
//! and ends of lines within fields, very long lines, columns without a name.
//!
//! What is in doubt is not plain.

use std::io::{Read, Result};

/// Engines have a limit for lines.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Looks at everything that is read through it.
pub struct Watched<R> {
    inner: R,
    watch: Watch,
}

/// What was seen so far.
pub struct Watch {
    at: At,
    line_bytes: usize,
    /// Whether lines end in CR LF.
    crlf: Option<bool>,
    is_plain: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    Bare,
    Quoted,
    /// Behind a quote that ends a field, or is the first of two.
    Quote,
    Return,
}

impl<R: Read> Watched<R> {
    pub fn new(inner: R) -> Self {
        let watch = Watch { at: At::Start, line_bytes: 0, crlf: None, is_plain: true };
        Watched { inner, watch }
    }

    /// Whether everything so far was plain.
    pub fn is_plain(&self) -> bool {
        self.watch.is_plain
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let count = self.inner.read(into)?;
        if self.watch.is_plain && count > 0 {
            self.watch.see(&into[..count]);
        }
        Ok(count)
    }
}

impl Watch {
    fn see(&mut self, bytes: &[u8]) {
        let has_begun = self.crlf == Some(false) && matches!(self.at, At::Start | At::Bare);
        if has_begun && ![b'"', b'\r', 0].iter().any(|it| bytes.contains(it)) {
            self.see_lines(bytes);
        } else {
            self.see_each(bytes);
        }
    }

    /// The same of bytes in which only the ends of lines mean something: of most, and faster.
    fn see_lines(&mut self, bytes: &[u8]) {
        let last = bytes[bytes.len() - 1];
        for line in bytes.split_inclusive(|it| *it == b'\n') {
            let ended = line.ends_with(b"\n");
            self.line_bytes += line.len() - usize::from(ended);
            self.is_plain &= self.line_bytes < LINE_BYTES_MAX && (!ended || self.line_bytes > 0);
            self.line_bytes = if ended { 0 } else { self.line_bytes };
        }
        self.at = if matches!(last, b'\n' | b',') { At::Start } else { At::Bare };
    }

    fn see_each(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let next = match (self.at, byte) {
                // A mark of the order of bytes may be taken for a part of a name.
                (_, 0 | 0xEF) if *byte == 0 || self.line_bytes == 0 && self.crlf.is_none() => None,
                (At::Return, b'\n') => self.line_end(true),
                (At::Return, _) | (At::Quoted, b'\n' | b'\r') => None,
                (At::Quoted, b'"') => Some(At::Quote),
                (At::Quoted, _) => Some(At::Quoted),
                (_, b'\r') => Some(At::Return),
                (_, b'\n') => self.line_end(false),
                (_, b',') => Some(At::Start),
                (At::Start | At::Quote, b'"') => Some(At::Quoted),
                (At::Bare, b'"') | (At::Quote, _) => None,
                (At::Start | At::Bare, _) => Some(At::Bare),
            };
            if !matches!(byte, b'\n' | b'\r') {
                self.line_bytes += 1;
            }
            match next.filter(|_| self.line_bytes < LINE_BYTES_MAX) {
                Some(at) => self.at = at,
                None => {
                    self.is_plain = false;
                    return;
                }
            }
        }
    }

    /// `None`: of a blank line, or one that ends otherwise than those before.
    fn line_end(&mut self, crlf: bool) -> Option<At> {
        let is_blank = self.line_bytes == 0;
        self.line_bytes = 0;
        (!is_blank && *self.crlf.get_or_insert(crlf) == crlf).then_some(At::Start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_readers_differ_in_is_not_plain() {
        // However it is cut when it is read.
        let is_plain = |text: &str| {
            let found = [1, 2, 3, 5, 1 << 16].map(|size| {
                let mut watched = Watched::new(text.as_bytes());
                let mut buffer = vec![0; size];
                while watched.read(&mut buffer).unwrap() > 0 {}
                watched.is_plain()
            });
            assert!(found.iter().all(|it| *it == found[0]), "{found:?}: {text:.20?}");
            found[0]
        };
        for text in [
            "a,b\n1,2\n",
            "a,b\r\n1,2\r\n",
            "a\n1",
            "a,b\n\"x, \"\"y\"\"\",\"\"\n",
            "a,b\n,\n",
            "\u{e9},b\n\u{ef}1,2\n",
        ] {
            assert!(is_plain(text), "{text:?}");
        }
        let long = format!("a\n{}\n", "x".repeat(LINE_BYTES_MAX));
        for text in [
            "a\n\n1\n",
            "\na\n1\n",
            "a\n1\n\n",
            "a\n1\r\n",
            "a\r\n\r\n1\r\n",
            "a\n\"1\n2\"\n",
            "a\n1\"\n",
            "a\n\"1\" \n",
            "a\n \"1\"\n",
            "a\r1\n",
            "a\0\n",
            "\u{feff}a\n1\n",
            &long,
        ] {
            assert!(!is_plain(text), "{text:?}");
        }
    }
}
