//! The simple forms of templates, read without an engine: `{{ root }}`, `{{ root.name }}` and
//! `{{ root["name"] }}`.
//!
//! Nearly every template of a large manifest is of these forms, and for them alone the exact place
//! of every name is known. Anything else is left to `model::template`.

use std::ops::Range;

/// A part of a simple template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece<'a> {
    Text(&'a str),
    Name(Reference<'a>),
}

/// `vars.country`, with the range of the whole in the template's text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reference<'a> {
    pub root: &'a str,
    pub name: Option<&'a str>,
    pub at: Range<usize>,
}

/// The parts of `text`; `None` if it is not of the simple forms.
pub fn pieces(text: &str) -> Option<Vec<Piece<'_>>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(brace) = text[from..].find('{') {
        let open = from + brace;
        match text.as_bytes().get(open + 1) {
            Some(b'%' | b'#') => return None,
            Some(b'{') => {}
            _ => {
                found.push(Piece::Text(&text[from..=open]));
                from = open + 1;
                continue;
            }
        }
        if open > from {
            found.push(Piece::Text(&text[from..open]));
        }
        let close = open + text[open..].find("}}")?;
        found.push(Piece::Name(reference(text, open + 2..close)?));
        from = close + 2;
    }
    if from < text.len() {
        found.push(Piece::Text(&text[from..]));
    }
    Some(found)
}

/// Words that are not names to the engine.
const WORDS: [&str; 12] = ["true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if"];

fn reference(text: &str, inside: Range<usize>) -> Option<Reference<'_>> {
    let whole = &text[inside.clone()];
    let trimmed = whole.trim();
    let start = inside.start + (whole.len() - whole.trim_start().len());
    let at = start..start + trimmed.len();
    if is_name(trimmed) {
        return if WORDS.contains(&trimmed) { None } else { Some(Reference { root: trimmed, name: None, at }) };
    }
    let end = trimmed.find(['.', '['])?;
    let (root, rest) = trimmed.split_at(end);
    let quoted = |mark: char| rest.strip_prefix('[')?.strip_prefix(mark)?.strip_suffix(']')?.strip_suffix(mark);
    let name = match rest.strip_prefix('.') {
        Some(name) if is_name(name) => name,
        Some(_) => return None,
        None => quoted('"').or_else(|| quoted('\''))?,
    };
    (is_name(root) && !name.contains(['"', '\'', '\\'])).then_some(Reference { root, name: Some(name), at })
}

/// Letters, digits and `_`, not beginning with a digit.
pub fn is_name(text: &str) -> bool {
    text.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
        && text.chars().next().is_some_and(|it| !it.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Option<Vec<(&str, Option<&str>, &str)>> {
        let names = pieces(text)?.into_iter().filter_map(|it| match it {
            Piece::Name(it) => Some((it.root, it.name, &text[it.at])),
            Piece::Text(_) => None,
        });
        Some(names.collect())
    }

    #[test]
    fn simple_forms_are_read_and_others_left() {
        assert_eq!(names("cp a {b} c"), Some(vec![]));
        assert_eq!(
            names("cp {{ inputs.a }} {{output}}"),
            Some(vec![("inputs", Some("a"), "inputs.a"), ("output", None, "output")])
        );
        assert_eq!(names("{{inputs[\"a/b\"]}}"), Some(vec![("inputs", Some("a/b"), "inputs[\"a/b\"]")]));
        assert_eq!(names("{{ inputs['a-b'] }}"), Some(vec![("inputs", Some("a-b"), "inputs['a-b']")]));
        for other in [
            "{{ a | raw }}",
            "{{ a.b.c }}",
            "{{ a",
            "{% if a %}",
            "{# a #}",
            "{{ 1 }}",
            "{{ true }}",
            "{{- a }}",
            "{{ a-b }}",
            "{{ 'a' }}",
            "{{ '}}' }}",
            "{{}}",
            "{{ a[b] }}",
        ] {
            assert_eq!(pieces(other), None, "{other}");
        }
        let text = "x{{ vars.y }}{z";
        let Some(them) = pieces(text) else { panic!() };
        assert_eq!(them.first(), Some(&Piece::Text("x")));
        assert_eq!(them.len(), 4);
    }
}
