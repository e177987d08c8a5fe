//! `assets plan` and `materialize --dry-run`: what would be done. A plan can be written to a file
//! and done later, if the world has not moved since.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{
    base::{diagnostic::Severity, digest::Digest, fs, span::SourceMap},
    face::{
        app::App,
        cli::{
            Context,
            args::{DeferArgs, MaterializeArgs, PlanArgs, Selection},
            choosing, defer,
            error::Failure,
            foreign,
            materialize::forced,
            selecting,
        },
        exit::Exit,
        report::{Layout, json, plan as report, plan::PlanRow},
        ui::line,
    },
    model::{
        event::Extent,
        fingerprint::Fingerprint,
        key::PartitionKey,
        node_set::NodeSet,
        plan::{Plan, PlanStep, StepAction},
        project::{NodeId, Project},
        staleness::Reason,
    },
    plan::{
        planner,
        store::folder::Access,
        survey::{Forced, Request, Survey, survey},
    },
};

/// Of more queries it is told when they are run, or by `validate`: a plan is quick.
const FORETOLD_MAX: usize = 500;
const FORMAT: &str = "assets.planfile/1";

pub fn run(context: &Context, args: &PlanArgs) -> Result<Exit, Failure> {
    let asked = Asked {
        words: &args.words,
        selection: &args.selection,
        partition: args.partition.as_deref(),
        forced: forced(args.force, args.full_refresh),
        verify: args.verify,
        defer: &args.defer,
        out: args.out.as_deref(),
    };
    answer(context, &asked)
}

pub fn dry_run(context: &Context, args: &MaterializeArgs) -> Result<Exit, Failure> {
    let asked = Asked {
        words: &args.words,
        selection: &args.selection,
        partition: args.partition.as_deref(),
        forced: forced(args.force, args.full_refresh),
        verify: args.verify,
        defer: &args.defer,
        out: None,
    };
    answer(context, &asked)
}

struct Asked<'a> {
    words: &'a [String],
    selection: &'a Selection,
    partition: Option<&'a str>,
    forced: Forced,
    verify: bool,
    defer: &'a DeferArgs,
    out: Option<&'a Path>,
}

fn answer(context: &Context, asked: &Asked<'_>) -> Result<Exit, Failure> {
    let mut app = App::open(&context.opening, Access::Read, asked.verify, &context.ui)?;
    let selected = selecting::select(app.project(), Some(&app), asked.words, asked.selection, &context.ui)?;
    let selected = selecting::made_of(app.project(), &selected);
    defer::apply(context, &mut app, asked.defer, &selected)?;
    let project = app.project();
    let only = choosing::chosen(&app, &selected, asked.partition, &context.ui)?;
    let world = app.workspace.world();
    let request = Request { scope: &selected, runs: &selected, forced: asked.forced, only: only.as_ref() };
    let surveyed = survey(&world, &request)?;
    let plan = planner::plan(&world, &surveyed, &selected)?;
    app.keep_cache(&context.ui);
    if let Some(file) = asked.out {
        let written = PlanFile {
            partition: asked.partition.map(str::to_owned),
            ..PlanFile::of(project, &surveyed, &plan, &selected, asked.forced)
        };
        let text = serde_json::to_string_pretty(&written).expect("a plan is plain data");
        fs::write_atomic(file, text.as_bytes())?;
    }
    if context.json {
        context.ui.print(&json(&report::document(&rows(project, &plan))))?;
    } else {
        let layout = Layout::of(context.ui.out(), context.ui.is_verbose(), world.now);
        context.ui.print(&report::text(&rows(project, &plan), plan.fresh.len(), layout))?;
        if let Some(line) = defer::line(&app) {
            context.ui.print(&format!("{line}\n"))?;
        }
        foretell(context, &app, &plan);
    }
    Ok(Exit::Done)
}

/// Tells of queries that would be run and cannot be.
fn foretell(context: &Context, app: &App, plan: &Plan) {
    let project = app.project();
    let ops = plan.steps.iter().take(FORETOLD_MAX).map(|it| &project.ops[it.op]);
    let mut sources = SourceMap::default();
    let mut found = foreign::mistakes(project, &app.workspace.root, ops, &mut sources);
    found.iter_mut().for_each(|it| it.severity = Severity::Warning);
    context.ui.diagnostics(&found, &sources);
}

fn rows(project: &Project, plan: &Plan) -> Vec<PlanRow> {
    let row = |step: &PlanStep, node: NodeId, reasons: &[Reason]| {
        let asset = project.nodes[node].asset().expect("only assets are planned");
        PlanRow {
            key: project.key(node).clone(),
            partition: step.partition.clone(),
            io: project.io_managers[asset.io].name.clone(),
            action: step.action,
            reasons: reasons.to_vec(),
            extent: Some(Extent::for_reasons(reasons))
                .filter(|_| step.action == StepAction::Build && project.is_added_to(node)),
        }
    };
    plan.steps.iter().flat_map(|step| step.outputs.iter().map(|(node, reasons)| row(step, *node, reasons))).collect()
}

