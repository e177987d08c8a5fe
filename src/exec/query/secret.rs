//! Secrets in a query: put in at the last moment, by the process that runs it, and kept out of everything else.

use super::Failed;
use crate::{base::env::Environment, model::project::secret_mark};

/// A text without marks, and where it grew.
pub struct Revealed {
    pub text: String,
    /// For each mark in order: where its value is, how long that and the mark are.
    changes: Vec<(usize, usize, usize)>,
}

/// Puts the values of the variables `names` in.
///
/// # Errors
/// One that is not set, or is not text.
pub fn reveal(sql: &str, names: &[String], env: &Environment) -> Result<Revealed, Failed> {
    let mut marks: Vec<(String, &str)> = names.iter().map(|it| (secret_mark(it), it.as_str())).collect();
    // A name may be how another one begins.
    marks.sort_by_key(|it| std::cmp::Reverse(it.0.len()));
    let mut revealed = Revealed { text: String::with_capacity(sql.len()), changes: Vec::new() };
    let mut rest = sql;
    while let Some((at, mark, name)) =
        marks.iter().filter_map(|(mark, name)| Some((rest.find(mark)?, mark, *name))).min_by_key(|it| it.0)
    {
        let value = env.get(name).ok_or_else(|| Failed {
            message: format!("environment variable {name} is not set"),
            at: None,
            help: Some("the query needs its value: set it and try again".to_owned()),
        })?;
        revealed.text.push_str(&rest[..at]);
        revealed.changes.push((revealed.text.len(), value.len(), mark.len()));
        revealed.text.push_str(value);
        rest = &rest[at + mark.len()..];
    }
    revealed.text.push_str(rest);
    Ok(revealed)
}

impl Revealed {
    /// Where, in the text with marks, what stands at `at` in this one is.
    pub fn origin(&self, at: usize) -> usize {
        let mut back = at;
        for (start, value, mark) in &self.changes {
            if at >= start + value {
                back = back + mark - value;
            } else if at >= *start {
                return back - (at - start);
            }
        }
        back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_text_with_marks() {
        let env = Environment::from_iter([("A", "x"), ("AB", "a longer value than that of any mark")]);
        let sql = format!("select '{}', '{}' from t", secret_mark("AB"), secret_mark("A"));
        let names = ["A".to_owned(), "AB".to_owned()];
        let revealed = reveal(&sql, &names, &env).unwrap();
        assert_eq!(revealed.text, "select 'a longer value than that of any mark', 'x' from t");
        for word in ["select", "from", "t"] {
            let at = revealed.text.rfind(word).unwrap();
            assert_eq!(revealed.origin(at), sql.rfind(word).unwrap(), "{word}");
        }
        assert_eq!(revealed.origin(revealed.text.find("value").unwrap()), sql.find("__ASSETS_SECRET_AB__").unwrap());
        assert!(reveal(&sql, &names, &Environment::from_iter([("A", "x")])).is_err());
    }
}
