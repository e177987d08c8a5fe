//! `--defer TARGET`: what is neither selected nor made here is read from another target.

use crate::{
    exec::defer::Deferred,
    face::{
        app::{App, Opening},
        cli::{Context, args::DeferArgs, error::Failure},
    },
    model::node_set::NodeSet,
    plan::store::folder::Access,
};

/// The target that has no name.
pub const DEFAULT: &str = "default";

/// Decides what is read elsewhere: of what is upstream of `selected` and not in it. Nothing without `--defer`.
pub fn apply(context: &Context, app: &mut App, args: &DeferArgs, selected: &NodeSet) -> Result<(), Failure> {
    let mut wanted = app.project().assets_with_upstream(selected);
    wanted.subtract(selected);
    from(context, app, args, &wanted)
}

/// The same for a question about everything: whatever is not made here.
pub fn from(context: &Context, app: &mut App, args: &DeferArgs, wanted: &NodeSet) -> Result<(), Failure> {
    let Some(name) = &args.defer else { return Ok(()) };
    let target = Some(name.clone()).filter(|it| it != DEFAULT);
    if target == app.project().target {
        return Err(Failure::usage(format!("--defer {name}: that is the target in use"))
            .hint("name another one, or choose one to work in: `-t TARGET`"));
    }
    let opening = Opening { target, ..context.opening.clone() };
    let mut lender = App::open(&opening, Access::Read, false, &context.ui)?.workspace;
    lender.connections = app.workspace.connections;
    // What holds for now holds for nobody who asks without it.
    app.trace = None;
    let deferred = Deferred::of(name.clone(), &app.workspace, lender, wanted)?;
    app.workspace.deferred = Some(deferred);
    Ok(())
}

/// Without what is read elsewhere.
pub fn without(app: &App, nodes: &NodeSet) -> NodeSet {
    let mut left = nodes.clone();
    if let Some(deferred) = &app.workspace.deferred {
        left.subtract(&NodeSet::of(app.project().len(), deferred.lent()));
    }
    left
}

/// Where it is read, and the keys of what is; `None` if that is nothing.
pub fn told(app: &App) -> Option<(String, Vec<String>)> {
    let deferred = app.workspace.deferred.as_ref().filter(|it| it.lent().next().is_some())?;
    let mut keys: Vec<String> = deferred.lent().map(|it| app.project().key(it).to_string()).collect();
    keys.sort();
    Some((deferred.target.clone(), keys))
}

/// `deferred to prod: a, b`.
pub fn line(app: &App) -> Option<String> {
    const SHOWN_MAX: usize = 20;
    let (target, keys) = told(app)?;
    let more = match keys.len().saturating_sub(SHOWN_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let shown: Vec<&str> = keys.iter().take(SHOWN_MAX).map(String::as_str).collect();
    Some(format!("deferred to {target}: {}{more}", shown.join(", ")))
}
