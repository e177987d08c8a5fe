//! Another key for an asset: its records, the records of what is made from it, and its output, so that
//! what was fresh stays fresh.
//!
//! Only what follows from the name is rewritten in fingerprints: the name of an input, and mentions
//! of it in templates. Whatever else the manifest changed is still seen.

use std::{path::Path, sync::Arc};

use crate::{
    base::path::ProjectPath,
    exec::{
        io::{
            IoError, Probed, Target,
            beneath::{Folder, Swaps},
        },
        lock::{Holder, LockError, LockName, LockTable, Locked},
        run::context::Workspace,
    },
    model::{
        fingerprint::{Fingerprint, Part, PartKind, PartValue},
        key::{AssetKey, PartitionKey},
        partition::Definition,
        partitioning::{self, path_of},
        project::{Asset, IoId, Shape},
        template,
    },
    plan::{
        observe::SHELL,
        record::{Materialization, StoredOutput},
        store::{Change, StoreError},
    },
};

/// What became of the name and of the output.
#[derive(Clone, PartialEq, Debug)]
pub struct Renamed {
    /// From where outputs were moved to where, each partition by itself.
    pub moved: Vec<(PartitionKey, ProjectPath, ProjectPath)>,
    /// Where an output stays although the new key belongs elsewhere, and why.
    pub stays: Vec<(ProjectPath, String)>,
    /// Tables among them, which only their database renames.
    pub tables: Vec<(IoId, Target, Target)>,
    /// Assets whose records speak of the new key now.
    pub dependents: Vec<AssetKey>,
}

