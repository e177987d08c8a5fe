//! From a tree to the nodes that it selects. Linear in the size of the graph for each operator.

use std::collections::BTreeSet;

use crate::{
    base::{
        path::ProjectPath,
        suggest::{nearest, nearest_few},
    },
    model::{
        node_set::NodeSet,
        project::{FileSet, Node, NodeBody, NodeId, Project, Source},
        select::{
            SelectError,
            ast::{Expr, Is, Layers, Place, Test},
            pattern::{has_wildcards, matches},
        },
        staleness::State,
    },
};

/// Mistakes told at once; looking for near names takes a while in a large project.
const ERRORS_MAX: usize = 20;

/// What only the world can say.
pub trait Facts {
    /// `None` for what has no status: sources.
    fn status(&self, node: NodeId) -> Option<State>;

    /// Nodes whose own code, command or sources differ from the revision.
    ///
    /// # Errors
    /// One sentence: no repository, no such revision.
    fn changed(&self, git_ref: &str) -> Result<NodeSet, String>;
}

/// For selections that ask for neither status nor changes.
#[derive(Clone, Copy, Debug)]
pub struct NoFacts;

impl Facts for NoFacts {
    fn status(&self, _: NodeId) -> Option<State> {
        None
    }

    fn changed(&self, _: &str) -> Result<NodeSet, String> {
        Err("changes cannot be asked for here".to_owned())
    }
}

/// What was selected, and what was odd about the asking.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selection {
    /// Assets and sources.
    pub nodes: NodeSet,
    pub warnings: Vec<SelectError>,
}

/// # Errors
/// Every name without a node, every revision that could not be compared with.
pub fn eval(expr: &Expr, project: &Project, facts: &dyn Facts) -> Result<Selection, Vec<SelectError>> {
    let mut evaluator = Evaluator { project, facts, errors: Vec::new(), warnings: Vec::new() };
    let nodes = evaluator.eval(expr);
    let Evaluator { errors, warnings, .. } = evaluator;
    if errors.is_empty() { Ok(Selection { nodes, warnings }) } else { Err(errors) }
}

struct Evaluator<'a> {
    project: &'a Project,
    facts: &'a dyn Facts,
    errors: Vec<SelectError>,
    warnings: Vec<SelectError>,
}

#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down,
}

