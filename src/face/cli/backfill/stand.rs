//! How a backfill stands: what it asks for, held against the manifest and the records as they are now.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
};

use crate::{
    base::fs,
    exec::lock::{LockName, LockTable},
    face::{
        app::App,
        cli::{
            choosing::Chosen,
            error::Failure,
            materialize::{forced, jobs_of},
        },
        report::backfill::{BACKFILL, BackfillAssetDocument, BackfillCounts, BackfillDocument, Standing},
    },
    model::{
        node_set::NodeSet,
        partition::PartitionSet,
        project::{NodeId, OpId, PoolId},
        staleness::State,
    },
    plan::{
        backfill::{Backfill, BackfillState},
        survey::{Request, Survey, survey},
        world::World,
    },
};

/// What a backfill asks for, as far as the manifest still knows it.
pub struct Recalled {
    pub selected: NodeSet,
    pub only: Chosen,
    /// Of each asset that lost some, in words.
    pub lost: Vec<String>,
    /// Of each asset of the backfill, how many are not defined any more.
    undefined: Vec<u64>,
}

pub fn recall(app: &App, backfill: &Backfill) -> Recalled {
    let project = app.project();
    let mut recalled = Recalled {
        selected: NodeSet::none(project.len()),
        only: Chosen::new(),
        lost: Vec::new(),
        undefined: Vec::new(),
    };
    for it in &backfill.assets {
        let node = project.node(it.key.as_str()).filter(|it| project.nodes[*it].asset().is_some());
        let Some(node) = node else {
            recalled.undefined.push(it.count);
            recalled.lost.push(format!("{} is not in the manifest any more", it.key));
            continue;
        };
        let cuts = app.workspace.partitions.cuts(node);
        let keys = app.workspace.partitions.of_node(node);
        let set = match &it.partitions {
            Some(text) if cuts => keys.recall(text).set,
            None if !cuts => keys.all(),
            Some(_) | None => PartitionSet::empty(),
        };
        let count = set.count();
        recalled.undefined.push(it.count.saturating_sub(count));
        if it.partitions.is_some() != cuts {
            let now = if cuts { "has partitions now" } else { "has no partitions any more" };
            recalled.lost.push(format!("{} {now}", it.key));
        } else if count < it.count {
            let (left, all) = (it.count - count, it.count);
            recalled.lost.push(format!("of {}, {left} of {all} partitions are not in the manifest any more", it.key));
        } else if count > it.count {
            let more = count - it.count;
            recalled.lost.push(format!("of {}, {more} partitions have come between those that were asked for", it.key));
        }
        if !set.is_empty() {
            recalled.selected.insert(node);
            if cuts {
                recalled.only.insert(node, set);
            }
        }
    }
    recalled
}

/// Looks at everything that is asked for.
pub fn look(app: &App, backfill: &Backfill, recalled: &Recalled) -> Result<Survey, Failure> {
    let scope = &recalled.selected;
    let forced = forced(backfill.forced.is_some(), false);
    let world = World { spared: backfill.forced.as_deref().unwrap_or_default(), ..app.workspace.world() };
    Ok(survey(&world, &Request { scope, runs: scope, forced, only: Some(&recalled.only) })?)
}

pub fn document(app: &App, backfill: &Backfill) -> Result<BackfillDocument, Failure> {
    let recalled = recall(app, backfill);
    let surveyed = look(app, backfill, &recalled)?;
    Ok(told(app, backfill, standing(app, backfill), &recalled, &surveyed))
}

