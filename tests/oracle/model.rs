//! What the tool must know and do, worked out on paper: which assets are fresh, why the others are not,
//! which commands a run may and must execute, and what is stored after it.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Graph, Op, Own, evaluate};

/// What an output was made from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Trace {
    pub own: Own,
    pub inputs: BTreeMap<String, String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    Deleted,
    Edited,
}

/// What became of an op in a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fate {
    Left,
    /// Run, or put back if this very trace was made before.
    Made,
    Failed,
    Skipped,
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub own: BTreeMap<String, Own>,
    /// Of each asset, as recorded.
    pub records: BTreeMap<String, (Trace, String)>,
    pub damaged: BTreeMap<String, Damage>,
    /// Every trace of an op that was ever made.
    pub made: BTreeSet<(String, Trace)>,
}

/// A reason without its words: code, subject. The subject of a damaged folder is left out.
pub type Why = (String, String);

fn why(code: &str, subject: &str) -> Why {
    (code.to_owned(), subject.to_owned())
}

impl Model {
    /// What is recorded of each asset; the content of an asset that was never made is not there.
    fn contents(&self) -> BTreeMap<String, String> {
        self.records.iter().map(|(key, (_, text))| (key.clone(), text.clone())).collect()
    }

    /// The reasons of each asset; none if it is fresh.
    pub fn reasons(&self, graph: &Graph) -> BTreeMap<String, BTreeSet<Why>> {
        let mut all: BTreeMap<String, BTreeSet<Why>> = BTreeMap::new();
        let contents = self.contents();
        for op in &graph.ops {
            let (pending, known): (Vec<_>, Vec<_>) = op.deps.iter().partition(|it| !all[*it].is_empty());
            for output in &op.outputs {
                let mut reasons = self.own_reasons(op, &output.key, &known, &contents);
                match self.damaged.get(&output.key) {
                    Some(_) if !self.records.contains_key(&output.key) => {}
                    Some(Damage::Deleted) => drop(reasons.insert(why("output_missing", &output.path()))),
                    Some(Damage::Edited) if output.folder => drop(reasons.insert(why("output_modified", ""))),
                    Some(Damage::Edited) => drop(reasons.insert(why("output_modified", &output.path()))),
                    None => {}
                }
                if reasons.is_empty() {
                    reasons = pending.iter().map(|it| why("upstream_stale", it)).collect();
                }
                all.insert(output.key.clone(), reasons);
            }
            let stale = op.outputs.iter().find(|it| !all[&it.key].is_empty()).map(|it| it.key.clone());
            for output in &op.outputs {
                if let (Some(sibling), true) = (&stale, all[&output.key].is_empty()) {
                    all.get_mut(&output.key).unwrap().insert(why("upstream_stale", sibling));
                }
            }
        }
        all
    }

    fn own_reasons(&self, op: &Op, key: &str, known: &[&String], contents: &BTreeMap<String, String>) -> BTreeSet<Why> {
        let mut reasons = BTreeSet::new();
        let Some((trace, _)) = self.records.get(key) else {
            reasons.insert(why("never_built", key));
            return reasons;
        };
        let (was, is) = (&trace.own, &self.own[&op.name]);
        if was.label != is.label {
            reasons.insert(why("code_changed", "command"));
        }
        if was.code != is.code {
            reasons.insert(why("code_changed", &format!("code/{}.sh", op.name)));
        }
        if let Some(name) = op.variable.as_ref().filter(|_| was.value != is.value) {
            reasons.insert(why("env_changed", name));
        }
        for file in was.files.keys().chain(is.files.keys()) {
            if was.files.get(file) != is.files.get(file) {
                reasons.insert(why("source_changed", file));
            }
        }
        for dep in known.iter().filter(|it| trace.inputs[**it] != contents[**it]) {
            reasons.insert(why("input_changed", dep));
        }
        reasons
    }

    /// What each asset must hold in the world as it is; one that cannot be made is not there.
    pub fn truth(&self, graph: &Graph) -> BTreeMap<String, String> {
        let mut truth: BTreeMap<String, String> = BTreeMap::new();
        for op in graph.ops.iter() {
            let inputs: Option<_> = op.deps.iter().map(|it| Some((it.clone(), truth.get(it)?.clone()))).collect();
            let Some(inputs) = inputs else { continue };
            let Ok(texts) = evaluate(graph, op, &self.own[&op.name], &inputs) else { continue };
            truth.extend(op.outputs.iter().map(|it| it.key.clone()).zip(texts));
        }
        truth
    }

    /// A run of `selected` to its end. What it makes is recorded here.
    pub fn run(&mut self, graph: &Graph, selected: &BTreeSet<String>) -> BTreeMap<String, Fate> {
        let mut fates = BTreeMap::new();
        for op in graph.ops.iter().filter(|op| op.outputs.iter().any(|it| selected.contains(&it.key))) {
            let held_back =
                op.deps.iter().any(|it| matches!(fates.get(&graph.maker(it).name), Some(Fate::Failed | Fate::Skipped)));
            let fate = if held_back { Fate::Skipped } else { self.step(graph, op) };
            fates.insert(op.name.clone(), fate);
        }
        fates
    }

    fn step(&mut self, graph: &Graph, op: &Op) -> Fate {
        let contents = self.contents();
        let inputs = op.deps.iter().map(|it| (it.clone(), contents[it].clone())).collect();
        let trace = Trace { own: self.own[&op.name].clone(), inputs };
        let fresh =
            |key: &String| self.records.get(key).is_some_and(|it| it.0 == trace) && !self.damaged.contains_key(key);
        if op.outputs.iter().all(|it| fresh(&it.key)) {
            return Fate::Left;
        }
        let Ok(texts) = evaluate(graph, op, &trace.own, &trace.inputs) else { return Fate::Failed };
        for (output, text) in op.outputs.iter().zip(texts) {
            self.records.insert(output.key.clone(), (trace.clone(), text));
            self.damaged.remove(&output.key);
        }
        self.made.insert((op.name.clone(), trace));
        Fate::Made
    }
}
