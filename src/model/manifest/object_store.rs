//! `[io.*]` of type `object_store`: its address and options, and what cannot be kept there.

use std::collections::HashMap;

use crate::{
    base::{diagnostic::Diagnostic, id::Id, path::ProjectPath},
    model::{
        object_url::{ObjectUrl, RESERVED, Service},
        project::{IoKind, NodeId, ObjectOptions, Project},
    },
};

use super::{
    code,
    gather::{Declared, Gathered},
    pattern,
    raw::{Data, Value},
    report::Report,
    resolve::Resolver,
};

/// Of an IO manager whose mistake was told: it may keep whatever it is given.
pub fn unknown_place() -> IoKind {
    IoKind::ObjectStore { url: ObjectUrl::Memory, options: ObjectOptions::default() }
}

impl Resolver<'_> {
    /// What is wrong was reported: it stays an object store, so that no more is told than that.
    pub fn object_store(&mut self, io: &Declared) -> IoKind {
        let options = ObjectOptions {
            endpoint: self.option_text(io, "endpoint"),
            region: self.option_text(io, "region"),
            allow_http: is_set(io, "allow_http"),
            skip_signature: is_set(io, "skip_signature"),
        };
        let folder = self.from.origins[io.origin].folder.clone();
        let url = self.required(io, "io", "url").and_then(|it| Some((it.text()?, it.place)));
        let url = url.and_then(|(text, place)| Some((self.render(text, place)?, place)));
        let Some((text, place)) = url else { return unknown_place() };
        let url = match ObjectUrl::parse(&text, &folder) {
            Ok(url) => url,
            Err(bad) => {
                self.report.push(Diagnostic::error(code::BAD_VALUE, bad.message).at(place).help(bad.help));
                return unknown_place();
            }
        };
        if let ObjectUrl::Project(path) = &url
            && let Some(part) = pattern::forbidden_part(path)
        {
            let told = Diagnostic::error(code::BAD_PATH, format!("{url} lies in `{part}`")).at(place);
            self.report.push(told.help(format!("`{part}` is not for data; choose another folder")));
        }
        self.reachable(io, &url, &options);
        IoKind::ObjectStore { url, options }
    }

    fn option_text(&mut self, io: &Declared, key: &str) -> Option<String> {
        let value = io.table.get(key)?;
        self.render(value.text()?, value.place).map(|it| it.to_string())
    }

    /// Options that this address has no use for, and an endpoint that would never be asked.
    fn reachable(&mut self, io: &Declared, url: &ObjectUrl, options: &ObjectOptions) {
        if !url.is_remote() {
            for key in ["endpoint", "region", "allow_http", "skip_signature"] {
                if let Some(entry) = io.table.entry(key) {
                    let told = Diagnostic::error(code::BAD_VALUE, format!("`{key}` means nothing to {url}"));
                    self.report.push(told.at(entry.place).help("only a bucket is reached by a connection"));
                }
            }
            return;
        }
        if !matches!(url, ObjectUrl::Bucket { service: Service::S3, .. })
            && let Some(entry) = io.table.entry("region")
        {
            let told = Diagnostic::error(code::BAD_VALUE, format!("`region` means nothing to {url}"));
            self.report.push(told.at(entry.place).help("remove it: a bucket there is found by its name"));
        }
        let plain = options.endpoint.as_deref().is_some_and(|it| it.starts_with("http://"));
        if let (true, false, Some(entry)) = (plain, options.allow_http, io.table.entry("endpoint")) {
            self.report.push(
                Diagnostic::error(code::BAD_VALUE, "the endpoint is asked without encryption")
                    .at(entry.place)
                    .help("use https://, or say `allow_http = true`"),
            );
        }
    }
}

fn is_set(io: &Declared, key: &str) -> bool {
    matches!(io.table.get(key), Some(Value { data: Data::Boolean(true), .. }))
}

/// Assets that no object store could keep apart, or at all.
pub fn check(project: &Project, from: &Gathered, report: &mut Report) {
    let mut seen: HashMap<(String, &ProjectPath), NodeId> = HashMap::new();
    for (id, node, asset) in project.assets() {
        let IoKind::ObjectStore { url, .. } = &project.io_managers[asset.io].kind else { continue };
        let table = &from.asset.entries[id.index()].table;
        let path_place = table.entry("path").map_or(node.place, |it| it.place);
        let op = &project.ops[asset.op];
        if op.in_place {
            report.push(
                Diagnostic::error(code::BAD_VALUE, format!("`in_place` means nothing to {url}"))
                    .at(table.entry("in_place").map_or(op.place, |it| it.place))
                    .help("a command cannot write to an object: it writes to {{ output }}, which is uploaded"),
            );
        }
        let bytes = asset.path.as_bytes();
        if bytes.split(|it| *it == b'/').any(|part| RESERVED.iter().any(|it| part == it.as_bytes())) {
            let names = RESERVED.join("`, `");
            let told = Diagnostic::error(code::BAD_PATH, format!("an object store keeps its own things in `{names}`"));
            report.push(told.at(path_place).help("choose another path"));
        }
        if std::str::from_utf8(bytes).is_err() {
            let told = Diagnostic::error(code::BAD_PATH, "an object's name must be UTF-8");
            report.push(told.at(path_place).help("choose another path"));
        }
        let first = *seen.entry((url.to_string(), &asset.path)).or_insert(id);
        if first != id {
            let (a, b) = (project.key(first), &node.key);
            report.push(
                Diagnostic::error(code::OVERLAP, format!("`{a}` and `{b}` would both be kept at {url}/{}", asset.path))
                    .at(path_place)
                    .label("the same place")
                    .other(project.nodes[first].place, "as this")
                    .help("give one of the two another `path`"),
            );
        }
    }
}
