//! The data version of what was made, where it is not its content: reported, taken from the inputs, or always new.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use crate::{
    base::{digest::Digest, fs, id::Id},
    exec::{
        io::Content,
        run::{
            context::RunContext,
            pipes,
            prepare::{Attempting, OutputAttempt, SpecParts},
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

pub const HELP: &str = "its command writes it to the file that ASSETS_VERSION_FILE names, or reports it by Dagster Pipes; without one, take `version = \"reported\"` out";

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
    let Some(log) = attempting.log.as_deref() else { return Err(format!("no data version of {key} was reported")) };
    let written = fs::read_at_most(&file(context, log, output.node), REPORTED_BYTES_MAX).ok().flatten();
    let written = String::from_utf8(written.unwrap_or_default()).unwrap_or_default();
    let messages = pipes::file(context, log);
    let is_only = attempting.outputs.len() == 1;
    let told = pipes::reported(&messages, key.as_str(), is_only)
        .map_err(|it| format!("{} cannot be read: {it}", messages.display()))?;
    match (written.trim(), told.as_deref().map_or("", str::trim)) {
        ("", "") => Err(format!("no data version of {key} was reported")),
        ("", text) | (text, "") => Ok(Digest::derive(REPORTED_CONTEXT, text.as_bytes())),
        (one, other) if one != other => Err(format!("two data versions of {key} were reported: {one} and {other}")),
        (text, _) => Ok(Digest::derive(REPORTED_CONTEXT, text.as_bytes())),
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

/// What the command of an attempt is told of where to report: the files for versions, and Pipes.
pub fn variables(
    context: &RunContext<'_>,
    parts: &SpecParts<'_>,
    partition: &BTreeMap<String, String>,
) -> Vec<(String, OsString)> {
    let project = &context.workspace.project;
    let outputs = &project.ops[parts.step.op].outputs;
    let reported = |it: &&NodeId| project.nodes[**it].asset().is_some_and(|it| it.version == VersionKind::Reported);
    let mut told = Vec::new();
    for node in outputs.iter().filter(reported) {
        let path = file(context, parts.log, *node).into_os_string();
        told.push((format!("{VARIABLE}_{}", project.key(*node).env_name()), path.clone()));
        if outputs.len() == 1 {
            told.push((VARIABLE.to_owned(), path));
        }
    }
    if !told.is_empty() {
        let pipes = pipes::variables(context, parts, partition);
        told.extend(pipes.map(|(name, value)| (name.to_owned(), value.into())));
    }
    told
}
