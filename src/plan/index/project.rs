//! The written form of a resolved project, so that an unchanged manifest is never parsed again.
//!
//! Knows nothing of when it may be believed. The graph is not written: it follows from the rest. Order
//! and numbers are the format: whatever changes them changes [`FORM`] too.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use crate::{
    base::{
        digest::Digest,
        id::{Id, IdVec},
        path::ProjectPath,
        places::{Piece, Places},
        span::{FileId, Span},
    },
    model::{
        check::{DataCheck, Rule, Share},
        format::TableFormat,
        manifest::graph_of,
        materialized::{Hook, Incremental, Index, Publishing, Strategy},
        object_url::ObjectUrl,
        project::{
            Action, AdbcDatabase, Asset, Check, CheckBody, Durability, EnvName, FileSet, Home, Identity, IoId, IoKind,
            IoManager, Job, Node, NodeBody, NodeId, ObjectOptions, Op, OpId, Pattern, Pool, PoolId, Project, Severity,
            Shape, Source, Sql, SqlTable, SqlTemplate, VarValue, VersionKind,
        },
        sql::Dialect,
        template::Template,
    },
    plan::{
        hash::Signature,
        store::encode::{Coded, Malformed, Reader, coded_cases, coded_struct, decode, encode, write_bytes},
    },
};

/// Also tells projects of another version of this program apart: what a manifest means may have changed.
const FORM: &str = concat!("assets project 25, ", env!("CARGO_PKG_VERSION"));

/// What a project was read from, and what it was read with.
#[derive(Clone, PartialEq, Debug)]
pub struct Origin {
    /// Everything that is no file: target, variables, environment, where the project lies.
    pub question: Digest,
    /// Names of the environment whose values are part of `question`.
    pub env: Vec<String>,
    /// Manifest files in the order read; `None`: it was looked for and not there.
    pub files: Vec<(ProjectPath, Option<Digest>)>,
    /// Folders that were searched for more of them.
    pub folders: Vec<(ProjectPath, Signature)>,
    /// Where they were looked for.
    pub includes: FileSet,
}

coded_struct!(Origin { question, env, files, folders, includes });

/// The bytes to keep.
pub fn write(origin: &Origin, project: &Project) -> Vec<u8> {
    let mut body = Vec::new();
    write_bytes(&mut body, &encode(origin));
    body.extend_from_slice(&encode(project));
    let mut bytes = Digest::derive(FORM, &body).0.to_vec();
    bytes.extend_from_slice(&body);
    bytes
}

/// A kept project that is whole; its origin is read first, as it may not be wanted.
pub struct Kept<'a> {
    pub origin: Origin,
    project: &'a [u8],
}

impl<'a> Kept<'a> {
    /// `None` for anything that [`write`] did not write, whole.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (check, body) = bytes.split_first_chunk::<32>()?;
        if Digest::derive(FORM, body).0 != *check {
            return None;
        }
        let mut reader = Reader::new(body);
        let origin = decode(reader.bytes().ok()?).ok()?;
        Some(Kept { origin, project: reader.rest() })
    }

    pub fn project(&self) -> Option<Project> {
        decode(self.project).ok()
    }
}

impl Coded for Project {
    fn write(&self, out: &mut Vec<u8>) {
        // Every field by name: a new one is written too, or this does not compile.
        let Project {
            name,
            target,
            vars,
            nodes,
            ops,
            io_managers,
            pools,
            jobs,
            // A project with partitions is not kept.
            partitioning: _,
            pass_env,
            durability,
            graph: _,
            manifests,
        } = self;
        name.write(out);
        target.write(out);
        vars.write(out);
        nodes.write(out);
        ops.write(out);
        io_managers.write(out);
        pools.write(out);
        jobs.write(out);
        pass_env.write(out);
        durability.write(out);
        manifests.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (name, target, vars) = (Coded::read(from)?, Coded::read(from)?, Coded::read(from)?);
        let (nodes, ops) = (Coded::read(from)?, Coded::read(from)?);
        let graph = graph_of(&nodes, &ops).map_err(|_| Malformed("a graph with a cycle"))?;
        Ok(Project {
            name,
            target,
            vars,
            nodes,
            ops,
            graph,
            io_managers: Coded::read(from)?,
            pools: Coded::read(from)?,
            jobs: Coded::read(from)?,
            partitioning: Default::default(),
            pass_env: Coded::read(from)?,
            durability: Coded::read(from)?,
            manifests: Coded::read(from)?,
        })
    }
}

impl<I: Id, T: Coded> Coded for IdVec<I, T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        self.values().for_each(|it| it.write(out));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Vec::read(from).map(|it| it.into_iter().collect())
    }
}

