//! What the JSON answers of a project say, as plain values that a test can compare whole.

use serde_json::Value;

use super::{Output, Project};

/// A reason without its words: asset, code, subject.
pub type Told = (String, String, String);

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a text")).to_owned()
}

fn list<'a>(document: &'a Value, name: &str) -> &'a [Value] {
    document[name].as_array().unwrap_or_else(|| panic!("no list {name}: {document}"))
}

fn reasons_of(asset: &Value) -> impl Iterator<Item = Told> {
    let key = text(&asset["key"]);
    list(asset, "reasons").iter().map(move |it| (key.clone(), text(&it["code"]), text(&it["subject"])))
}

impl Project {
    /// Every reason of every asset, as `status` tells them, sorted.
    pub fn reasons(&self, arguments: &[&str]) -> Vec<Told> {
        let document = self.run(&[&["status", "--json", "--exit-zero"], arguments].concat()).succeeded().json();
        let mut told: Vec<Told> = list(&document, "assets").iter().flat_map(reasons_of).collect();
        told.sort();
        told
    }

    /// Each asset and its state, sorted by key.
    pub fn states(&self, arguments: &[&str]) -> Vec<(String, String)> {
        let document = self.run(&[&["status", "--json", "--exit-zero"], arguments].concat()).succeeded().json();
        list(&document, "assets").iter().map(|it| (text(&it["key"]), text(&it["state"]))).collect()
    }

    /// Assets in the plan with what is meant to happen to them, sorted.
    pub fn planned(&self, arguments: &[&str]) -> Vec<(String, String)> {
        steps(&self.run(&[&["plan", "--json"], arguments].concat()).succeeded(), "action")
    }

    /// Runs `materialize` and tells how each step's assets ended, sorted.
    #[track_caller]
    pub fn materialized(&self, arguments: &[&str]) -> Vec<(String, String)> {
        steps(&self.run(&[&["materialize", "--json"], arguments].concat()).succeeded(), "outcome")
    }

    /// Fresh by every answer, and a run runs nothing.
    #[track_caller]
    pub fn settled(&self, arguments: &[&str]) {
        assert_eq!(self.reasons(arguments), [], "something is not fresh");
        self.run(&[&["status"], arguments].concat()).succeeded();
        assert_eq!(self.planned(arguments), []);
        let ran = self.ran();
        self.run(&[&["materialize"], arguments].concat()).succeeded();
        assert_eq!(self.ran(), [""; 0], "a second run ran something (before it: {ran:?})");
    }
}

/// Each step's asset with one of its fields, sorted.
pub fn steps(output: &Output, field: &str) -> Vec<(String, String)> {
    let document = output.json();
    let mut told: Vec<_> = list(&document, "steps").iter().map(|it| (text(&it["key"]), text(&it[field]))).collect();
    told.sort();
    told
}
