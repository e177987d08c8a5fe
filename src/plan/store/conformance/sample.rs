//! Records to try a store with: small, and different wherever two could be confused.

use jiff::Timestamp;

use crate::{
    base::{digest::Digest, path::ProjectPath},
    model::{
        event::StepOutcome,
        fingerprint::{Fingerprint, Part, PartKind, PartValue},
        key::{AssetKey, PartitionKey},
    },
    plan::{
        backfill::{Backfill, BackfillAsset, BackfillState, Order},
        hash::Signature,
        record::{
            Attempt, AttemptId, AttemptState, Materialization, Observation, RunId, RunRecord, Session, StepRecord,
            StoredOutput, TrackedFile,
        },
        store::Change,
    },
};

pub fn key(text: &str) -> AssetKey {
    AssetKey::parse(text).expect("samples are named by keys")
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::new(1_790_000_000 + second, 5).expect("within the years that a timestamp has")
}

pub fn digest(of: &str) -> Digest {
    Digest::of(of.as_bytes())
}

fn path(text: &str) -> ProjectPath {
    ProjectPath::resolve(&ProjectPath::root(), text).expect("samples stay in the project")
}

/// What `attempt` made of `asset`; `number` tells two of them apart.
pub fn materialization(asset: &str, partition: &str, number: i64) -> Materialization {
    let attempt = format!("run-{number}-{asset}-1");
    let parts = vec![
        Part::new(PartKind::Command, "", PartValue::Text("cp {{ inputs.a }} {{ output }}".into())),
        Part::new(PartKind::Code, "lib/\u{e9}t\u{e9}.py", PartValue::Digest(digest(asset))),
        Part::new(PartKind::Env, "MODE", PartValue::Absent),
        Part::new(PartKind::Input, "up/stream", PartValue::Digest(digest(&number.to_string()))),
    ];
    let file = TrackedFile {
        path: path(&format!("data/{asset}.csv")),
        signature: Signature {
            dev: 2049,
            ino: 77 + number as u64,
            size: 1 << 33,
            mtime_ns: -1_000_000_007,
            ctime_ns: 1_790_000_000_123_456_789 + number,
            ..Signature::default()
        },
        digest: digest(&attempt),
        racy: number % 2 == 1,
    };
    Materialization {
        key: key(asset),
        partition: PartitionKey::new(partition),
        attempt: AttemptId(attempt),
        run: RunId(format!("run-{number}")),
        at: at(number),
        duration_ms: 1500 + number as u64,
        fingerprint: Fingerprint::new(parts),
        data_version: digest(&format!("{asset}{partition}{number}")),
        content: (number % 7 == 6).then(|| digest("content")),
        declared: (number % 7 == 5).then(|| "id bigint\nday date".into()),
        output: match number % 3 {
            0 => StoredOutput::Token(vec![0, 255, 10]),
            _ => StoredOutput::Files(vec![file]),
        },
        bytes: Some(1 << 33),
        rows: (number % 2 == 0).then_some(12),
        accepted: (number % 5 == 4).then(|| "looked at it".to_owned()),
        session: "boot-1".to_owned(),
    }
}

pub fn made(asset: &str, partition: &str, number: i64) -> Change {
    Change::Materialized(Box::new(materialization(asset, partition, number)))
}

pub fn observation(source: &str, number: i64) -> Observation {
    Observation {
        key: key(source),
        data_version: digest(&format!("{source}{number}")),
        at: at(number),
        shown: (number % 2 == 0).then(|| format!("etag \"{number}\"")),
        files: vec![(path("raw/a.csv"), digest("a")), (path("raw/b.csv"), digest(&number.to_string()))],
    }
}

/// A running attempt at the asset `op`.
pub fn attempt(op: &str, run: &str, number: i64) -> Attempt {
    Attempt {
        id: AttemptId(format!("{run}-{op}-{number}")),
        run: RunId(run.to_owned()),
        op: op.to_owned(),
        partition: PartitionKey::whole(),
        outputs: vec![key(op)],
        started_at: at(number),
        ended_at: None,
        state: AttemptState::Running,
        log: Some(format!(".assets/logs/{run}/{op}.log")),
        pid: 4242,
        host: "here".to_owned(),
    }
}

pub fn run(id: &str) -> RunRecord {
    RunRecord {
        id: RunId(id.to_owned()),
        started_at: at(0),
        ended_at: None,
        outcome: None,
        command: vec!["assets".to_owned(), "materialize".to_owned(), "+a b".to_owned()],
        steps: Vec::new(),
        pid: 4242,
        host: "here".to_owned(),
    }
}

pub fn step(asset: &str, outcome: StepOutcome) -> StepRecord {
    StepRecord {
        key: key(asset),
        partition: PartitionKey::whole(),
        outcome,
        duration_ms: 7,
        attempt: Some(AttemptId(format!("run-1-{asset}-1"))),
        data_version: Some(digest(asset)),
        bytes: Some(9),
        rows: None,
        error: (outcome == StepOutcome::Failed).then(|| "exit status 3".to_owned()),
    }
}

/// A wish for two partitions of `asset`.
pub fn backfill(name: &str, asset: &str) -> Backfill {
    let partitions = Some("2026-01-01,2026-01-02".to_owned());
    Backfill {
        name: name.to_owned(),
        asked_at: at(1),
        command: vec!["backfill".to_owned(), "start".to_owned()],
        assets: vec![
            BackfillAsset { key: key(asset), partitions, count: 2 },
            BackfillAsset { key: key("total"), partitions: None, count: 1 },
        ],
        order: Order::NewestFirst,
        jobs: Some(3),
        vars: vec![("mode".to_owned(), "full".to_owned())],
        state: BackfillState::Wanted,
        since: at(1),
        forced: (name == "x").then(Vec::new),
    }
}

pub fn session(id: &str) -> Session {
    Session { id: id.to_owned(), boot: format!("{id}-of-machine"), sealed: false }
}