coded_struct!(Node { key, place, description, group, tags, owners, kinds, body });
coded_struct!(Asset { op, io, path, format, shape, identity, version, publishing, allow_empty });
coded_struct!(FileSet { folder, patterns });
coded_struct!(Pattern { text, place });
coded_struct!(Op {
    name,
    place,
    action,
    folder,
    code,
    deps,
    forms,
    sources,
    env,
    code_version,
    pool,
    retries,
    retry_delay,
    timeout,
    in_place,
    outputs,
    checks,
});
coded_struct!(Check { asset, name, place, body, severity, blocking, threshold, sample, timeout });
coded_struct!(DataCheck { rule, filter, dialect, tables, homes });
coded_cases!(Severity { 0 = Warn, 1 = Error });
coded_cases!(Durability { 0 = Strict, 1 = Epoch, 2 = Off });
coded_struct!(Sql { text, file, dialect, tables, template, incremental, home });
coded_struct!(Home { file, text, places });
coded_struct!(Publishing { view, pre_hooks, post_hooks, indexes });
coded_struct!(Hook { text, shown });
coded_struct!(Index { columns, unique });
coded_struct!(Incremental { adding, strategy, unique_key });
coded_cases!(Strategy { 0 = Append, 1 = DeleteInsert, 2 = Merge });
coded_struct!(SqlTemplate { written, places, outline, vars, env });
coded_struct!(Piece { at, from, plain });
coded_struct!(SqlTable { name, node });
coded_cases!(Dialect { 0 = Sqlite, 1 = DataFusion, 2 = Postgres, 3 = DuckDb, 4 = Snowflake, 5 = BigQuery, 6 = Ansi });
coded_struct!(EnvName { name, secret });
coded_struct!(IoManager { name, place, kind });
coded_struct!(ObjectOptions { endpoint, region, allow_http, skip_signature });
coded_struct!(Pool { name, limit, per });
coded_struct!(Job { select, place, description, partitions, vars, pool });
coded_struct!(Span { file, start, end });
coded_cases!(TableFormat { 0 = Csv, 1 = Jsonl, 2 = Parquet, 3 = Arrow });
coded_cases!(Shape { 0 = File, 1 = Folder });
coded_cases!(Identity { 0 = Bytes, 1 = Rows, 2 = Json, 3 = Unread, 4 = Sequence });
coded_cases!(VersionKind { 0 = Content, 1 = Canonical, 2 = Reported, 3 = Inputs, 4 = Always });

macro_rules! coded_id {
    ($($name:ident),*) => {
        $(impl Coded for $name {
            fn write(&self, out: &mut Vec<u8>) {
                self.index().write(out);
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
                u32::read(from).map(|it| $name::new(it as usize))
            }
        })*
    };
}

coded_id!(NodeId, OpId, IoId, PoolId, FileId);

impl Coded for usize {
    fn write(&self, out: &mut Vec<u8>) {
        (*self as u64).write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        usize::try_from(u64::read(from)?).map_err(|_| Malformed("a number is too large"))
    }
}

impl Coded for Range<usize> {
    fn write(&self, out: &mut Vec<u8>) {
        (self.start, self.end).write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (start, end) = Coded::read(from)?;
        Ok(start..end)
    }
}

impl Coded for Places {
    fn write(&self, out: &mut Vec<u8>) {
        self.pieces().len().write(out);
        self.pieces().iter().for_each(|it| it.write(out));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Vec::read(from).map(Places::new)
    }
}

impl Coded for Duration {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_secs().write(out);
        self.subsec_nanos().write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (seconds, nanoseconds) = (u64::read(from)?, u32::read(from)?);
        if nanoseconds >= 1_000_000_000 {
            return Err(Malformed("more than a second of nanoseconds"));
        }
        Ok(Duration::new(seconds, nanoseconds))
    }
}

impl<T: Coded> Coded for BTreeMap<String, T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        for (key, value) in self {
            key.write(out);
            value.write(out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Vec::<(String, T)>::read(from).map(|it| it.into_iter().collect())
    }
}

impl Coded for Template {
    fn write(&self, out: &mut Vec<u8>) {
        write_bytes(out, self.text().as_bytes());
        self.place().write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Template::new(from.text()?, Option::read(from)?))
    }
}

impl Coded for Action {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Action::Argv(them) => {
                out.push(0);
                them.write(out);
            }
            Action::Shell(it) => {
                out.push(1);
                it.write(out);
            }
            Action::Sql(it) => {
                out.push(2);
                it.write(out);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        match from.byte()? {
            0 => Vec::read(from).map(Action::Argv),
            1 => Template::read(from).map(Action::Shell),
            2 => Sql::read(from).map(|it| Action::Sql(Box::new(it))),
            _ => Err(Malformed("unknown action")),
        }
    }
}

impl Coded for CheckBody {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            CheckBody::Command(it) => {
                out.push(0);
                it.write(out);
            }
            CheckBody::Data(it) => {
                out.push(1);
                it.write(out);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        match from.byte()? {
            0 => Action::read(from).map(CheckBody::Command),
            1 => DataCheck::read(from).map(|it| CheckBody::Data(Box::new(it))),
            _ => Err(Malformed("unknown check")),
        }
    }
}

