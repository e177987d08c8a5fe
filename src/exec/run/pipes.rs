//! Dagster Pipes, as far as it tells which version of an asset was made: where a program that speaks it finds what it
//! is asked for, and what it reported. Everything else that it may say is left unread.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    base::fs,
    exec::run::{context::RunContext, prepare::SpecParts},
};

/// A longer line is no message.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// Where messages are written; `log` is that of the attempt, relative to the project.
pub fn file(context: &RunContext<'_>, log: &str) -> PathBuf {
    context.workspace.root.join(log).with_extension("messages")
}

/// The two variables of a program that is to report the versions of what it makes.
pub fn variables(
    context: &RunContext<'_>,
    parts: &SpecParts<'_>,
    partition: &BTreeMap<String, String>,
) -> [(&'static str, String); 2] {
    let messages = json!({ "path": file(context, parts.log), "include_stdio_in_messages": false });
    let context = json!({ "data": told(context, parts, partition) });
    [("DAGSTER_PIPES_CONTEXT", encoded(&context)), ("DAGSTER_PIPES_MESSAGES", encoded(&messages))]
}

/// All that the protocol has a name for, and nothing else: some clients miss what is not there, others refuse more.
fn told(context: &RunContext<'_>, parts: &SpecParts<'_>, partition: &BTreeMap<String, String>) -> Value {
    let project = &context.workspace.project;
    let op = &project.ops[parts.step.op];
    let outputs = &op.outputs;
    let of_each = |value: &Value| -> Value {
        outputs.iter().map(|it| (project.key(*it).to_string(), value.clone())).collect::<serde_json::Map<_, _>>().into()
    };
    let mut keys: Vec<String> = outputs.iter().map(|it| project.key(*it).to_string()).collect();
    keys.sort();
    let range = |start: Option<&String>, end: Option<&String>| match (start, end) {
        (Some(start), Some(end)) => json!({ "start": start, "end": end }),
        _ => Value::Null,
    };
    let instant = |name: &str| Some(partition.get(name)?.replace('Z', "+00:00"));
    let number = parts.attempt.rsplit('-').next().and_then(|it| it.parse::<u32>().ok()).unwrap_or(1);
    json!({
        "asset_keys": keys,
        "code_version_by_asset_key": of_each(&json!(op.code_version)),
        "provenance_by_asset_key": of_each(&Value::Null),
        "partition_key": partition.get("key"),
        "partition_key_range": range(partition.get("key"), partition.get("key")),
        "partition_time_window": range(instant("start").as_ref(), instant("end").as_ref()),
        "run_id": context.run.0,
        "job_name": null,
        "retry_number": number.saturating_sub(1),
        "extras": {},
    })
}

/// JSON, as zlib holds what it does not compress, in base64.
fn encoded(value: &Value) -> String {
    let text = value.to_string().into_bytes();
    let mut packed = vec![0x78, 0x01];
    let mut pieces = text.chunks(usize::from(u16::MAX)).peekable();
    while let Some(piece) = pieces.next() {
        let len = u16::try_from(piece.len()).expect("pieces are cut to that");
        packed.push(u8::from(pieces.peek().is_none()));
        packed.extend([len.to_le_bytes(), (!len).to_le_bytes()].concat());
        packed.extend(piece);
    }
    let (one, all) = text.iter().fold((1, 0), |(one, all): (u32, u32), it| {
        let one = (one + u32::from(*it)) % 65521;
        (one, (all + one) % 65521)
    });
    packed.extend((all << 16 | one).to_be_bytes());
    STANDARD.encode(packed)
}

#[derive(Deserialize)]
struct Message {
    method: String,
    params: Option<Params>,
}

#[derive(Deserialize)]
struct Params {
    asset_key: Option<String>,
    data_version: Option<String>,
}

/// The version that was last reported for `key`, if any was; without a key it is meant if it is the only one.
///
/// # Errors
/// A file that cannot be read.
pub fn reported(messages: &Path, key: &str, is_only: bool) -> std::io::Result<Option<String>> {
    let mut found = None;
    if fs::look(messages).map_err(std::io::Error::other)?.is_none() {
        return Ok(found);
    }
    let mut file = BufReader::new(fs::open(messages).map_err(std::io::Error::other)?);
    loop {
        let mut line = Vec::new();
        if (&mut file).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(found);
        }
        let Some(Message { method, params: Some(params) }) = message(&line) else { continue };
        let is_meant = params.asset_key.as_deref().map_or(is_only, |it| it == key);
        if method == "report_asset_materialization" && is_meant {
            found = params.data_version.or(found);
        }
    }
}

/// Python writes numbers that JSON does not have.
fn message(line: &[u8]) -> Option<Message> {
    let text = std::str::from_utf8(line).ok()?;
    serde_json::from_str(text).or_else(|_| serde_json::from_str(&without_odd_numbers(text))).ok()
}

fn without_odd_numbers(text: &str) -> String {
    let (mut made, mut rest, mut is_quoted) = (String::with_capacity(text.len()), text, false);
    while let Some(first) = rest.chars().next() {
        let odd = ["NaN", "-Infinity", "Infinity"].into_iter().find(|it| !is_quoted && rest.starts_with(it));
        let taken = match (odd, first) {
            (Some(odd), _) => odd.len(),
            (None, '\\') => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (None, it) => it.len_utf8(),
        };
        is_quoted ^= first == '"';
        made.push_str(if odd.is_some() { "null" } else { &rest[..taken] });
        rest = &rest[taken..];
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_can_be_read_by_those_who_know_the_format() {
        assert_eq!(encoded(&json!({ "path": "/p/context" })), "eAEBFQDq/3sicGF0aCI6Ii9wL2NvbnRleHQifUyLBzs=");
    }

    #[test]
    fn the_last_version_of_the_asset_counts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("messages");
        assert_eq!(reported(&file, "a", true).unwrap(), None);
        let report = |params: &str| {
            format!(
                "{{\"__dagster_pipes_version\": \"0.1\", \"method\": \"report_asset_materialization\", \"params\": {{{params}}}}}\n"
            )
        };
        let lines = [
            "{\"__dagster_pipes_version\": \"0.1\", \"method\": \"opened\", \"params\": {\"extras\": {}}}\n",
            "{\"method\": \"log\", \"params\": {\"message\": \"\\\"data_version\\\"\", \"level\": \"INFO\"}}\nno json\n",
            &report("\"asset_key\": \"b\", \"data_version\": \"other\""),
            &report("\"asset_key\": \"raw/a\", \"data_version\": \"v-1\", \"metadata\": null"),
            &report(
                "\"asset_key\": \"raw/a\", \"data_version\": \"NaN \\\\\\\" Infinity\", \"metadata\": {\"n\": {\"raw_value\": NaN, \"type\": \"x\"}, \"m\": [-Infinity, 123456789012345678901234567890]}",
            ),
            &report("\"asset_key\": \"raw/a\", \"data_version\": null"),
            "{\"method\": \"closed\", \"params\": null}\n{\"method\": \"cut off",
        ];
        fs::write(&file, lines.concat().as_bytes()).unwrap();
        assert_eq!(reported(&file, "raw/a", true).unwrap().as_deref(), Some("NaN \\\" Infinity"));
        assert_eq!(reported(&file, "b", false).unwrap().as_deref(), Some("other"));
        assert_eq!(reported(&file, "c", false).unwrap(), None);
        fs::write(&file, report("\"data_version\": \"alone\"").as_bytes()).unwrap();
        assert_eq!(reported(&file, "a", true).unwrap().as_deref(), Some("alone"));
        assert_eq!(reported(&file, "a", false).unwrap(), None);
    }
}
