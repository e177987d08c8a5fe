//! Where changes can matter: folders of manifests, code, sources and outputs.

use std::path::{Path, PathBuf};

use crate::{
    face::watch::Folder,
    model::project::{FileSet, NodeBody, Project, Shape, Source},
};

/// Every folder in which a change can matter to `project`, whose manifests are looked for by `includes`.
pub fn of(project: &Project, includes: &FileSet, root: &Path) -> Vec<Folder> {
    let shallow = |path: PathBuf| Folder { path, deep: false };
    let mut folders = vec![shallow(root.to_owned())];
    folders.extend(set_folders(includes, root));
    for manifest in &project.manifests {
        folders.extend(manifest.parent().map(|it| shallow(it.under(root))));
    }
    for op in project.ops.values() {
        folders.extend(set_folders(&op.code, root));
        folders.extend(set_folders(&op.sources, root));
    }
    for (id, node) in project.nodes.iter() {
        match &node.body {
            NodeBody::Source(Source::Files(set)) => folders.extend(set_folders(set, root)),
            NodeBody::Source(_) => {}
            NodeBody::Asset(asset) => {
                let Some(path) = project.output_path(id) else { continue };
                folders.extend(path.parent().map(|it| shallow(it.under(root))));
                if asset.shape == Shape::Folder {
                    folders.push(Folder { path: path.under(root), deep: true });
                }
            }
        }
    }
    // A folder that is not there yet is seen to come by the nearest one above it.
    let mut above: Vec<Folder> = Vec::new();
    for it in folders.iter().filter(|it| !it.path.is_dir()) {
        let there = it.path.ancestors().find(|it| it.is_dir()).map(Path::to_owned);
        above.extend(there.filter(|it| it.starts_with(root)).map(shallow));
    }
    folders.extend(above);
    folders.sort();
    folders.dedup();
    // One watch for each path: what is watched deep is not watched shallow too.
    let deep: Vec<PathBuf> = folders.iter().filter(|it| it.deep).map(|it| it.path.clone()).collect();
    folders.retain(|it| it.deep || deep.binary_search(&it.path).is_err());
    folders
}

/// Where the files of a set can be: below the longest part of each pattern that has no wildcard.
fn set_folders(set: &FileSet, root: &Path) -> Vec<Folder> {
    let folder = set.folder.under(root);
    let mut folders = Vec::new();
    for pattern in set.patterns.iter().filter(|it| !it.text.starts_with('!')) {
        let wild = |part: &str| part.contains(['*', '?', '[', '{', '\\']);
        let text = pattern.text.trim_start_matches("./");
        let parts: Vec<&str> = text.trim_end_matches('/').split('/').collect();
        let literal = parts.iter().take_while(|it| !wild(it)).count();
        let whole = folder.join(parts[..literal].join("/"));
        if literal == parts.len() {
            // A file, or a folder with everything below it.
            folders.extend(whole.parent().map(|it| Folder { path: it.to_owned(), deep: false }));
            if whole.is_dir() {
                folders.push(Folder { path: whole, deep: true });
            }
        } else {
            // The last part may match folders, too, which are taken whole.
            let deep = parts.len() - literal > 1 || parts[literal].contains("**") || text.ends_with('/');
            folders.push(Folder { path: whole, deep });
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::path::ProjectPath, model::project::Pattern};

    #[test]
    fn a_pattern_is_watched_where_it_can_match() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path();
        crate::base::fs::create_folder(&root.join("p/raw/daily")).unwrap();
        let watched = |text: &str| {
            let patterns = vec![Pattern { text: text.to_owned(), place: None }];
            let set = FileSet { folder: ProjectPath::root().join("p"), patterns };
            let name = |it: Folder| {
                let below = it.path.strip_prefix(root).unwrap().display().to_string();
                if it.deep { format!("{below}/**") } else { below }
            };
            set_folders(&set, root).into_iter().map(name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(watched("clean.py"), "p");
        assert_eq!(watched("raw/a.csv"), "p/raw");
        assert_eq!(watched("raw/*.csv"), "p/raw");
        assert_eq!(watched("raw/*/a.csv"), "p/raw/**");
        assert_eq!(watched("**/*.py"), "p/**");
        assert_eq!(watched("raw"), "p p/raw/**");
        assert_eq!(watched("raw/daily/"), "p/raw p/raw/daily/**");
        assert_eq!(watched("gone/"), "p");
        assert_eq!(watched("r[ab]w/"), "p/**");
        assert_eq!(watched("!raw/b.csv"), "");
    }
}
