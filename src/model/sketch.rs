//! Projects for tests, from a few lines of text. Built by hand, so that tests of one part do not
//! need the manifest loader.
//!
//! ```text
//! source raw/orders
//! orders < raw/orders : group=staging tag.pii=no owner=team:data kind=python io=files code=lib/*.py
//! ```

use std::{collections::BTreeMap, time::Duration};

use crate::{
    base::{
        id::{Id, IdVec},
        path::ProjectPath,
        span::{FileId, Span},
    },
    model::{
        graph::AssetGraph,
        key::AssetKey,
        project::{
            Action, Asset, Durability, FileSet, Identity, IoId, IoKind, IoManager, Node, NodeBody, NodeId, Op, OpId,
            Pattern, Project, Shape, Source, VersionKind,
        },
        template::Template,
    },
};

struct Line<'a> {
    key: &'a str,
    is_source: bool,
    deps: Vec<&'a str>,
    attributes: Vec<(&'a str, &'a str)>,
}

fn read(line: &str) -> Line<'_> {
    let (head, attributes) = line.split_once(" : ").unwrap_or((line, ""));
    let (key, deps) = head.split_once('<').unwrap_or((head, ""));
    let key = key.trim();
    Line {
        key: key.trim_start_matches("source "),
        is_source: key.starts_with("source "),
        deps: deps.split_whitespace().collect(),
        attributes: attributes.split_whitespace().map(|it| it.split_once('=').expect("name=value")).collect(),
    }
}

impl Line<'_> {
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = String> + 'a {
        self.attributes.iter().filter(move |it| it.0 == name).map(|it| it.1.to_owned())
    }

    fn files(&self, name: &str) -> FileSet {
        let patterns = self.all(name).map(|text| Pattern { text, place: None }).collect();
        FileSet { folder: ProjectPath::root(), patterns }
    }

    fn op(&self, at: NodeId, place: Span, deps: Vec<NodeId>) -> Op {
        Op {
            name: self.key.to_owned(),
            place,
            action: Action::Shell(Template::new("true", None)),
            folder: path(&self.all("folder").next().unwrap_or_default()),
            code: self.files("code"),
            deps,
            forms: Vec::new(),
            sources: self.files("sources"),
            env: Vec::new(),
            code_version: None,
            pool: None,
            retries: 0,
            retry_delay: Duration::ZERO,
            timeout: None,
            in_place: false,
            outputs: vec![at],
            checks: Vec::new(),
        }
    }
}

fn path(text: &str) -> ProjectPath {
    ProjectPath::resolve(&ProjectPath::root(), text).expect("a path below the root")
}

/// Nodes get ids in the order of the lines.
pub(crate) fn project(text: &str) -> Project {
    let lines: Vec<Line<'_>> = text.lines().map(str::trim).filter(|it| !it.is_empty()).map(read).collect();
    let at: BTreeMap<&str, NodeId> = lines.iter().enumerate().map(|(at, it)| (it.key, NodeId::new(at))).collect();
    let place = Span::new(FileId::new(0), 0..0);
    let mut ios: IdVec<IoId, IoManager> = IdVec::new();
    let mut ops: IdVec<OpId, Op> = IdVec::new();
    let mut nodes: IdVec<NodeId, Node> = IdVec::new();
    let mut reads: IdVec<NodeId, Vec<NodeId>> = IdVec::new();
    for line in &lines {
        let deps: Vec<NodeId> = line.deps.iter().map(|it| at[it]).collect();
        let body = if line.is_source {
            NodeBody::Source(Source::Files(line.files("files")))
        } else {
            let io = line.all("io").next().unwrap_or_else(|| "files".to_owned());
            let known = ios.iter().find(|it| it.1.name == io).map(|it| it.0);
            let io = known.unwrap_or_else(|| {
                ios.push(IoManager { name: io, place: None, kind: IoKind::Fs { root: path("data") } })
            });
            let op = ops.push(line.op(at[line.key], place, deps.clone()));
            let file = path(&format!("{}.csv", line.key));
            NodeBody::Asset(Asset {
                op,
                io,
                path: file,
                format: Some("csv".into()),
                shape: Shape::File,
                identity: Identity::Bytes,
                version: VersionKind::Content,
                publishing: crate::model::materialized::Publishing::default(),
                allow_empty: None,
            })
        };
        nodes.push(Node {
            key: AssetKey::parse(line.key).expect("a key"),
            place,
            description: line.all("description").next(),
            group: line.all("group").next(),
            tags: line
                .attributes
                .iter()
                .filter_map(|(name, value)| Some((name.strip_prefix("tag.")?.to_owned(), (*value).to_owned())))
                .collect(),
            owners: line.all("owner").collect(),
            kinds: line.all("kind").collect(),
            body,
        });
        reads.push(deps);
    }
    let keys = nodes.values().map(|it| it.key.clone()).collect();
    Project {
        partitioning: Default::default(),
        name: "sketch".into(),
        target: None,
        vars: BTreeMap::new(),
        graph: AssetGraph::build(&keys, &reads).expect("no cycles"),
        nodes,
        ops,
        io_managers: ios,
        pools: IdVec::new(),
        jobs: BTreeMap::new(),
        pass_env: Vec::new(),
        durability: Durability::default(),
        manifests: vec![path("assets.toml")],
    }
}
