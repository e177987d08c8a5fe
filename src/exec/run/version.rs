//! The data version of what was made, where it is not its content: reported, taken from the inputs, or always new.

use std::path::PathBuf;

use crate::{
    base::{digest::Digest, fs, id::Id},
    exec::{
        io::Content,
        run::{
            context::RunContext,
            prepare::{Attempting, OutputAttempt},
        },
    },
    model::{
        fingerprint::Fingerprint,
        project::{NodeId, VersionKind},
    },
    plan::record::AttemptId,
};

const REPORTED_CONTEXT: &str = "assets reported version 1";
const INPUTS_CONTEXT: &str = "assets version of inputs 1";
const ALWAYS_CONTEXT: &str = "assets version always 1";

/// The variable of a command that holds the path of the file for its version; with `_KEY` for each of several.
pub const VARIABLE: &str = "ASSETS_VERSION_FILE";
/// Longer versions are no versions.
const REPORTED_BYTES_MAX: u64 = 64 << 10;

pub const HELP: &str =
    "its command writes it to the file that ASSETS_VERSION_FILE names; without one, take `version = \"reported\"` out";

/// # Errors
/// Nothing was reported where something should be.
pub fn of(
    context: &RunContext<'_>,
    attempting: &Attempting,
    output: &OutputAttempt,
    kind: VersionKind,
    content: &Content,
) -> Result<Digest, String> {
    if let Some(version) = without_report(kind, &output.fingerprint, &attempting.id) {
        return Ok(version);
    }
    if kind != VersionKind::Reported {
        return Ok(content.data_version);
    }
    let key = context.workspace.project.key(output.node);
    let path = attempting.log.as_deref().map(|it| file(context, it, output.node));
    let bytes = path.and_then(|it| fs::read_at_most(&it, REPORTED_BYTES_MAX).ok().flatten()).unwrap_or_default();
    let text = String::from_utf8(bytes).unwrap_or_default();
    match text.trim() {
        "" => Err(format!("no data version of {key} was reported")),
        text => Ok(Digest::derive(REPORTED_CONTEXT, text.as_bytes())),
    }
}

/// The same of what nobody reports; `None`: that is its content.
pub fn without_report(kind: VersionKind, fingerprint: &Fingerprint, attempt: &AttemptId) -> Option<Digest> {
    match kind {
        VersionKind::Content | VersionKind::Canonical | VersionKind::Reported => None,
        VersionKind::Inputs => Some(Digest::derive(INPUTS_CONTEXT, &fingerprint.digest().0)),
        VersionKind::Always => Some(Digest::derive(ALWAYS_CONTEXT, attempt.0.as_bytes())),
    }
}

/// Where the version of `node` is to be written; `log` is that of the attempt, relative to the project.
pub fn file(context: &RunContext<'_>, log: &str, node: NodeId) -> PathBuf {
    context.workspace.root.join(log).with_extension(format!("version-{}", node.index()))
}

/// Names and places of the files that the command of an attempt is told of.
pub fn files(context: &RunContext<'_>, log: &str, outputs: &[NodeId]) -> Vec<(String, PathBuf)> {
    let project = &context.workspace.project;
    let reported = |it: &&NodeId| project.nodes[**it].asset().is_some_and(|it| it.version == VersionKind::Reported);
    let mut files = Vec::new();
    for node in outputs.iter().filter(reported) {
        let path = file(context, log, *node);
        files.push((format!("{VARIABLE}_{}", project.key(*node).env_name()), path.clone()));
        if outputs.len() == 1 {
            files.push((VARIABLE.to_owned(), path));
        }
    }
    files
}
