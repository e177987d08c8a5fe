//! Sources that are cut into partitions by the names of their files: which partitions are there, and
//! what is in them. What is not there costs nothing: folders are listed, not keys.

use std::collections::{BTreeMap, HashMap};

use crate::{
    base::{fs, path::ProjectPath},
    model::{
        key::PartitionKey,
        partition::{Keys, PartitionSet},
        partitioning::{self, KEY_IN_PATH},
        project::{FileSet, NodeId, OpId, Pattern, Source},
    },
    plan::{
        observe::{SourceFacts, SourceParts, observe_sets},
        world::World,
    },
};

/// Up to so many are asked for one by one, without a look at what there is.
const FEW: u64 = 64;

/// The partitions of the sources that `ops` read, as far as they are there; of an op with partitions
/// those that `wanted` of its own ask for.
pub fn observe_partitions(
    world: &World<'_>,
    ops: &[OpId],
    wanted: &dyn Fn(OpId) -> PartitionSet,
) -> HashMap<NodeId, SourceParts> {
    let mut asked: HashMap<NodeId, PartitionSet> = HashMap::new();
    for op in ops {
        for dep in &world.project.ops[*op].deps {
            if world.project.nodes[*dep].source().is_some()
                && let Some(related) = world.partitions.related(*op, *dep)
            {
                let more = related.upstream(&wanted(*op));
                let set = asked.entry(*dep).or_default();
                *set = set.union(&more);
            }
        }
    }
    asked.into_iter().map(|(source, places)| (source, observe_some(world, source, &places))).collect()
}

/// The partitions of one source that are there.
pub fn observe_some(world: &World<'_>, source: NodeId, places: &PartitionSet) -> BTreeMap<u64, SourceFacts> {
    let Some(Source::Files(set)) = world.project.nodes[source].source() else { return BTreeMap::new() };
    let keys = world.partitions.of_node(source);
    let candidates: Vec<u64> = match (places.count() > FEW).then(|| there(world, set, keys)).flatten() {
        Some(there) => there.intersection(places).iter().collect(),
        None => places.iter().collect(),
    };
    let with_set = |place: u64| Some((place, set_of(set, &keys.key(place)?)));
    let (places, sets): (Vec<u64>, Vec<FileSet>) =
        candidates.into_iter().filter_map(with_set).filter(|it| could_be(world, &it.1)).unzip();
    let found = observe_sets(world, source, &sets);
    places.into_iter().zip(found).filter_map(|(place, it)| Some((place, it?))).collect()
}

/// Whether the part of some pattern that has no wildcard is there: asked first, as a pattern that matches
/// nothing is told at length.
fn could_be(world: &World<'_>, set: &FileSet) -> bool {
    set.patterns.iter().filter(|it| !it.text.starts_with('!')).any(|it| {
        let plain: Vec<&str> = it.text.split('/').take_while(|it| !it.contains(['*', '?', '[', '\\'])).collect();
        let path = ProjectPath::resolve(&set.folder, plain.join("/"));
        path.is_ok_and(|it| !matches!(fs::look(&it.under(world.root)), Ok(None)))
    })
}

/// The files of one partition.
pub fn set_of(set: &FileSet, partition: &PartitionKey) -> FileSet {
    // A bracket in a key is no class of letters.
    let key = PartitionKey::new(&partition.as_str().replace('[', "[[]"));
    let pattern = |it: &Pattern| Pattern { text: partitioning::path_of(&it.text, &key), place: it.place };
    FileSet { folder: set.folder.clone(), patterns: set.patterns.iter().map(pattern).collect() }
}

/// The partition that a file belongs to, told from its name.
pub fn place_of(set: &FileSet, keys: &Keys, path: &ProjectPath) -> Option<u64> {
    let below = match set.folder.is_root() {
        true => path.to_string(),
        false => path.to_string().strip_prefix(&format!("{}/", set.folder))?.to_owned(),
    };
    set.patterns.iter().filter(|it| !it.text.starts_with('!')).find_map(|it| key_in(&it.text, &below, keys))
}

/// The place of the key that stands in `path` where the pattern names it; pattern and path go part by part.
fn key_in(pattern: &str, path: &str, keys: &Keys) -> Option<u64> {
    pattern.split('/').zip(path.split('/')).find_map(|(pattern, part)| {
        let (before, after) = pattern.split_once(KEY_IN_PATH)?;
        keys.place(part.strip_prefix(before)?.strip_suffix(after)?).ok()
    })
}

/// The partitions that could be there, told from the names in the folder that each has one in. `None` if
/// the patterns do not tell that.
fn there(world: &World<'_>, set: &FileSet, keys: &Keys) -> Option<PartitionSet> {
    let mut places = Vec::new();
    for pattern in set.patterns.iter().filter(|it| !it.text.starts_with('!')) {
        let folder = partitioning::common_folder(&pattern.text);
        let rest = pattern.text[folder.len()..].trim_start_matches('/');
        let name = rest.split('/').next()?;
        let (before, after) = name.split_once(KEY_IN_PATH)?;
        if [folder, before, after].iter().any(|it| it.contains(['*', '?', '[', '\\', '{'])) {
            return None;
        }
        let folder = ProjectPath::resolve(&set.folder, folder).ok()?.under(world.root);
        for entry in fs::list(&folder).ok()?.unwrap_or_default() {
            let name = entry.file_name();
            let key = name.to_str().and_then(|it| it.strip_prefix(before)?.strip_suffix(after));
            if let Some(place) = key.and_then(|it| keys.place(it).ok()) {
                places.push(place);
            }
        }
    }
    Some(places.into_iter().collect())
}
