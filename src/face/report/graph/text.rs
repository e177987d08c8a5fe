//! The lineage as an indented tree, from sources down. Every node is opened once.

use crate::{
    base::id::Id,
    face::{
        report::graph::Lineage,
        ui::{Role, Style, words},
    },
    model::{project::NodeId, staleness::State},
};

/// Deeper than this a branch goes on below, at the left edge: lines stay readable, and the whole
/// stays linear in the size of the graph.
const DEPTH_MAX: usize = 12;

/// Readers of one node that were shown before are named up to this many, then counted.
const REPEATS_MAX: usize = 5;

pub fn text(lineage: Lineage<'_>, style: Style) -> String {
    let mut drawing = Drawing { lineage, style, out: String::new(), opened: vec![false; lineage.project.len()] };
    let mut roots: Vec<NodeId> = lineage.nodes.iter().filter(|it| lineage.is_root(*it)).collect();
    let mut at = 0;
    while at < roots.len() {
        let put_off = drawing.tree(roots[at]);
        roots.extend(put_off);
        at += 1;
    }
    drawing.out
}

struct Drawing<'a> {
    lineage: Lineage<'a>,
    style: Style,
    out: String,
    opened: Vec<bool>,
}

/// One line to come.
enum Line {
    Node {
        id: NodeId,
        is_last: bool,
        before: String,
    },
    /// Readers that are not named because they were shown before.
    More {
        count: usize,
        before: String,
    },
}

impl Drawing<'_> {
    /// Draws what hangs below `root`; returns what was too deep.
    fn tree(&mut self, root: NodeId) -> Vec<NodeId> {
        let mut put_off = Vec::new();
        if self.opened[root.index()] {
            return put_off;
        }
        self.opened[root.index()] = true;
        self.line("", root, "");
        let mut stack = self.below(root, "");
        while let Some(line) = stack.pop() {
            match line {
                Line::More { count, before } => {
                    let text = self.style.paint(Role::Dim, &format!("and {count} more (see above)"));
                    self.out.push_str(&format!("{before}{}{text}\n", self.corner()));
                }
                Line::Node { id, is_last, before } => {
                    let (branch, column) = match (is_last, self.style.unicode) {
                        (true, _) => (self.corner(), "    "),
                        (false, true) => ("├── ", "│   "),
                        (false, false) => ("|-- ", "|   "),
                    };
                    let start = format!("{before}{branch}");
                    let has_readers = self.lineage.readers(id).next().is_some();
                    let depth = before.chars().count() / 4 + 1;
                    if self.opened[id.index()] {
                        self.line(&start, id, "(see above)");
                    } else if depth >= DEPTH_MAX && has_readers {
                        self.line(&start, id, "(see below)");
                        put_off.push(id);
                    } else {
                        self.opened[id.index()] = true;
                        self.line(&start, id, "");
                        stack.extend(self.below(id, &format!("{before}{column}")));
                    }
                }
            }
        }
        put_off
    }

    fn corner(&self) -> &'static str {
        if self.style.unicode { "└── " } else { "`-- " }
    }

    /// The lines right below a node, the last one first. What was opened before comes after what was not.
    fn below(&self, id: NodeId, before: &str) -> Vec<Line> {
        let (mut repeats, mut them): (Vec<NodeId>, Vec<NodeId>) =
            self.lineage.readers(id).partition(|it| self.opened[it.index()]);
        let mut more = 0;
        if repeats.len() > REPEATS_MAX {
            more = repeats.len() - (REPEATS_MAX - 1);
            repeats.truncate(REPEATS_MAX - 1);
        }
        them.extend(repeats);
        let last = them.last().copied().filter(|_| more == 0);
        let mut lines: Vec<Line> = them
            .into_iter()
            .map(|it| Line::Node { id: it, is_last: Some(it) == last, before: before.to_owned() })
            .collect();
        if more > 0 {
            lines.push(Line::More { count: more, before: before.to_owned() });
        }
        lines.reverse();
        lines
    }

    fn line(&mut self, start: &str, id: NodeId, remark: &str) {
        let node = &self.lineage.project.nodes[id];
        self.out.push_str(start);
        self.out.push_str(&words::visible(node.key.as_str()));
        if node.source().is_some() {
            self.word(Role::Dim, "(source)");
        }
        if let Some(state) = self.lineage.state(id) {
            self.word(role(state), state.name());
        }
        self.word(Role::Dim, remark);
        self.out.push('\n');
    }

    fn word(&mut self, role: Role, word: &str) {
        if !word.is_empty() {
            self.out.push_str("  ");
            self.out.push_str(&self.style.paint(role, word));
        }
    }
}

fn role(state: State) -> Role {
    match state {
        State::Fresh => Role::Good,
        State::Stale | State::Missing | State::Blocked => Role::Warn,
        State::Failed => Role::Bad,
        State::Running => Role::Info,
    }
}