impl Coded for Rule {
    fn write(&self, out: &mut Vec<u8>) {
        write_bytes(out, self.written().as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Rule::parse(from.text()?).map_err(|_| Malformed("unknown rule"))
    }
}

impl Coded for Share {
    fn write(&self, out: &mut Vec<u8>) {
        let (kind, number) = match self {
            Share::Amount(it) => (0, it),
            Share::Percent(it) => (1, it),
        };
        out.push(kind);
        out.extend_from_slice(&number.to_bits().to_le_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let kind = from.byte()?;
        let number = float(from)?;
        match kind {
            0 => Ok(Share::Amount(number)),
            1 => Ok(Share::Percent(number)),
            _ => Err(Malformed("unknown share")),
        }
    }
}

fn float(from: &mut Reader<'_>) -> Result<f64, Malformed> {
    let bits = from.take(8)?.first_chunk::<8>().ok_or(Malformed("too short"))?;
    Ok(f64::from_bits(u64::from_le_bytes(*bits)))
}

impl Coded for NodeBody {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            NodeBody::Asset(it) => {
                out.push(0);
                it.write(out);
            }
            NodeBody::Source(it) => {
                out.push(1);
                it.write(out);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        match from.byte()? {
            0 => Asset::read(from).map(NodeBody::Asset),
            1 => Source::read(from).map(NodeBody::Source),
            _ => Err(Malformed("unknown node")),
        }
    }
}

impl Coded for Source {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Source::Files(set) => {
                out.push(0);
                set.write(out);
            }
            Source::Command { action, folder, env } => {
                out.push(1);
                action.write(out);
                folder.write(out);
                env.write(out);
            }
            Source::Url { url, max_age } => {
                out.push(2);
                url.write(out);
                max_age.write(out);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match from.byte()? {
            0 => Source::Files(Coded::read(from)?),
            1 => Source::Command { action: Coded::read(from)?, folder: Coded::read(from)?, env: Coded::read(from)? },
            2 => Source::Url { url: Coded::read(from)?, max_age: Coded::read(from)? },
            _ => return Err(Malformed("unknown source")),
        })
    }
}

impl Coded for IoKind {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            IoKind::Fs { root } => {
                out.push(0);
                root.write(out);
            }
            IoKind::Memory => out.push(1),
            IoKind::Sqlite { path } => {
                out.push(2);
                path.write(out);
            }
            IoKind::ObjectStore { url, options } => {
                out.push(3);
                url.to_string().write(out);
                options.write(out);
            }
            IoKind::Postgres { url, schema, schema_from_key } => {
                out.push(4);
                url.write(out);
                schema.write(out);
                schema_from_key.write(out);
            }
            IoKind::Adbc(it) => {
                out.push(5);
                it.driver.write(out);
                it.entrypoint.write(out);
                it.dialect.write(out);
                it.file.write(out);
                it.schema.write(out);
                it.options.write(out);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        match from.byte()? {
            0 => ProjectPath::read(from).map(|root| IoKind::Fs { root }),
            1 => Ok(IoKind::Memory),
            2 => ProjectPath::read(from).map(|path| IoKind::Sqlite { path }),
            3 => {
                let url = ObjectUrl::parse(&String::read(from)?, &ProjectPath::root());
                let url = url.map_err(|_| Malformed("not the address of an object store"))?;
                Ok(IoKind::ObjectStore { url, options: Coded::read(from)? })
            }
            4 => Ok(IoKind::Postgres {
                url: Coded::read(from)?,
                schema: Coded::read(from)?,
                schema_from_key: Coded::read(from)?,
            }),
            5 => Ok(IoKind::Adbc(Box::new(AdbcDatabase {
                driver: Coded::read(from)?,
                entrypoint: Coded::read(from)?,
                dialect: Coded::read(from)?,
                file: Coded::read(from)?,
                schema: Coded::read(from)?,
                options: Coded::read(from)?,
            }))),
            _ => Err(Malformed("unknown IO manager")),
        }
    }
}

impl Coded for VarValue {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            VarValue::Text(it) => {
                out.push(0);
                it.write(out);
            }
            VarValue::Integer(it) => {
                out.push(1);
                it.write(out);
            }
            VarValue::Float(it) => {
                out.push(2);
                out.extend_from_slice(&it.to_bits().to_le_bytes());
            }
            VarValue::Boolean(it) => {
                out.push(3);
                it.write(out);
            }
            VarValue::List(them) => {
                out.push(4);
                them.write(out);
            }
            VarValue::Table(them) => {
                out.push(5);
                them.write(out);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match from.byte()? {
            0 => VarValue::Text(Coded::read(from)?),
            1 => VarValue::Integer(Coded::read(from)?),
            2 => VarValue::Float(float(from)?),
            3 => VarValue::Boolean(Coded::read(from)?),
            4 => VarValue::List(Coded::read(from)?),
            5 => VarValue::Table(Coded::read(from)?),
            _ => return Err(Malformed("unknown value")),
        })
    }
}
