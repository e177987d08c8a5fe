//! `assets schema`: the JSON Schema of the manifest, and of every document that a command prints.

use crate::{
    base::suggest,
    face::{
        cli::{Context, args::SchemaArgs, error::Failure},
        exit::Exit,
    },
};

/// The manifest's own schema.
pub const MANIFEST: &str = include_str!("../../../schema/assets.schema.json");

/// Name and text of every committed schema.
pub const ALL: [(&str, &str); 27] = [
    ("assets", MANIFEST),
    ("accept", include_str!("../../../schema/accept.schema.json")),
    ("backfill", include_str!("../../../schema/backfill.schema.json")),
    ("backfills", include_str!("../../../schema/backfills.schema.json")),
    ("check", include_str!("../../../schema/check.schema.json")),
    ("clean", include_str!("../../../schema/clean.schema.json")),
    ("diff", include_str!("../../../schema/diff.schema.json")),
    ("doctor", include_str!("../../../schema/doctor.schema.json")),
    ("events", include_str!("../../../schema/events.schema.json")),
    ("gc", include_str!("../../../schema/gc.schema.json")),
    ("graph", include_str!("../../../schema/graph.schema.json")),
    ("impact", include_str!("../../../schema/impact.schema.json")),
    ("init", include_str!("../../../schema/init.schema.json")),
    ("jobs", include_str!("../../../schema/jobs.schema.json")),
    ("list", include_str!("../../../schema/list.schema.json")),
    ("logs", include_str!("../../../schema/logs.schema.json")),
    ("materialize", include_str!("../../../schema/materialize.schema.json")),
    ("mv", include_str!("../../../schema/mv.schema.json")),
    ("partitions", include_str!("../../../schema/partitions.schema.json")),
    ("plan", include_str!("../../../schema/plan.schema.json")),
    ("rows", include_str!("../../../schema/rows.schema.json")),
    ("runs", include_str!("../../../schema/runs.schema.json")),
    ("show", include_str!("../../../schema/show.schema.json")),
    ("status", include_str!("../../../schema/status.schema.json")),
    ("templates", include_str!("../../../schema/templates.schema.json")),
    ("validate", include_str!("../../../schema/validate.schema.json")),
    ("why", include_str!("../../../schema/why.schema.json")),
];

pub fn run(context: &Context, args: &SchemaArgs) -> Result<Exit, Failure> {
    let name = args.name.strip_prefix("assets.").unwrap_or(&args.name);
    let name = name.split('/').next().unwrap_or(name);
    match ALL.iter().find(|it| it.0 == name) {
        Some((_, text)) => {
            context.ui.print(text)?;
            Ok(Exit::Done)
        }
        None => Err(unknown(&args.name)),
    }
}

fn unknown(name: &str) -> Failure {
    let names = ALL.map(|it| it.0);
    let failure = Failure::usage(format!("there is no schema `{name}`"));
    let failure = match suggest::nearest(name, names) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure,
    };
    failure.hint(format!("there are {}", names.join(", ")))
}
