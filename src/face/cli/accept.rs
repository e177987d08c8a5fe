//! `assets accept`: what is stored counts as fresh, because a person says so.

use crate::{
    exec::accept::{Accepted, Refusal, accept},
    face::{
        app::App,
        cli::{Context, args::AcceptArgs, args::Selection, choosing, error::Failure, materialize, selecting},
        exit::Exit,
        report::{
            json,
            upkeep::{ACCEPT, AcceptDocument, AcceptedAsset},
        },
        ui::{line, words},
    },
    plan::{record::RunId, store::folder::Access},
};

pub fn run(context: &Context, args: &AcceptArgs) -> Result<Exit, Failure> {
    if args.reason.trim().is_empty() {
        return Err(Failure::usage("the reason is empty").hint("say why: it is all that is left to know later"));
    }
    let app = App::open(&context.opening, Access::Write, false, &context.ui)?;
    let project = app.project();
    let nodes = selecting::select(project, Some(&app), &args.keys, &Selection::default(), &context.ui)?;
    let selected = selecting::assets_of(project, &nodes);
    let has_partitions = selected.iter().any(|it| app.workspace.partitions.cuts(it));
    let asked = args.partition.as_deref().or(has_partitions.then_some("stale"));
    let chosen = choosing::chosen(&app, &selected, asked, &context.ui)?.unwrap_or_default();
    let locks = app.locks()?;
    app.recover(&locks, &context.ui)?;
    let session = RunId::new(app.workspace.clock.now(), materialize::random()?);
    app.open_session(&session.0)?;
    let mut document =
        AcceptDocument { schema: ACCEPT, reason: args.reason.clone(), accepted: Vec::new(), fresh: Vec::new() };
    let mut refused = None;
    // Upstream first: what is accepted makes what depends on it acceptable.
    for node in project.graph.order().iter().filter(|it| selected.contains(**it)) {
        let key = project.key(*node).to_string();
        let places = match app.workspace.partitions.cuts(*node) {
            true => chosen.get(node),
            false => None,
        };
        match accept(&app.workspace, &locks, (*node, places), (&session, &args.reason)) {
            // Of none that was made and is not fresh.
            Ok(accepted) if accepted.is_empty() => document.fresh.push(key),
            Ok(accepted) => {
                for (partition, it) in accepted {
                    match it {
                        Accepted::Fresh => document.fresh.push(line::name(app.project().key(*node), &partition)),
                        Accepted::Recorded(content) => document.accepted.push(AcceptedAsset {
                            key: key.clone(),
                            partition: partition.name().map(str::to_owned),
                            data_version: content.data_version.to_string(),
                            bytes: content.bytes,
                        }),
                    }
                }
            }
            Err(refusal) => {
                refused = Some(refusal);
                break;
            }
        }
    }
    materialize::seal(&app, &session);
    app.keep_cache(&context.ui);
    if context.json {
        context.ui.print(&json(&document))?;
    } else {
        context.ui.print(&text(&document))?;
    }
    refused.map_or(Ok(Exit::Done), |it| Err(failure(it)))
}

fn text(document: &AcceptDocument) -> String {
    let mut text = String::new();
    for it in &document.accepted {
        let size = it.bytes.map(|it| format!(" ({})", words::size(it))).unwrap_or_default();
        let name = it.partition.as_ref().map_or_else(|| it.key.clone(), |part| format!("{}@{part}", it.key));
        text.push_str(&format!("{name} counts as fresh now{size}\n"));
    }
    for key in &document.fresh {
        text.push_str(&format!("{key} was fresh already\n"));
    }
    text
}

fn failure(refusal: Refusal) -> Failure {
    let message = refusal.to_string();
    match refusal {
        Refusal::Busy(_, holder) => {
            let failure = Failure::new(Exit::State, message);
            match holder {
                Some(it) => failure.hint(format!("wait for process {} ({})", it.pid, it.command)),
                None => failure.hint("try again when it has ended"),
            }
        }
        Refusal::OutputMissing { key, .. } => {
            Failure::usage(message).hint(format!("there is nothing to accept; `assets materialize -s {key}` makes it"))
        }
        Refusal::Upstream { upstream, .. } => {
            Failure::usage(message).hint(format!("accept or materialize {upstream} first"))
        }
        Refusal::Store(error) => error.into(),
        Refusal::Lock(_) => Failure::new(Exit::State, message),
        Refusal::Io(error) => match error.help() {
            Some(help) => Failure::new(Exit::Failed, message).hint(help),
            None => Failure::new(Exit::Failed, message),
        },
        Refusal::WrongKind { .. } | Refusal::Unknown { .. } => Failure::usage(message),
    }
}