/// The same of what was looked at already.
pub fn told(
    app: &App,
    backfill: &Backfill,
    standing: Standing,
    recalled: &Recalled,
    surveyed: &Survey,
) -> BackfillDocument {
    let mut counts = BackfillCounts::default();
    let mut assets = Vec::with_capacity(backfill.assets.len());
    let mut work = Work { app, jobs: jobs_of(backfill.jobs.and_then(|it| usize::try_from(it).ok())), ..Work::of(app) };
    for (it, undefined) in backfill.assets.iter().zip(&recalled.undefined) {
        let node = app.project().node(it.key.as_str()).filter(|it| recalled.selected.contains(*it));
        let mut of = BackfillCounts { total: it.count, undefined: *undefined, ..BackfillCounts::default() };
        let mut told = BackfillAssetDocument {
            key: it.key.to_string(),
            partitions: None,
            left: None,
            counts: of,
            estimated_ms: None,
        };
        if let Some(node) = node {
            let left = found(surveyed, node, &mut of);
            of.total = of.total.max(of.fresh + of.left + of.waiting + of.undefined);
            let keys = app.workspace.partitions.of_node(node);
            told.partitions = recalled.only.get(&node).map(|it| keys.print(it));
            told.left = (app.workspace.partitions.cuts(node) && !left.is_empty()).then(|| keys.print(&left));
            told.estimated_ms = work.add(surveyed, node, of.left);
        }
        told.counts = of;
        counts.add(&of);
        assets.push(told);
    }
    let planned = standing == Standing::Planned;
    BackfillDocument {
        schema: BACKFILL,
        name: backfill.name.clone(),
        state: standing.name(),
        asked_at: (!planned).then(|| backfill.asked_at.to_string()),
        since: (!planned).then(|| backfill.since.to_string()),
        order: backfill.order.name(),
        jobs: backfill.jobs,
        vars: backfill.vars.iter().cloned().collect(),
        counts,
        estimated_ms: work.estimated_ms(),
        assets,
    }
}

impl BackfillCounts {
    fn add(&mut self, more: &BackfillCounts) {
        self.total += more.total;
        self.fresh += more.fresh;
        self.left += more.left;
        self.failed += more.failed;
        self.waiting += more.waiting;
        self.undefined += more.undefined;
    }
}

/// Fills the counts of one asset; those that are not fresh and could be made.
fn found(surveyed: &Survey, node: NodeId, counts: &mut BackfillCounts) -> PartitionSet {
    if let Some(parted) = surveyed.parted.get(&node) {
        let left = parted.not_fresh();
        counts.fresh = parted.fresh.count();
        counts.left = left.count();
        counts.failed = parted.in_state(State::Failed).intersection(&left).count();
        counts.waiting = parted.waiting.count();
        return left;
    }
    let Some(it) = surveyed.get(node) else { return PartitionSet::empty() };
    if surveyed.waiting.contains(&node) {
        counts.waiting = 1;
        return PartitionSet::empty();
    }
    let fresh = it.verdict.is_fresh();
    (counts.fresh, counts.left) = (u64::from(fresh), u64::from(!fresh));
    counts.failed = u64::from(it.state == State::Failed);
    if fresh { PartitionSet::empty() } else { PartitionSet::one(0) }
}

/// Time that is left, as far as records tell: what runs side by side divides it, pools limit that.
struct Work<'a> {
    app: &'a App,
    jobs: usize,
    all_ms: u64,
    by_pool: BTreeMap<PoolId, u64>,
    /// Assets that are made by one step count once.
    ops: HashSet<OpId>,
    known: bool,
}