/// A plan as it is written to a file.
#[derive(Serialize, Deserialize, Debug)]
pub struct PlanFile {
    pub schema: String,
    pub project: String,
    forced: bool,
    #[serde(default)]
    full_refresh: bool,
    /// What `--partition` said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// Keys of the assets that were selected.
    pub select: Vec<String>,
    /// Each asset that will be remade and why, in words; and what it was fingerprinted as.
    steps: Vec<PlannedAsset>,
}

#[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
struct PlannedAsset {
    key: String,
    action: String,
    /// Of everything that is known of it now: what would have to stay for the plan to stand.
    state: String,
}

impl PlanFile {
    fn of(project: &Project, surveyed: &Survey, plan: &Plan, selected: &NodeSet, forced: Forced) -> PlanFile {
        PlanFile {
            schema: FORMAT.to_owned(),
            project: project.name.clone(),
            forced: forced == Forced::All,
            full_refresh: forced == Forced::Incremental,
            partition: None,
            select: selected.iter().map(|it| project.key(it).to_string()).collect(),
            steps: planned(project, surveyed, plan),
        }
    }

    pub fn forced(&self) -> Forced {
        forced(self.forced, self.full_refresh)
    }

    /// The assets that the plan was made for.
    pub fn selected(&self, project: &Project) -> Result<NodeSet, Failure> {
        let mut set = NodeSet::none(project.len());
        for key in &self.select {
            let node = project.node(key).filter(|it| project.nodes[*it].asset().is_some());
            set.insert(node.ok_or_else(|| moved(&format!("asset {key} is not in the manifest any more")))?);
        }
        Ok(set)
    }

    /// Refuses if what would be done now is not what was planned.
    pub fn check(&self, project: &Project, surveyed: &Survey, plan: &Plan) -> Result<(), Failure> {
        let now = planned(project, surveyed, plan);
        if now == self.steps {
            return Ok(());
        }
        let differs =
            now.iter().find(|it| !self.steps.contains(it)).or_else(|| self.steps.iter().find(|it| !now.contains(it)));
        let key = differs.map_or("the order of steps", |it| it.key.as_str());
        Err(moved(&format!("{key} is not what it was when the plan was made")))
    }
}

fn moved(why: &str) -> Failure {
    Failure::usage(format!("the plan does not hold any more: {why}"))
        .hint("make a new one: `assets plan --out FILE`; nothing was run")
}

fn planned(project: &Project, surveyed: &Survey, plan: &Plan) -> Vec<PlannedAsset> {
    let one = |node: NodeId, partition: &PartitionKey, action: &str, reasons: &[Reason]| {
        let fingerprint = surveyed.get(node).and_then(|it| it.fingerprint.as_ref()).map(|it| it.digest());
        // What is known of one that waits for others, whose fingerprint is not.
        let parts = project.op_of(node).and_then(|it| surveyed.facts.ops.get(&it)).map(|it| it.parts.clone());
        let mut state = format!("{fingerprint:?}\0{:?}", parts.map(|it| Fingerprint::new(it).digest()));
        for it in reasons {
            state.push_str(&format!("\0{}\0{}\0{:?}\0{:?}", it.code.name(), it.subject, it.old, it.new));
        }
        PlannedAsset {
            key: line::name(project.key(node), partition),
            action: action.to_owned(),
            state: Digest::derive("assets plan state 1", state.as_bytes()).to_string(),
        }
    };
    plan.steps
        .iter()
        .flat_map(|step| {
            let planned =
                move |(node, reasons): &(NodeId, Vec<Reason>)| one(*node, &step.partition, step.action.name(), reasons);
            step.outputs.iter().map(planned)
        })
        .collect()
}

/// Reads a plan that `--out` wrote.
pub fn read(app: &App, file: &Path) -> Result<PlanFile, Failure> {
    let bytes = fs::read(file)?;
    let plan: PlanFile = serde_json::from_slice(&bytes).map_err(|it| {
        Failure::usage(format!("{} is not a plan: {it}", file.display())).hint("`assets plan --out FILE` writes one")
    })?;
    if plan.schema != FORMAT {
        return Err(Failure::usage(format!("{} has the format {}, expected {FORMAT}", file.display(), plan.schema)));
    }
    if plan.project != app.project().name {
        return Err(Failure::usage(format!("{} is a plan of project {}", file.display(), plan.project)));
    }
    Ok(plan)
}
