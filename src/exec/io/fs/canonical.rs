//! What a JSON text says, whatever its form: white space, the order of names in an object and escapes do not
//! count. Numbers count as they are written: `1` is not `1.0`.

use std::collections::BTreeMap;

use crate::base::digest::Digest;

const CONTEXT: &str = "assets canonical json 1";
/// Deeper than people nest, shallower than every stack.
const DEPTH_MAX: usize = 200;

/// # Errors
/// Why it is not JSON.
pub fn json(bytes: &[u8]) -> Result<Digest, String> {
    let text = std::str::from_utf8(bytes).map_err(|it| it.to_string())?;
    // Told by a parser that is complete; what follows may then trust the text.
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|it| it.to_string())?;
    let mut reader = Reader { text, at: 0 };
    let mut form = Vec::with_capacity(text.len());
    reader.value(&mut form, 0)?;
    Ok(Digest::derive(CONTEXT, &form))
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|it| it.is_ascii_whitespace()).count();
        self.text.as_bytes().get(self.at).copied()
    }

    fn value(&mut self, form: &mut Vec<u8>, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!("nested more than {DEPTH_MAX} deep"));
        }
        match self.peek() {
            Some(b'{') => {
                let mut names: BTreeMap<String, Vec<u8>> = BTreeMap::new();
                self.items(b'}', |it| {
                    let name = it.string()?;
                    it.peek();
                    it.at += 1;
                    let mut value = Vec::new();
                    it.value(&mut value, depth + 1)?;
                    // Of two with one name, readers take the last.
                    names.insert(name, value);
                    Ok(())
                })?;
                form.push(b'{');
                for (name, value) in names {
                    write_text(form, &name);
                    form.extend(value);
                }
                form.push(b'}');
            }
            Some(b'[') => {
                form.push(b'[');
                self.items(b']', |it| it.value(form, depth + 1))?;
                form.push(b']');
            }
            Some(b'"') => {
                let text = self.string()?;
                form.push(b'"');
                write_text(form, &text);
            }
            _ => {
                let word = self.word();
                form.push(b'w');
                write_text(form, &word);
            }
        }
        Ok(())
    }

    /// Each item up to `close`.
    fn items(&mut self, close: u8, mut one: impl FnMut(&mut Self) -> Result<(), String>) -> Result<(), String> {
        self.at += 1;
        while self.peek().is_some_and(|it| it != close) {
            one(self)?;
            if self.peek() == Some(b',') {
                self.at += 1;
            }
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<String, String> {
        self.peek();
        let bytes = self.text.as_bytes();
        let mut end = self.at + 1;
        while bytes.get(end).is_some_and(|it| *it != b'"') {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let written = self.text.get(self.at..=end).unwrap_or_default();
        self.at = end + 1;
        serde_json::from_str(written).map_err(|it| it.to_string())
    }

    /// A number, `true`, `false` or `null`, as it stands.
    fn word(&mut self) -> String {
        let rest = &self.text[self.at..];
        let end = rest.find([',', ']', '}', ' ', '\t', '\r', '\n']).unwrap_or(rest.len());
        self.at += end.max(1);
        rest[..end].to_owned()
    }
}

fn write_text(form: &mut Vec<u8>, text: &str) {
    form.extend_from_slice(&(text.len() as u64).to_le_bytes());
    form.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::json;

    #[test]
    fn form_does_not_count_and_everything_else_does() {
        let one = json(br#"{"a": [1, 2.50, null], "b": {"x": "\u0041", "y": true}}"#).unwrap();
        assert_eq!(one, json(b"{\"b\":{\"y\":true,\"x\":\"A\"},\n\t\"a\":[1,2.50,null]}\n").unwrap());
        for other in [
            r#"{"a": [2.50, 1, null], "b": {"x": "A", "y": true}}"#,
            r#"{"a": [1, 2.5, null], "b": {"x": "A", "y": true}}"#,
            r#"{"a": [1, 2.50, null], "b": {"x": "A", "y": "true"}}"#,
            r#"{"a": [1, 2.50], "b": {"x": "A", "y": true}}"#,
            r#"{"a": [1, 2.50, null, {}], "b": {"x": "A", "y": true}}"#,
            r#"{"a": [1, 2.50, null], "b": {"x": "A", "y": true, "z": []}}"#,
        ] {
            assert_ne!(one, json(other.as_bytes()).unwrap(), "{other}");
        }
        // Beyond what a machine's number can tell apart.
        assert_ne!(json(b"[123456789012345678901]").unwrap(), json(b"[123456789012345678902]").unwrap());
        assert_eq!(json(b"\"a\"").unwrap(), json(b" \"a\" ").unwrap());
    }

    #[test]
    fn what_is_no_json_is_told() {
        for text in ["", "{", "[1,]", "{\"a\" 1}", "nul", "\"\\x\""] {
            assert!(json(text.as_bytes()).is_err(), "{text}");
        }
        assert!(json("[".repeat(5000).as_bytes()).is_err());
    }
}