impl Evaluator<'_> {
    fn none(&self) -> NodeSet {
        NodeSet::none(self.project.len())
    }

    fn eval(&mut self, expr: &Expr) -> NodeSet {
        match expr {
            Expr::Everything => NodeSet::all(self.project.len()),
            Expr::Name(..) | Expr::Or(_) => {
                let mut set = self.none();
                self.add(expr, &mut set);
                set
            }
            Expr::Where(test, place) => self.test(test, place),
            Expr::Around { up, inner, down } => {
                let inner = self.eval(inner);
                let mut set = inner.clone();
                if let Some(layers) = up {
                    set.union(&self.reach(&inner, Direction::Up, *layers));
                }
                if let Some(layers) = down {
                    set.union(&self.reach(&inner, Direction::Down, *layers));
                }
                set
            }
            Expr::At(inner) => {
                let mut set = self.eval(inner);
                set.union(&self.reach(&set, Direction::Down, Layers::All));
                set.union(&self.reach(&set, Direction::Up, Layers::All));
                set
            }
            Expr::Roots(inner) => {
                let mut set = self.eval(inner);
                set.subtract(&self.reach(&set, Direction::Down, Layers::All));
                set
            }
            Expr::Sinks(inner) => {
                let mut set = self.eval(inner);
                set.subtract(&self.reach(&set, Direction::Up, Layers::All));
                set
            }
            Expr::Not(inner) => self.eval(inner).complement(),
            Expr::And(them) => {
                let mut set = NodeSet::all(self.project.len());
                for it in them {
                    set.intersect(&self.eval(it));
                }
                if set.is_empty() {
                    self.warn_of_several_names(them);
                }
                set
            }
        }
    }

    /// Spares a set for each name of a long list.
    fn add(&mut self, expr: &Expr, set: &mut NodeSet) {
        match expr {
            Expr::Or(them) => them.iter().for_each(|it| self.add(it, set)),
            Expr::Name(name, place) if has_wildcards(name) => self.add_matching(name, place, set),
            Expr::Name(name, place) => match self.project.node(name) {
                Some(node) => drop(set.insert(node)),
                None => self.unknown_name(name, place),
            },
            _ => set.union(&self.eval(expr)),
        }
    }

    /// What can be reached from `from` in one to `layers` steps.
    fn reach(&self, from: &NodeSet, direction: Direction, layers: Layers) -> NodeSet {
        let graph = &self.project.graph;
        let mut found = self.none();
        let mut layer: Vec<NodeId> = from.iter().collect();
        let mut left = match layers {
            Layers::All => u32::MAX,
            Layers::Some(layers) => layers,
        };
        while left > 0 && !layer.is_empty() {
            left -= 1;
            let mut next = Vec::new();
            for node in layer {
                let neighbours = match direction {
                    Direction::Up => graph.upstream(node),
                    Direction::Down => graph.downstream(node),
                };
                next.extend(neighbours.iter().copied().filter(|it| found.insert(*it)));
            }
            layer = next;
        }
        found
    }

    fn add_matching(&mut self, pattern: &str, place: &Place, set: &mut NodeSet) {
        let mut matched = self.project.nodes.iter().filter(|(_, node)| matches(pattern, node.key.as_str()));
        let (first, second) = (matched.next(), matched.next());
        for (id, _) in first.iter().chain(&second).copied().chain(matched) {
            set.insert(id);
        }
        let Some((_, only)) = first else {
            return self.warn(format!("`{pattern}` matches no name"), place, None);
        };
        // `*orders` and `orders*` are how older versions of Dagster said `+orders` and `orders+`.
        let name = pattern.trim_matches('*');
        if second.is_none() && only.key.as_str() == name {
            let sign = if pattern.starts_with('*') { format!("+{name}") } else { format!("{name}+") };
            let help = format!("`*` is a wildcard; for what is up- or downstream write `{sign}`");
            self.warn(format!("`{pattern}` matches only `{name}`"), place, help);
        }
    }

    fn warn(&mut self, message: String, place: &Place, help: impl Into<Option<String>>) {
        self.warnings.push(SelectError::new(message, place, help));
    }

    /// `a,b` selects nothing: a comma asks for what is both.
    fn warn_of_several_names(&mut self, them: &[Expr]) {
        let names: Vec<&str> = them
            .iter()
            .filter_map(|it| match it {
                Expr::Name(name, _) if !has_wildcards(name) => Some(name.as_str()),
                _ => None,
            })
            .collect();
        if let [Expr::Name(_, first), .., Expr::Name(_, last)] = them
            && names.len() == them.len()
        {
            let place = Place { argument: first.argument, at: first.at.start..last.at.end };
            let help = format!("for each of them write `{}`", names.join(" "));
            self.warn("nothing has several names at once".to_owned(), &place, help);
        }
    }

    fn unknown_name(&mut self, name: &str, place: &Place) {
        if self.errors.len() >= ERRORS_MAX {
            return;
        }
        let keys = || self.project.nodes.values().map(|it| it.key.as_str());
        let is_folder =
            keys().any(|it| it.strip_prefix(name.trim_end_matches('/')).is_some_and(|it| it.starts_with('/')));
        let help = if is_folder {
            Some(format!("for everything below it write `{}/*`", name.trim_end_matches('/')))
        } else {
            let ending = format!("/{name}");
            let mut near: Vec<&str> = keys().filter(|it| it.ends_with(&ending)).take(3).collect();
            for it in nearest_few(name, keys(), 3) {
                if near.len() < 3 && !near.contains(&it) {
                    near.push(it);
                }
            }
            did_you_mean(&near)
        };
        self.errors.push(SelectError::new(format!("no asset or source is named `{name}`"), place, help));
    }

    fn test(&mut self, test: &Test, place: &Place) -> NodeSet {
        if let Test::Changed(git_ref) = test {
            return self.facts.changed(git_ref).unwrap_or_else(|message| {
                self.errors.push(SelectError::new(message, place, None));
                self.none()
            });
        }
        let project = self.project;
        let wanted = match test {
            Test::Path(path) => path.trim_start_matches("./").trim_end_matches('/'),
            _ => "",
        };
        let nodes = project.nodes.iter().filter(|(id, node)| match test {
            Test::Status(state) => self.facts.status(*id) == Some(*state),
            Test::Path(_) => has_path(project, *id, node, wanted),
            _ => holds(project, node, test),
        });
        let set = NodeSet::of(project.len(), nodes.map(|(id, _)| id));
        // That nothing is stale is no surprise; that no group has this name is.
        if set.is_empty() && !matches!(test, Test::Status(_) | Test::Is(_)) {
            self.warn(format!("`{test}` matches nothing"), place, known_values(project, test));
        }
        set
    }
}

fn did_you_mean(near: &[&str]) -> Option<String> {
    let (last, before) = near.split_last()?;
    let before: Vec<String> = before.iter().map(|it| format!("`{it}`")).collect();
    Some(if before.is_empty() {
        format!("did you mean `{last}`?")
    } else {
        format!("did you mean {} or `{last}`?", before.join(", "))
    })
}

