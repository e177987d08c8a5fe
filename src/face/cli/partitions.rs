//! `assets partitions`: the definitions, their keys, and the keys of dynamic ones.

use std::sync::Arc;

use crate::{
    base::suggest,
    exec::lock::LockName,
    face::{
        app::App,
        cli::{
            Context,
            error::Failure,
            partition_args::{PartitionsArgs, PartitionsCommand},
        },
        exit::Exit,
        report::{
            json,
            partitions::{DefinitionDocument, PARTITIONS, PartitionsDocument, definitions},
        },
        ui::words,
    },
    model::{
        partition::{self, Definition, Names},
        partitioning::PartitionsId,
    },
    plan::store::{dynamic::DynamicKeys, folder::Access},
};

pub fn run(context: &Context, args: &PartitionsArgs) -> Result<Exit, Failure> {
    match &args.what {
        PartitionsCommand::List { name } => list(context, name.as_deref()),
        PartitionsCommand::Add { name, keys } => change(context, name, keys, true),
        PartitionsCommand::Remove { name, keys } => change(context, name, keys, false),
    }
}

fn list(context: &Context, name: Option<&str>) -> Result<Exit, Failure> {
    let app = App::open(&context.opening, Access::Read, false, &context.ui)?;
    let told: Vec<DefinitionDocument> = match name {
        Some(name) => vec![document(&app, named(&app, name)?, true)],
        None => app.project().partitioning.definitions.ids().map(|it| document(&app, it, false)).collect(),
    };
    if context.json {
        context.ui.print(&json(&PartitionsDocument { schema: PARTITIONS, partitions: told }))?;
    } else if name.is_some() {
        let keys = told.into_iter().filter_map(|it| it.keys).flatten();
        context.ui.print(&keys.map(|it| it + "\n").collect::<String>())?;
    } else if told.is_empty() {
        context.ui.print("No asset or source has partitions.\n")?;
    } else {
        context.ui.print(&definitions(&told))?;
    }
    Ok(Exit::Done)
}

/// The definition of that name, or that of an asset or source.
fn named(app: &App, name: &str) -> Result<PartitionsId, Failure> {
    let partitioning = &app.project().partitioning;
    let found = partitioning.definitions.iter().find(|it| it.1.name == name).map(|it| it.0);
    let of_node = || app.project().node(name).and_then(|it| partitioning.of(it));
    found.or_else(of_node).ok_or_else(|| {
        let failure = Failure::usage(format!("nothing uses partitions `{name}`"));
        match suggest::nearest(name, partitioning.definitions.values().map(|it| it.name.as_str())) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint("`assets partitions list` shows what there is"),
        }
    })
}

fn document(app: &App, id: PartitionsId, with_keys: bool) -> DefinitionDocument {
    let project = app.project();
    let definition = &project.partitioning.definitions[id];
    let keys = app.workspace.partitions.of_definition(id);
    let key = |place: u64| keys.key(place).map(|it| it.as_str().to_owned());
    let nodes = project.nodes.ids().filter(|it| project.partitioning.of(*it) == Some(id));
    DefinitionDocument {
        name: definition.name.clone(),
        kind: match &definition.definition {
            Definition::Time(_) => "time",
            Definition::Static(_) => "static",
            Definition::Dynamic(_) => "dynamic",
            Definition::Multi(_) => "multi",
        },
        count: keys.count(),
        first: key(0),
        last: keys.count().checked_sub(1).and_then(key),
        used_by: nodes.map(|it| project.key(it).to_string()).collect(),
        keys: with_keys.then(|| (0..keys.count()).filter_map(key).collect()),
    }
}

fn change(context: &Context, name: &str, keys: &[String], add: bool) -> Result<Exit, Failure> {
    let app = App::open(&context.opening, Access::Write, false, &context.ui)?;
    let is_dynamic = |it: &Definition| match it {
        Definition::Dynamic(of) => **of == *name,
        Definition::Multi(them) => {
            them.iter().any(|it| matches!(&it.definition, Definition::Dynamic(of) if **of == *name))
        }
        Definition::Time(_) | Definition::Static(_) => false,
    };
    if !app.project().partitioning.definitions.values().any(|it| is_dynamic(&it.definition)) {
        let id = named(&app, name)?;
        let name = &app.project().partitioning.definitions[id].name;
        return Err(Failure::usage(format!("the keys of `{name}` follow from the manifest"))
            .hint("only partitions of type = \"dynamic\" are added to and taken from"));
    }
    for key in keys.iter().filter(|_| add) {
        partition::check_name(key).map_err(|it| Failure::usage(format!("{key:?}: {it}")))?;
    }
    let locks = app.locks()?;
    let lock = LockName::of_text(&format!("partitions {name}"));
    let Some(_held) = locks.try_exclusive(&[lock]).map_err(|it| Failure::usage(it.to_string()))?.guard() else {
        return Err(Failure::usage(format!("another process changes `{name}`")).hint("try again"));
    };
    let dynamic = DynamicKeys::new(app.state.path());
    let before = dynamic.read(name)?;
    let given = |it: &str| keys.iter().any(|key| key == it);
    let after = match add {
        true => {
            let new = keys.iter().map(|it| Arc::from(it.as_str()));
            Names::sorted(before.iter().map(Arc::from).chain(new))
        }
        false => {
            let unknown: Vec<&str> = keys.iter().map(String::as_str).filter(|it| before.place(it).is_none()).collect();
            if !unknown.is_empty() {
                return Err(Failure::usage(format!("`{name}` has no partition `{}`", unknown.join("`, `"))));
            }
            Names::sorted(before.iter().filter(|it| !given(it)).map(Arc::from))
        }
    };
    dynamic.write(name, &after)?;
    let count = before.len().abs_diff(after.len());
    let done = if add { "added" } else { "taken away" };
    context.ui.say(&format!("{} {done}; `{name}` has {} now", words::count(count, "key"), after.len()));
    Ok(Exit::Done)
}