impl<'a> Work<'a> {
    fn of(app: &'a App) -> Work<'a> {
        Work { app, jobs: 1, all_ms: 0, by_pool: BTreeMap::new(), ops: HashSet::new(), known: false }
    }

    /// One after the other; `None` if nothing is recorded.
    fn add(&mut self, surveyed: &Survey, node: NodeId, left: u64) -> Option<u64> {
        let parts = surveyed.recorded.get(&node).into_iter().flat_map(|it| it.values());
        let records: Vec<u64> = parts.chain(surveyed.records.get(&node)).map(|it| it.duration_ms).collect();
        let mean = records.iter().sum::<u64>().checked_div(records.len() as u64)?;
        let ms = mean.saturating_mul(left);
        let op = self.app.project().op_of(node)?;
        self.known = true;
        if self.ops.insert(op) {
            self.all_ms = self.all_ms.saturating_add(ms);
            // Of a pool by dimension nobody knows how many values will meet.
            let pool = self.app.project().ops[op].pool.filter(|it| self.app.project().pools[*it].per.is_none());
            if let Some(pool) = pool {
                *self.by_pool.entry(pool).or_default() += ms;
            }
        }
        Some(ms)
    }

    fn estimated_ms(&self) -> Option<u64> {
        let limit = |pool: &PoolId| self.app.project().pools[*pool].limit.min(self.jobs).max(1) as u64;
        let pools = self.by_pool.iter().map(|(pool, ms)| ms / limit(pool));
        self.known.then(|| pools.max().unwrap_or(0).max(self.all_ms / self.jobs.max(1) as u64))
    }
}

/// What the record says, and whether a process works on it.
pub fn standing(app: &App, backfill: &Backfill) -> Standing {
    match (backfill.state, is_held(app, &backfill.name)) {
        (BackfillState::Wanted, true) => Standing::Running,
        (BackfillState::Wanted, false) => Standing::Interrupted,
        (BackfillState::Paused, true) => Standing::Pausing,
        (BackfillState::Paused, false) => Standing::Paused,
        (BackfillState::Cancelled, true) => Standing::Cancelling,
        (BackfillState::Cancelled, false) => Standing::Cancelled,
        (BackfillState::Done, _) => Standing::Done,
        (BackfillState::Failed, _) => Standing::Failed,
    }
}

/// A file of its own: what steps hold is also held by their supervisors, which end a moment later.
pub fn locks_path(app: &App) -> PathBuf {
    app.locks_folder().join("backfills")
}

pub fn lock_name(app: &App, name: &str) -> LockName {
    LockName::of_text(&format!("{}\0{name}", app.project().target.as_deref().unwrap_or_default()))
}

fn is_held(app: &App, name: &str) -> bool {
    let path = locks_path(app);
    if !matches!(fs::look(&path), Ok(Some(_))) {
        return false;
    }
    // Where no lock can be asked for, nobody could work on it either.
    let Ok(table) = LockTable::open(&path) else { return false };
    let asked: Result<_, _> = Arc::clone(&table).try_shared(&[lock_name(app, name)]);
    asked.is_ok_and(|it| it.guard().is_none())
}

/// Those that failed, and what is below them and not fresh.
pub fn failed(app: &App, recalled: &Recalled, surveyed: &Survey) -> Chosen {
    let project = app.project();
    let partitions = &app.workspace.partitions;
    let mut chosen: HashMap<NodeId, PartitionSet> = HashMap::new();
    for node in project.graph.order().iter().filter(|it| recalled.selected.contains(**it)) {
        let mut counts = BackfillCounts::default();
        let left = found(surveyed, *node, &mut counts);
        let mut own = match surveyed.parted.get(node) {
            Some(parted) => parted.in_state(State::Failed),
            None if counts.failed > 0 => left.clone(),
            None => PartitionSet::empty(),
        };
        let Some(op) = project.op_of(*node) else { continue };
        for dep in &project.ops[op].deps {
            let Some(of_dep) = chosen.get(dep).filter(|it| !it.is_empty()) else { continue };
            own = own.union(&match partitions.related(op, *dep) {
                Some(related) => related.downstream(of_dep),
                None => partitions.of_op(op).all(),
            });
        }
        chosen.insert(*node, own.intersection(&left));
    }
    chosen
}

/// How many are left, and how many of them failed.
pub fn left(recalled: &Recalled, surveyed: &Survey) -> (u64, u64) {
    let mut all = BackfillCounts::default();
    for node in recalled.selected.iter() {
        let mut counts = BackfillCounts::default();
        found(surveyed, node, &mut counts);
        all.add(&counts);
    }
    (all.left, all.failed)
}
