//! `changed:REF`: which assets a git revision would not know as they are now.
//!
//! Asks git for names of files only; nothing of the repository is executed.

use std::{
    collections::{HashMap, HashSet},
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    base::path::ProjectPath,
    exec::run::context::Workspace,
    model::{
        manifest::{self, Files},
        node_set::NodeSet,
        project::{FileSet, NodeBody, Op, Project, Source},
    },
    plan::observe::command_text,
};

/// Assets and sources whose declaration, code or source files differ between `git_ref` and the
/// working tree, untracked files included.
pub fn changed(workspace: &Workspace, git_ref: &str) -> Result<NodeSet, String> {
    let root = &workspace.root;
    if git_ref.starts_with('-') {
        return Err(format!("`{git_ref}` is not a revision"));
    }
    let prefix = git(root, ["rev-parse", "--show-prefix"])?;
    let prefix = String::from_utf8_lossy(&prefix).trim_end().to_owned();
    let against = git(root, ["diff", "--name-only", "--relative", "--no-ext-diff", "-z", git_ref, "--", "."])?;
    let untracked = git(root, ["ls-files", "--others", "--exclude-standard", "-z"])?;
    let mut paths: HashSet<ProjectPath> = HashSet::new();
    for name in against.split(|it| *it == 0).chain(untracked.split(|it| *it == 0)).filter(|it| !it.is_empty()) {
        let name = OsString::from_vec(name.to_vec());
        paths.extend(ProjectPath::resolve(&ProjectPath::root(), name).ok());
    }
    let project = &workspace.project;
    let before = if project.manifests.iter().any(|it| paths.contains(it)) {
        old_project(workspace, git_ref, &prefix)
    } else {
        None
    };
    let manifests_changed = project.manifests.iter().any(|it| paths.contains(it));
    let old_ops: HashMap<&str, &Op> = before.iter().flat_map(|it| it.ops.values()).map(|it| (&*it.name, it)).collect();
    let mut found = NodeSet::none(project.len());
    for (id, node) in project.nodes.iter() {
        let differs = match &node.body {
            NodeBody::Asset(asset) => {
                let op = &project.ops[asset.op];
                touches(workspace, &op.code, &paths)
                    || touches(workspace, &op.sources, &paths)
                    || manifests_changed && old_ops.get(&*op.name).is_none_or(|it| !same_op(project, op, &before, it))
            }
            NodeBody::Source(Source::Files(set)) => touches(workspace, set, &paths),
            NodeBody::Source(_) => false,
        };
        if differs {
            found.insert(id);
        }
    }
    Ok(found)
}

/// How many files below `folder` the repository tracks.
pub fn tracked(root: &Path, folder: &str) -> Result<usize, String> {
    let names = git(root, ["ls-files", "-z", "--", folder])?;
    Ok(names.split(|it| *it == 0).filter(|it| !it.is_empty()).count())
}

fn same_op(project: &Project, op: &Op, before: &Option<Project>, old: &Op) -> bool {
    let Some(before) = before else { return false };
    let keys = |project: &Project, op: &Op| op.deps.iter().map(|it| project.key(*it).clone()).collect::<Vec<_>>();
    command_text(&op.action) == command_text(&old.action)
        && keys(project, op) == keys(before, old)
        && (&op.env, &op.version, op.in_place) == (&old.env, &old.version, old.in_place)
        && op.code.patterns.iter().map(|it| &it.text).eq(old.code.patterns.iter().map(|it| &it.text))
}

fn touches(workspace: &Workspace, set: &FileSet, paths: &HashSet<ProjectPath>) -> bool {
    if set.patterns.is_empty() {
        return false;
    }
    match workspace.sweep.expand(set) {
        Ok(listing) => listing.files().into_iter().any(|it| paths.contains(&it)),
        // A file that is gone may be the one that the pattern named.
        Err(_) => paths.iter().any(|it| it.is_within(&set.folder)),
    }
}

/// The manifest as it was; `None` if it was not there or was not valid.
fn old_project(workspace: &Workspace, git_ref: &str, prefix: &str) -> Option<Project> {
    let root_text = workspace.root.to_string_lossy().into_owned();
    let env = |name: &str| workspace.env.get(name).map(str::to_owned);
    let options = manifest::Options {
        target: workspace.project.target.as_deref(),
        vars: &[],
        env: &env,
        project_root: &root_text,
    };
    manifest::load(&mut Old { root: &workspace.root, git_ref, prefix }, &options).project
}

/// Manifest files as a revision has them.
struct Old<'a> {
    root: &'a Path,
    git_ref: &'a str,
    prefix: &'a str,
}

impl Files for Old<'_> {
    fn read(&mut self, path: &ProjectPath) -> Result<Option<Vec<u8>>, String> {
        Ok(git(self.root, ["show", &format!("{}:{}{path}", self.git_ref, self.prefix)]).ok())
    }

    fn matches(&mut self, folder: &ProjectPath, pattern: &str) -> Result<Vec<ProjectPath>, String> {
        let names = git(self.root, ["ls-tree", "-r", "-z", "--name-only", self.git_ref])?;
        let glob = globset::GlobBuilder::new(pattern).literal_separator(true).build().map_err(|it| it.to_string())?;
        let glob = glob.compile_matcher();
        let names = names.split(|it| *it == 0).filter(|it| !it.is_empty()).map(OsStr::from_bytes);
        let all = names.filter_map(|it| ProjectPath::resolve(&ProjectPath::root(), it).ok());
        Ok(all
            .filter(|it| it.as_path().strip_prefix(folder.as_path()).is_ok_and(|below| glob.is_match(below)))
            .collect())
    }
}

fn git<const N: usize>(root: &Path, arguments: [&str; N]) -> Result<Vec<u8>, String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        // A repository's own settings may name programs to run.
        .args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "--no-pager"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|it| format!("git cannot be started: {it}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("git: {}", said.lines().next().unwrap_or("failed").trim_start_matches("fatal: ")))
}