/// Why nothing was renamed.
#[derive(Debug, thiserror::Error)]
pub enum RenameError {
    #[error("nothing is recorded of `{0}`")]
    NothingKnown(AssetKey),
    #[error("`{0}` was built already")]
    Taken(AssetKey),
    #[error("both `{0}` and `{1}` are in the manifest")]
    BothDeclared(AssetKey, AssetKey),
    #[error("`{0}` is a source: it is observed, not made")]
    Source(AssetKey),
    #[error("{0} is worked on by another process")]
    Busy(AssetKey, Option<Holder>),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Io(#[from] IoError),
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// Gives all that is known of `old` to `new`.
///
/// # Errors
/// See [`RenameError`]; nothing was changed then.
pub fn rename(
    workspace: &Workspace,
    locks: &Arc<LockTable>,
    old: &AssetKey,
    new: &AssetKey,
) -> Result<Renamed, RenameError> {
    let project = &*workspace.project;
    let declared = |key: &AssetKey| project.node(key.as_str());
    for key in [old, new] {
        if declared(key).is_some_and(|it| project.nodes[it].asset().is_none()) {
            return Err(RenameError::Source(key.clone()));
        }
    }
    if declared(old).is_some() && declared(new).is_some() {
        return Err(RenameError::BothDeclared(old.clone(), new.clone()));
    }
    let others = speaking_of(workspace, old, new)?;
    let known = |key: &AssetKey| -> Result<Vec<Materialization>, StoreError> {
        Ok(workspace.store.latest_all()?.into_iter().filter(|it| it.key == *key).collect())
    };
    let own = known(old)?;
    let whole = [(old, PartitionKey::whole()), (new, PartitionKey::whole())];
    let both = own.iter().flat_map(|it| [(old, it.partition.clone()), (new, it.partition.clone())]);
    let theirs = others.iter().map(|it| (&it.key, it.partition.clone()));
    let keys: Vec<(&AssetKey, PartitionKey)> = whole.into_iter().chain(both).chain(theirs).collect();
    let mut names: Vec<LockName> = keys.iter().map(|(key, partition)| LockName::of(key, partition)).collect();
    names.dedup();
    let _held = match locks.try_exclusive(&names)? {
        Locked::Held(guard) => guard,
        Locked::Busy(busy) => {
            let held = keys.iter().find(|(key, partition)| LockName::of(key, partition) == busy).map_or(old, |it| it.0);
            return Err(RenameError::Busy(held.clone(), locks.holder(busy)));
        }
    };
    // Read again under the locks.
    let (records, others) = (known(old)?, speaking_of(workspace, old, new)?);
    if records.is_empty() {
        return Err(RenameError::NothingKnown(old.clone()));
    }
    if !known(new)?.is_empty() {
        return Err(RenameError::Taken(new.clone()));
    }
    let mut dependents: Vec<AssetKey> = others.iter().map(|it| it.key.clone()).collect();
    dependents.dedup();
    let mut renamed = Renamed { moved: Vec::new(), stays: Vec::new(), tables: Vec::new(), dependents };
    let mut changes = vec![Change::Renamed { old: old.clone(), new: new.clone() }];
    let brought = records.iter().try_for_each(|record| {
        let mut own = Materialization { key: new.clone(), ..respelled(record, old, new) };
        if let Some(place) = place_of(workspace, old, new, &record.partition) {
            match record.output {
                StoredOutput::Files(_) => bring(workspace, &place, record, &mut own, &mut renamed)?,
                StoredOutput::Token(_) => bring_table(workspace, &place, old, record, &mut own, &mut renamed)?,
            }
        }
        changes.push(Change::Refreshed(Box::new(own)));
        Ok::<_, RenameError>(())
    });
    changes.extend(others.into_iter().map(|it| Change::Refreshed(Box::new(it))));
    let done = brought.and_then(|()| Ok(workspace.store.commit(&changes)?));
    if let Err(error) = done {
        // What was recorded stands, so it must find the outputs where it says.
        renamed.back(workspace)?;
        return Err(error);
    }
    // What checks said in the past is for people: it is not worth a failure.
    let _ = workspace.checked.rename(old, new);
    Ok(renamed)
}

impl Renamed {
    /// Every output to where it was.
    fn back(&self, workspace: &Workspace) -> Result<(), IoError> {
        for (io, old, new) in &self.tables {
            workspace.io[*io].rename(new, old)?;
        }
        let is_table = |path: &ProjectPath| self.tables.iter().any(|it| it.2.path == *path);
        let files = self.moved.iter().filter(|it| !is_table(&it.2));
        files.into_iter().try_for_each(|(_, from, to)| move_output(&workspace.root, to, from))
    }
}

/// The latest records of other assets that name `old`, naming `new` instead.
fn speaking_of(workspace: &Workspace, old: &AssetKey, new: &AssetKey) -> Result<Vec<Materialization>, StoreError> {
    let all = workspace.store.latest_all()?;
    let others = all.into_iter().filter(|it| it.key != *old);
    Ok(others
        .filter_map(|it| {
            let told = respelled(&it, old, new);
            (told != it).then_some(told)
        })
        .collect())
}

fn respelled(record: &Materialization, old: &AssetKey, new: &AssetKey) -> Materialization {
    let is_of = |part: &Part, key: &AssetKey| {
        let rest = part.name.strip_prefix(key.as_str().as_bytes());
        matches!(part.kind, PartKind::Input | PartKind::Declared)
            && rest.is_some_and(|it| matches!(it, [] | [b'@', ..]))
    };
    if record.fingerprint.parts().iter().any(|it| is_of(it, new)) {
        // It was made from both: as one they could hide that it was not made from the other.
        return record.clone();
    }
    let mapping = format!("{old}.partitions");
    let own_checks = format!("{old}.checks.");
    let part = |part: &Part| match (part.kind, &part.value) {
        // Of one with partitions `<key>@<partition>`.
        (kind @ (PartKind::Input | PartKind::Declared), value) if is_of(part, old) => {
            let name = [new.as_str().as_bytes(), &part.name[old.as_str().len()..]].concat();
            Part::new(kind, &*name, value.clone())
        }
        // `<key>.checks.<name>` and `<key>.partitions`, see `plan::observe`; keys hold no dots.
        (PartKind::Config, value)
            if part.name.starts_with(own_checks.as_bytes()) || *part.name == *mapping.as_bytes() =>
        {
            let name = [new.as_str().as_bytes(), &part.name[old.as_str().len()..]].concat();
            Part::new(PartKind::Config, &*name, value.clone())
        }
        (PartKind::Command, PartValue::Text(text)) => {
            Part::new(PartKind::Command, &*part.name, PartValue::Text(command(text, old, new).into()))
        }
        _ => part.clone(),
    };
    let parts = record.fingerprint.parts().iter().map(part).collect();
    Materialization { fingerprint: Fingerprint::new(parts), ..record.clone() }
}

/// The command as it is recorded (see `plan::observe::command_text`), speaking of `new`.
fn command(text: &str, old: &AssetKey, new: &AssetKey) -> String {
    let (old, new) = (old.as_str(), new.as_str());
    if let Some(script) = text.strip_prefix(SHELL) {
        return format!("{SHELL}{}", template::renamed(script, old, new));
    }
    match serde_json::from_str::<Vec<String>>(text) {
        Ok(words) => {
            let words: Vec<String> = words.iter().map(|it| template::renamed(it, old, new)).collect();
            serde_json::to_string(&words).expect("strings are JSON")
        }
        Err(_) => text.to_owned(),
    }
}

/// Where the output of `new` belongs.
struct Place {
    io: IoId,
    target: Target,
    path: ProjectPath,
}

/// What the manifest says of `new`; or, while it still has `old` at the default place, what it will say.
fn place_of(workspace: &Workspace, old: &AssetKey, new: &AssetKey, partition: &PartitionKey) -> Option<Place> {
    let project = &*workspace.project;
    let declared = project.node(new.as_str()).or_else(|| project.node(old.as_str()))?;
    if project.is_in_database(declared) {
        let io = project.nodes[declared].asset()?.io;
        let path = project.io_managers[io].kind.table_path(new.as_str());
        let target = Target { key: new.clone(), path: path.clone(), ..workspace.target(declared, partition) };
        return Some(Place { io, target, path });
    }
    if let Some(node) = project.node(new.as_str()) {
        let asset = project.nodes[node].asset()?;
        let path = project.output_path_of(node, partition)?;
        return Some(Place { io: asset.io, target: workspace.target(node, partition), path });
    }
    let node = project.node(old.as_str())?;
    let asset = project.nodes[node].asset()?;
    let cut = project.partitioning.of(node).map(|it| &project.partitioning.definitions[it].definition);
    if asset.path.to_string() != default_path(asset, old, cut) {
        return None;
    }
    let below = |template: &str| ProjectPath::resolve(&ProjectPath::root(), path_of(template, partition)).ok();
    let now = project.output_path_of(node, partition)?;
    let path = below(&default_path(asset, new, cut))?;
    // Below the same root, which is what remains of the path without its own part.
    let own = below(&asset.path.to_string())?;
    let root = now.as_path().ancestors().nth(own.as_path().components().count())?;
    let root = ProjectPath::resolve(&ProjectPath::root(), root).ok()?;
    let whole_path = ProjectPath::resolve(&root, path.as_path()).ok()?;
    let target = Target { key: new.clone(), path, ..workspace.target(node, partition) };
    Some(Place { io: asset.io, target, path: whole_path })
}

fn default_path(asset: &Asset, key: &AssetKey, cut: Option<&Definition>) -> String {
    let format = asset.format.as_deref().filter(|_| asset.shape == Shape::File);
    partitioning::default_path(key.as_str(), format, cut)
}

/// Moves the output to its place if it is still what was recorded and the place is free.
fn bring(
    workspace: &Workspace,
    place: &Place,
    record: &Materialization,
    own: &mut Materialization,
    renamed: &mut Renamed,
) -> Result<(), RenameError> {
    let StoredOutput::Files(files) = &record.output else { return Ok(()) };
    let Some(from) = files.first().map(|it| it.path.clone()).filter(|it| *it != place.path) else { return Ok(()) };
    let io = &workspace.io[place.io];
    let whole = workspace.sweep.verify(files).changed.is_empty();
    if !whole {
        // It may have been moved there by hand, or by a rename that was cut short.
        match io.adopt(&place.target, &record.content())? {
            Some(output) => own.output = output,
            None => renamed.stays.push((from, "it is not what was recorded".to_owned())),
        }
        return Ok(());
    }
    let taken = workspace.project.assets().any(|(id, ..)| {
        let declared_new = workspace.project.key(id) == &place.target.key;
        !declared_new && workspace.project.output_path(id).is_some_and(|it| overlaps(&it, &place.path))
    });
    if taken || io.current(&place.target)?.is_some() {
        renamed.stays.push((from, format!("{} is in the way", place.path)));
        return Ok(());
    }
    move_output(&workspace.root, &from, &place.path)?;
    match io.adopt(&place.target, &record.content())? {
        Some(output) => {
            own.output = output;
            renamed.moved.push((record.partition.clone(), from, place.path.clone()));
        }
        None => {
            move_output(&workspace.root, &place.path, &from)?;
            renamed.stays.push((from, "it is not of the kind that the manifest declares".to_owned()));
        }
    }
    Ok(())
}

/// Gives the table its new name, if it is still what was recorded and the name is free. All partitions of it at once.
fn bring_table(
    workspace: &Workspace,
    place: &Place,
    old: &AssetKey,
    record: &Materialization,
    own: &mut Materialization,
    renamed: &mut Renamed,
) -> Result<(), RenameError> {
    let (io, kind) = (&workspace.io[place.io], &workspace.project.io_managers[place.io].kind);
    let new = &place.target;
    let from = Target { key: old.clone(), path: kind.table_path(old.as_str()), ..new.clone() };
    if kind.database().is_none() || from.path == new.path {
        return Ok(());
    }
    let is_as_recorded = matches!(io.probe(&from, &record.output)?, Probed::Same);
    if is_as_recorded && io.rename(&from, new)? {
        renamed.moved.push((PartitionKey::whole(), from.path.clone(), new.path.clone()));
        renamed.tables.push((place.io, from.clone(), new.clone()));
    }
    match io.adopt(new, &record.content())? {
        Some(output) => own.output = output,
        None if is_as_recorded => renamed.stays.push((from.path, format!("{} is in the way", new.path))),
        None => renamed.stays.push((from.path, "it is not what was recorded".to_owned())),
    }
    Ok(())
}

fn overlaps(one: &ProjectPath, other: &ProjectPath) -> bool {
    one.is_within(other) || other.is_within(one)
}

/// By one rename, seen from the project's folder down.
fn move_output(root: &Path, from: &ProjectPath, to: &ProjectPath) -> Result<(), IoError> {
    let top = Folder::open_root(root, Swaps::Allowed)?;
    let named = |it: &ProjectPath| Some((it.parent()?, it.file_name()?.to_owned()));
    let (Some((from_folder, from_name)), Some((to_folder, to_name))) = (named(from), named(to)) else {
        return Err(IoError::NotFound(from.to_string()));
    };
    let source = top.open(&from_folder)?.ok_or_else(|| IoError::NotFound(from.to_string()))?;
    source.rename(&from_name, &top.make(&to_folder)?, &to_name)
}
