//! Where in a template each part of what was rendered stands, so that a mistake is shown where it was written.
//!
//! The text between tags is marked, rendered, and the marks are taken out again. Where marks change what is
//! rendered (a filter over a captured block), nothing is known.

use std::ops::Range;

use super::{
    Scope, Template, TemplateError,
    scan::{self, Piece},
};

/// Text that was taken over as it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// Where it is in what was rendered, in the template, and how long: bytes.
    pub rendered: usize,
    pub written: usize,
    pub length: usize,
}

/// What a template became. No runs: nobody knows what stands where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    pub text: String,
    pub runs: Vec<Run>,
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
        Ok(Placed { text, runs: runs.unwrap_or_default() })
    }

    fn runs(&self, text: &str, scope: &Scope<'_>) -> Option<Vec<Run>> {
        let mut literals: Vec<Range<usize>> = Vec::new();
        let mut marked = String::with_capacity(self.text.len() * 2);
        let mut done = 0;
        for piece in scan::scan(&self.text).pieces {
            let Piece::Text(range) = piece else { continue };
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

/// The place in `written` that byte `at` of what it became comes from: from there to the end of the text
/// between two tags, or a whole tag.
pub fn origin(written: &str, runs: &[Run], at: usize) -> Option<Range<usize>> {
    let last = runs.partition_point(|it| it.rendered <= at).checked_sub(1);
    let after = match last.map(|it| runs[it]) {
        Some(run) if at < run.rendered + run.length => {
            let offset = at - run.rendered;
            return Some(run.written + offset..run.written + run.length);
        }
        Some(run) => run.written + run.length,
        None if runs.is_empty() => return None,
        None => 0,
    };
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
        origin(text, &placed.runs, at).map(|it| &text[it])
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
        assert_eq!(placed(text), Placed { text: "select 3".to_owned(), runs: Vec::new() });
        assert_eq!(behind(text, "3"), None);
    }
}
