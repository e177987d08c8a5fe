//! A random project that can also be worked out on paper: what each command does to its inputs is known
//! here without the tool.

use std::{collections::BTreeMap, fmt::Write};

/// The same numbers for the same seed, on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// Below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    /// In one of `of` cases.
    pub fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// What an output keeps of everything that its op read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    All,
    /// The number of bytes: an edit of the same size ends here.
    Size,
    /// The first line: an edit below it ends here.
    First,
}

impl Keep {
    pub fn of(self, text: &str) -> String {
        match self {
            Keep::All => text.to_owned(),
            Keep::Size => format!("{}\n", text.len()),
            Keep::First => format!("{}\n", text.lines().next().unwrap_or("")),
        }
    }

    fn command(self) -> &'static str {
        match self {
            Keep::All => "cat",
            Keep::Size => "wc -c",
            Keep::First => "head -n 1",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Output {
    pub key: String,
    pub keep: Keep,
    pub folder: bool,
}

impl Output {
    /// Below the project.
    pub fn path(&self) -> String {
        format!("data/{}", self.key)
    }

    /// Its files, each with the content that it has if the output holds `text`.
    pub fn files(&self, text: &str) -> Vec<(String, String)> {
        if self.folder {
            vec![(format!("{}/a", self.path()), text.to_owned()), (format!("{}/in/b", self.path()), "b\n".to_owned())]
        } else {
            vec![(self.path(), text.to_owned())]
        }
    }
}

/// One computation. Reads, in this order: its label, its code, its variable, its files, its inputs.
#[derive(Clone, Debug)]
pub struct Op {
    pub name: String,
    pub label: usize,
    /// Reads `raw/<name>/*`.
    pub reads: bool,
    /// Runs `code/<name>.sh`.
    pub code: bool,
    pub variable: Option<String>,
    /// Keys of assets.
    pub deps: Vec<String>,
    /// Fails if it reads the word `boom`.
    pub picky: bool,
    pub outputs: Vec<Output>,
}

/// Ops in an order in which they can be run.
#[derive(Clone, Debug)]
pub struct Graph {
    pub ops: Vec<Op>,
}

impl Graph {
    pub fn random(random: &mut Random) -> Self {
        let mut keys: Vec<String> = Vec::new();
        let mut ops = Vec::new();
        let wanted = 1 + random.below(10);
        while keys.len() < wanted {
            let index = ops.len();
            let name = format!("n{index}");
            let mut deps = keys.clone();
            while deps.len() > 3 || !deps.is_empty() && random.one_in(3) {
                deps.remove(random.below(deps.len()));
            }
            let outputs: Vec<Output> = (0..if random.one_in(4) { 2 } else { 1 })
                .map(|it| Output {
                    key: if it == 0 { name.clone() } else { format!("{name}x") },
                    keep: *random.pick(&[Keep::All, Keep::All, Keep::Size, Keep::First]),
                    folder: random.one_in(4),
                })
                .collect();
            keys.extend(outputs.iter().map(|it| it.key.clone()));
            ops.push(Op {
                reads: deps.is_empty() || random.one_in(2),
                code: random.one_in(2),
                variable: random.one_in(3).then(|| format!("E{}", random.below(2))),
                picky: random.one_in(4),
                label: 0,
                name,
                deps,
                outputs,
            });
        }
        Graph { ops }
    }

    pub fn output(&self, key: &str) -> &Output {
        self.ops.iter().flat_map(|it| &it.outputs).find(|it| it.key == key).unwrap()
    }

    pub fn maker(&self, key: &str) -> &Op {
        self.ops.iter().find(|op| op.outputs.iter().any(|it| it.key == key)).unwrap()
    }

    /// `key` and everything that it is made from.
    pub fn with_upstream(&self, key: &str) -> Vec<String> {
        let mut found = vec![key.to_owned()];
        let mut at = 0;
        while at < found.len() {
            for dep in &self.maker(&found[at]).deps {
                if !found.contains(dep) {
                    found.push(dep.clone());
                }
            }
            at += 1;
        }
        found
    }

    pub fn manifest(&self) -> String {
        let mut text = String::new();
        for op in &self.ops {
            let several = op.outputs.len() > 1;
            let kind = if several { "op" } else { "asset" };
            let _ = write!(text, "[{kind}.{}]\ncommand = '''\n{}'''\n", op.name, self.command(op));
            let _ = writeln!(text, "deps = {:?}", op.deps);
            if op.reads {
                let _ = writeln!(text, "sources = [\"raw/{}/*\"]", op.name);
            }
            if op.code {
                let _ = writeln!(text, "code = [\"code/{}.sh\"]", op.name);
            }
            if let Some(name) = &op.variable {
                let _ = writeln!(text, "env = [{name:?}]");
            }
            for it in &op.outputs {
                if several {
                    let _ = writeln!(text, "[asset.{}]\nop = {:?}", it.key, op.name);
                }
                if it.folder {
                    let _ = writeln!(text, "path = \"{}/\"", it.key);
                }
            }
        }
        text
    }

    fn command(&self, op: &Op) -> String {
        let mut text = format!("set -e\necho {} >> \"$HOME/ran\"\nall=$(mktemp)\n{{ echo {}\n", op.name, op.label);
        if op.code {
            let _ = writeln!(text, "sh code/{}.sh", op.name);
        }
        if let Some(name) = &op.variable {
            let _ = writeln!(text, "echo \"${{{name}-unset}}\"");
        }
        if op.reads {
            let _ = writeln!(text, "cat raw/{}/*", op.name);
        }
        for dep in &op.deps {
            match self.output(dep).folder {
                true => drop(writeln!(text, "cat {{{{ inputs.{dep} }}}}/a {{{{ inputs.{dep} }}}}/in/b")),
                false => drop(writeln!(text, "cat {{{{ inputs.{dep} }}}}")),
            }
        }
        text.push_str("} > $all\nif [ -e \"$HOME/slow\" ]; then sleep 0.05; fi\n");
        for it in &op.outputs {
            let place = format!("{{{{ outputs.{} }}}}", it.key);
            let keep = it.keep.command();
            let _ = match it.folder {
                true => writeln!(text, "mkdir -p {place}/in; {keep} < $all > {place}/a; echo b > {place}/in/b"),
                false => writeln!(text, "{keep} < $all > {place}"),
            };
        }
        if op.picky {
            text.push_str("if grep -q boom $all; then exit 7; fi\n");
        }
        text
    }
}

/// Everything that an op reads but its inputs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Own {
    pub label: usize,
    pub code: Option<String>,
    /// Of the variable that it declares.
    pub value: Option<String>,
    pub files: BTreeMap<String, String>,
}

/// What an op reads, and what it makes of it; `Err` if it fails.
pub fn evaluate(graph: &Graph, op: &Op, own: &Own, inputs: &BTreeMap<String, String>) -> Result<Vec<String>, ()> {
    let mut text = format!("{}\n", own.label);
    if let Some(code) = &own.code {
        // The code is one `echo` and perhaps a comment.
        let word = code.lines().find_map(|it| it.strip_prefix("echo ")).unwrap();
        let _ = writeln!(text, "{word}");
    }
    if op.variable.is_some() {
        let _ = writeln!(text, "{}", own.value.as_deref().unwrap_or("unset"));
    }
    text.extend(own.files.values().map(String::as_str));
    for dep in &op.deps {
        text.push_str(&inputs[dep]);
        if graph.output(dep).folder {
            text.push_str("b\n");
        }
    }
    if op.picky && text.contains("boom") {
        return Err(());
    }
    Ok(op.outputs.iter().map(|it| it.keep.of(&text)).collect())
}
