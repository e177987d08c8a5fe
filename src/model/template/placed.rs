//! Where in a template each part of what was rendered stands, so that a mistake is shown where it was written.
//!
//! The text between tags is marked, rendered, and the marks are taken out again. Where marks change what is
//! rendered (a filter over a captured block), nothing is known.

use std::ops::Range;

use crate::base::places::{Piece, Places};

use super::{Scope, Template, TemplateError, scan};

/// Text that was taken over as it stands.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Where it is in what was rendered, in the template, and how long: bytes.
    rendered: usize,
    written: usize,
    length: usize,
}

/// What a template became. No places: nobody knows what stands where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    pub text: String,
    pub places: Places,
}

/// Around the number of a run; private characters that no text has.
const OPEN: char = '\u{f8f0}';
const CLOSE: char = '\u{f8f1}';

impl Template {
    /// # Errors
    /// Those of [`Template::render`].
    pub fn render_placed(&self, scope: &Scope<'_>) -> Result<Placed, TemplateError> {
        let text = self.render(scope)?;
        let runs = if text.contains([OPEN, CLOSE]) { None } else { self.runs(&text, scope) };
        let places = runs.map_or_else(Places::default, |it| places(&self.text, &it, text.len()));
        Ok(Placed { text, places })
    }

    fn runs(&self, text: &str, scope: &Scope<'_>) -> Option<Vec<Run>> {
        let mut literals: Vec<Range<usize>> = Vec::new();
        let mut marked = String::with_capacity(self.text.len() * 2);
        let mut done = 0;
        for piece in scan::scan(&self.text).pieces {
            let scan::Piece::Text(range) = piece else { continue };
            // White space beside a tag may be trimmed by it: that must go on.
            let lead = self.text[range.clone()].len() - self.text[range.clone()].trim_start().len();
            let start = range.start + lead;
            if start == range.end {
                continue;
            }
            marked.push_str(&self.text[done..start]);
            marked.push_str(&format!("{OPEN}{}{CLOSE}", literals.len()));
            literals.push(start..range.end);
            done = start;
        }
        marked.push_str(&self.text[done..]);
        let rendered = Template::new(marked, None).render(scope).ok()?;
        let (mut plain, mut runs) = (String::with_capacity(text.len()), Vec::new());
        let mut parts = rendered.split(OPEN);
        plain.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let (number, rest) = part.split_once(CLOSE)?;
            let literal = literals.get(number.parse::<usize>().ok()?)?;
            let written = &self.text[literal.clone()];
            let length = written.bytes().zip(rest.bytes()).take_while(|it| it.0 == it.1).count();
            runs.push(Run { rendered: plain.len(), written: literal.start, length });
            plain.push_str(rest);
        }
        (plain == text).then_some(runs)
    }
}

/// Of a text of `length` bytes with these parts. What is between them was put there by the tag after the first.
fn places(written: &str, runs: &[Run], length: usize) -> Places {
    if runs.is_empty() {
        return Places::default();
    }
    let mut parts = Vec::with_capacity(runs.len() * 2);
    let (mut done, mut after) = (0, 0);
    let end = Run { rendered: length, written: written.len(), length: 0 };
    for run in runs.iter().copied().chain([end]) {
        if run.rendered > done
            && let Some(from) = tag(written, after)
        {
            parts.push(Piece { at: done..run.rendered, from, plain: false });
        }
        (done, after) = (run.rendered + run.length, run.written + run.length);
        if run.length > 0 {
            parts.push(Piece { at: run.rendered..done, from: run.written..after, plain: true });
        }
    }
    Places::new(parts)
}

/// The first tag that inserts something after `after`.
fn tag(written: &str, after: usize) -> Option<Range<usize>> {
    let start = after + written.get(after..)?.find("{{")?;
    let end = start + written[start..].find("}}")? + 2;
    Some(start..end)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{project::VarValue, template::Quoting};

    fn placed(text: &str) -> Placed {
        let vars = BTreeMap::from([
            ("day".to_owned(), VarValue::Text("2026".to_owned())),
            ("on".to_owned(), VarValue::Boolean(true)),
            ("list".to_owned(), VarValue::List(vec![VarValue::Integer(1), VarValue::Integer(22)])),
        ]);
        let none = BTreeMap::new();
        let scope = Scope {
            vars: &vars,
            env: &none,
            project_root: "",
            inputs: &BTreeMap::new(),
            outputs: &none,
            run_id: "",
            partition: &none,
            quoting: Quoting::AsIs,
            refs: None,
            model: None,
        };
        Template::new(text, None).render_placed(&scope).unwrap()
    }

    /// The part of the template that the first `word` of what was rendered comes from.
    fn behind<'t>(text: &'t str, word: &str) -> Option<&'t str> {
        let placed = placed(text);
        let at = placed.text.find(word).unwrap();
        placed.places.origin(at).map(|it| &text[it])
    }

    #[test]
    fn what_is_rendered_knows_where_it_was_written() {
        let simple = "select {{ vars.day }} as day from orders";
        assert_eq!(placed(simple).text, "select 2026 as day from orders");
        assert_eq!(behind(simple, "orders"), Some("orders"));
        assert_eq!(behind(simple, "2026"), Some("{{ vars.day }}"));
        assert_eq!(behind("{{ vars.day }} x", "2026"), Some("{{ vars.day }}"));
        let branches = "select {% if vars.on -%}\n  a{% else %} b{% endif %}\n from t";
        assert_eq!(placed(branches).text, "select a\n from t");
        assert_eq!(behind(branches, "a\n"), Some("a"));
        assert_eq!(behind(branches, "from"), Some("from t"));
        let many = "select {% for n in vars.list %}c{{ n }}, {% endfor %}x from t";
        assert_eq!(placed(many).text, "select c1, c22, x from t");
        assert_eq!(behind(many, "22"), Some("{{ n }}"));
        assert_eq!(behind(many, "x from"), Some("x from t"));
    }

    #[test]
    fn where_marks_would_count_nothing_is_known() {
        let text = "{% set a %}abc{% endset %}select {{ a | length }}";
        assert_eq!(placed(text), Placed { text: "select 3".to_owned(), places: Places::default() });
        assert_eq!(behind(text, "3"), None);
    }
}