/// Whether a test holds that looks at nothing but the node's declaration.
fn holds(project: &Project, node: &Node, test: &Test) -> bool {
    match test {
        Test::Tag(name, value) => node.tags.iter().any(|(its_name, its_value)| {
            matches(name, its_name) && value.as_ref().is_none_or(|it| matches(it, its_value))
        }),
        Test::Group(it) => node.group.as_ref().is_some_and(|group| matches(it, group)),
        Test::Owner(it) => node.owners.iter().any(|owner| matches(it, owner)),
        Test::Kind(it) => node.kinds.iter().any(|kind| matches(it, kind)),
        Test::Io(it) => node.asset().is_some_and(|asset| matches(it, &project.io_managers[asset.io].name)),
        Test::Source(it) => node.source().is_some() && matches(it, node.key.as_str()),
        Test::Is(Is::Asset) => node.asset().is_some(),
        Test::Is(Is::Source) => node.source().is_some(),
        Test::Path(_) | Test::Status(_) | Test::Changed(_) => false,
    }
}

/// Whether a node is declared in `wanted`, made by code in it, read from it, or kept in it.
fn has_path(project: &Project, id: NodeId, node: &Node, wanted: &str) -> bool {
    let in_folder = |folder: &ProjectPath| !folder.is_root() && fits(wanted, &folder.to_string());
    let in_set = |set: &FileSet| {
        let before = if set.folder.is_root() { String::new() } else { format!("{}/", set.folder) };
        set.patterns.iter().filter(|it| !it.text.starts_with('!')).any(|it| {
            let pattern = format!("{before}{}", it.text.trim_start_matches("./"));
            fits(wanted, &pattern) || glob_matches(&pattern, wanted)
        })
    };
    match &node.body {
        NodeBody::Asset(asset) => {
            let op = &project.ops[asset.op];
            in_folder(&op.folder)
                || in_set(&op.code)
                || in_set(&op.sources)
                || project.output_path(id).is_some_and(|it| fits(wanted, &it.to_string()))
        }
        NodeBody::Source(Source::Files(files)) => in_folder(&files.folder) || in_set(files),
        NodeBody::Source(Source::Command { folder, .. }) => in_folder(folder),
        NodeBody::Source(Source::Url { .. }) => false,
    }
}

/// `path` is `wanted`, or lies below it.
fn fits(wanted: &str, path: &str) -> bool {
    matches(wanted, path) || path.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('/'))
}

fn glob_matches(pattern: &str, path: &str) -> bool {
    pattern.contains(['*', '?', '[', '{'])
        && globset::GlobBuilder::new(pattern)
            .literal_separator(true)
            .build()
            .is_ok_and(|it| it.compile_matcher().is_match(path))
}

/// Help for a test that nothing passes: the nearest value that something has, or a few of them.
fn known_values(project: &Project, test: &Test) -> Option<String> {
    let nodes = || project.nodes.values();
    let (before, wanted, known): (&str, &str, BTreeSet<&str>) = match test {
        Test::Tag(name, Some(value)) if nodes().any(|it| it.tags.contains_key(name)) => {
            (name, value, nodes().filter_map(|it| it.tags.get(name)).map(String::as_str).collect())
        }
        Test::Tag(name, _) => ("", name, nodes().flat_map(|it| it.tags.keys()).map(String::as_str).collect()),
        Test::Group(it) => ("", it, nodes().filter_map(|it| it.group.as_deref()).collect()),
        Test::Owner(it) => ("", it, nodes().flat_map(|it| &it.owners).map(String::as_str).collect()),
        Test::Kind(it) => ("", it, nodes().flat_map(|it| &it.kinds).map(String::as_str).collect()),
        Test::Io(it) => ("", it, project.io_managers.values().map(|it| it.name.as_str()).collect()),
        Test::Source(it) => ("", it, nodes().filter(|it| it.source().is_some()).map(|it| it.key.as_str()).collect()),
        Test::Path(_) | Test::Status(_) | Test::Changed(_) | Test::Is(_) => return None,
    };
    let written = |value: &str| match before {
        "" => format!("`{}:{value}`", test.attribute()),
        name => format!("`{}:{name}={value}`", test.attribute()),
    };
    if let Some(near) = nearest(wanted, known.iter().copied()) {
        return Some(format!("did you mean {}?", written(near)));
    }
    let few: Vec<String> = known.iter().take(5).map(|it| written(it)).collect();
    match few.len() {
        0 => Some(format!("nothing in this project has a value for `{}:`", test.attribute())),
        _ if known.len() > few.len() => Some(format!("there are {}, and more", few.join(", "))),
        _ => Some(format!("there are {}", few.join(", "))),
    }
}
