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
    base::{fs, path::ProjectPath},
    exec::run::context::Workspace,
    model::{
        key::PartitionKey,
        manifest::{self, Files},
        node_set::NodeSet,
        project::{FileSet, NodeBody, NodeId, Op, Project, Source},
    },
    plan::{examine::output_parts, observe::own_parts, world::World},
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
                    || manifests_changed && old_ops.get(&*op.name).is_none_or(|it| !same_op(workspace, op, &before, it))
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

/// Whether an op is declared as it was, with everything that its outputs are fingerprinted by.
fn same_op(workspace: &Workspace, op: &Op, before: &Option<Project>, old: &Op) -> bool {
    let Some(before) = before else { return false };
    let world = workspace.world();
    let keys = |project: &Project, them: &[NodeId]| them.iter().map(|it| project.key(*it).clone()).collect::<Vec<_>>();
    let parts = |project: &Project, op: &Op| {
        let whole = PartitionKey::whole();
        op.outputs.iter().map(|it| output_parts(project, world.partitions, *it, &whole)).collect::<Vec<_>>()
    };
    let texts = |set: &FileSet| set.patterns.iter().map(|it| it.text.clone()).collect::<Vec<_>>();
    let project = world.project;
    keys(project, &op.deps) == keys(before, &old.deps)
        && keys(project, &op.outputs) == keys(before, &old.outputs)
        && parts(project, op) == parts(before, old)
        && (texts(&op.code), texts(&op.sources)) == (texts(&old.code), texts(&old.sources))
        && own_parts(&world, op) == own_parts(&World { project: before, ..workspace.world() }, old)
}

fn touches(workspace: &Workspace, set: &FileSet, paths: &HashSet<ProjectPath>) -> bool {
    if set.patterns.is_empty() {
        return false;
    }
    // A file that is gone may be one that a pattern meant: where it begins is all that is asked.
    let starts: Vec<ProjectPath> = set
        .patterns
        .iter()
        .filter(|it| !it.text.starts_with('!'))
        .filter_map(|it| ProjectPath::resolve(&set.folder, fixed_start(&it.text)).ok())
        .collect();
    let is_gone = |it: &ProjectPath| fs::look(&it.under(&workspace.root)).is_ok_and(|it| it.is_none());
    if paths.iter().any(|it| starts.iter().any(|start| it.is_within(start)) && is_gone(it)) {
        return true;
    }
    match workspace.sweep.expand(set) {
        Ok(listing) => listing.files().into_iter().any(|it| paths.contains(&it)),
        Err(_) => paths.iter().any(|it| it.is_within(&set.folder)),
    }
}

/// A pattern up to its first name with a wildcard.
fn fixed_start(pattern: &str) -> &str {
    let Some(wild) = pattern.find(['*', '?', '[', '\\']) else { return pattern };
    pattern[..wild].rfind('/').map_or("", |slash| &pattern[..slash])
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
