//! `assets impact`: what would be made again if a file, or all of an asset, came out different.

use std::collections::HashMap;

use crate::{
    base::{path::ProjectPath, suggest},
    face::{
        app::App,
        cli::{Context, error::Failure, partition_args::ImpactArgs},
        exit::Exit,
        report::{
            json,
            partitions::{IMPACT, ImpactDocument, ImpactedAsset, impact},
        },
    },
    model::{
        node_set::NodeSet,
        partition::PartitionSet,
        project::{FileSet, NodeId, Source},
    },
    plan::{
        partition_files::{place_of, set_of},
        store::folder::Access,
    },
};

/// Of each node, the partitions that are touched; of one without partitions its only one.
type Touched = HashMap<NodeId, PartitionSet>;

pub fn run(context: &Context, args: &ImpactArgs) -> Result<Exit, Failure> {
    let app = App::open(&context.opening, Access::Read, false, &context.ui)?;
    let project = app.project();
    let (mut touched, is_changed) = match project.node(&args.what) {
        Some(node) => (Touched::from([(node, some(&app, node, args.partition.as_deref())?)]), false),
        None => (by_file(&app, &args.what)?, true),
    };
    let starts: Vec<NodeId> = touched.keys().copied().collect();
    spread(&app, &mut touched);
    // What is asked about is made by itself; of a file, what reads it is made too.
    let made = NodeSet::of(
        project.len(),
        touched
            .keys()
            .copied()
            .filter(|it| project.nodes[*it].asset().is_some() && (is_changed || !starts.contains(it))),
    );
    let durations = durations(&app)?;
    let order = project.graph.order().iter().filter(|it| made.contains(**it));
    let assets: Vec<ImpactedAsset> = order.map(|it| told(&app, *it, &touched[it], &durations)).collect();
    let times: Vec<u64> = assets.iter().filter_map(|it| it.estimated_ms).collect();
    let estimated_ms = (!times.is_empty()).then(|| times.iter().sum());
    let document = ImpactDocument { schema: IMPACT, subject: args.what.clone(), assets, estimated_ms };
    if context.json {
        context.ui.print(&json(&document))?;
    } else {
        context.ui.print(&impact(&document))?;
    }
    Ok(Exit::Done)
}

fn some(app: &App, node: NodeId, text: Option<&str>) -> Result<PartitionSet, Failure> {
    let keys = app.workspace.partitions.of_node(node);
    match text {
        None => Ok(keys.all()),
        Some(text) => keys.parse(text).map_err(|why| {
            why.help.into_iter().fold(Failure::usage(format!("--partition {text}: {}", why.message)), Failure::hint)
        }),
    }
}

/// What reads a file: as code, as a source, or as a partition of one.
fn by_file(app: &App, text: &str) -> Result<Touched, Failure> {
    let project = app.project();
    let path = ProjectPath::resolve(&ProjectPath::root(), text)
        .map_err(|_| Failure::usage(format!("{text} is neither a key nor a path below the project")))?;
    let mut touched = Touched::new();
    for op in project.ops.values() {
        if reads(app, &op.code, &path) || reads(app, &op.sources, &path) {
            let partitions = &app.workspace.partitions;
            touched.extend(op.outputs.iter().map(|it| (*it, partitions.of_node(*it).all())));
        }
    }
    for (id, node) in project.nodes.iter() {
        let Some(Source::Files(set)) = node.source() else { continue };
        if !app.workspace.partitions.cuts(id) {
            if reads(app, set, &path) {
                touched.insert(id, PartitionSet::one(0));
            }
            continue;
        }
        let keys = app.workspace.partitions.of_node(id);
        let place = place_of(set, keys, &path);
        if let Some(place) = place
            && keys.key(place).is_some_and(|it| reads(app, &set_of(set, &it), &path))
        {
            touched.insert(id, PartitionSet::one(place));
        }
    }
    if touched.is_empty() && crate::base::fs::look(&path.under(&app.workspace.root))?.is_none() {
        let failure = Failure::usage(format!("there is no asset, source or file `{text}`"));
        let keys = project.nodes.values().map(|it| it.key.as_str());
        return Err(suggest::nearest(text, keys)
            .into_iter()
            .fold(failure, |failure, near| failure.hint(format!("did you mean `{near}`?"))));
    }
    Ok(touched)
}

/// Whether the file is among those of a set, as they are now.
fn reads(app: &App, set: &FileSet, path: &ProjectPath) -> bool {
    !set.patterns.is_empty() && app.workspace.sweep.expand(set).is_ok_and(|it| it.files().contains(path))
}

/// Everything below what is touched, partition by partition.
fn spread(app: &App, touched: &mut Touched) {
    let project = app.project();
    let partitions = &app.workspace.partitions;
    for node in project.graph.order() {
        let Some(op) = project.op_of(*node) else { continue };
        let mut own = touched.get(node).cloned().unwrap_or_default();
        for dep in &project.ops[op].deps {
            let Some(of_dep) = touched.get(dep).filter(|it| !it.is_empty()) else { continue };
            own = own.union(&match partitions.related(op, *dep) {
                Some(related) => related.downstream(of_dep),
                None => partitions.of_op(op).all(),
            });
        }
        if !own.is_empty() {
            touched.insert(*node, own);
        }
    }
}

/// What each asset took last time.
fn durations(app: &App) -> Result<HashMap<NodeId, u64>, Failure> {
    let records = app.workspace.store.latest_all()?;
    Ok(records.into_iter().filter_map(|it| Some((app.project().node(it.key.as_str())?, it.duration_ms))).collect())
}

fn told(app: &App, node: NodeId, places: &PartitionSet, durations: &HashMap<NodeId, u64>) -> ImpactedAsset {
    let partitions = &app.workspace.partitions;
    ImpactedAsset {
        key: app.project().key(node).to_string(),
        partitions: partitions.cuts(node).then(|| partitions.of_node(node).print(places)),
        steps: places.count(),
        estimated_ms: durations.get(&node).map(|it| it.saturating_mul(places.count())),
    }
}
