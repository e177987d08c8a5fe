//! `[[models]]`: each file of SQL as an asset, as if it were written out.

use std::sync::Arc;

use crate::{
    base::{diagnostic::Diagnostic, path::ProjectPath, span::Span},
    model::key::AssetKey,
};

use super::{
    Files, code,
    gather::Gathered,
    pattern,
    raw::{Data, Entry, Table, Value},
    report::Report,
    sql::is_file,
};

/// Declares an asset for every file that matches. What `[asset.NAME]` says of it goes before what the models say.
pub fn declare(gathered: &mut Gathered, files: &mut dyn Files, report: &mut Report) {
    for (models, origin) in std::mem::take(&mut gathered.models) {
        let Some(patterns) = models.entry("files") else {
            let place = models.entries.first().map(|it| it.place);
            let told = Diagnostic::error(code::MISSING_KEY, "[[models]] has no `files`");
            report.push(place.map_or_else(|| told.clone(), |it| told.clone().at(it)));
            continue;
        };
        for item in patterns.value.items() {
            let Some(text) = item.text().filter(|it| !it.trim().is_empty() && !it.contains('\0')) else { continue };
            let folder = gathered.origins[origin].folder.clone();
            if !pattern::check(&folder, text, item.place, report) {
                continue;
            }
            let (them, others): (Vec<_>, Vec<_>) =
                found(files, &folder, text, item.place, report).into_iter().partition(|it| key_of(it).is_ok());
            badly_named(&others, item.place, report);
            for path in them {
                one(gathered, &models, origin, &folder, &path, item.place, report);
            }
        }
    }
}

/// The files that match, sorted.
fn found(
    files: &mut dyn Files,
    folder: &ProjectPath,
    text: &str,
    place: Span,
    report: &mut Report,
) -> Vec<ProjectPath> {
    let pattern = if folder.is_root() { text.to_owned() } else { format!("{folder}/{text}") };
    let told = match files.matches(&ProjectPath::root(), &pattern) {
        Ok(mut them) => {
            them.retain(|it| it.as_bytes().ends_with(b".sql"));
            them.sort();
            if !them.is_empty() {
                return them;
            }
            Diagnostic::error(code::INCLUDE, format!("`{text}` leads to no .sql file")).label("nothing matches")
        }
        Err(error) => Diagnostic::error(code::INCLUDE, error),
    };
    report.push(told.at(place).help("paths are relative to the folder of this file"));
    Vec::new()
}

/// The key of the asset that a file is, or why it can be none.
fn key_of(path: &ProjectPath) -> Result<String, String> {
    let name = path.as_path().file_stem().and_then(|it| it.to_str()).ok_or("its name is not UTF-8")?;
    AssetKey::parse(name).map(|_| name.to_owned()).map_err(|it| it.to_string())
}

/// All of them at once: they have one place.
fn badly_named(paths: &[ProjectPath], place: Span, report: &mut Report) {
    let told = |it: &ProjectPath| Some(format!("{it} cannot be a model: {}", key_of(it).err()?));
    let all: Vec<String> = paths.iter().filter_map(told).collect();
    if !all.is_empty() {
        let told = Diagnostic::error(code::BAD_NAME, all.join("; ")).at(place);
        report.push(told.help("a model is named after its file: rename that, or leave it out by another pattern"));
    }
}

fn one(
    gathered: &mut Gathered,
    models: &Table,
    origin: usize,
    folder: &ProjectPath,
    path: &ProjectPath,
    place: Span,
    report: &mut Report,
) {
    let (Ok(name), Ok(below)) = (key_of(path), path.as_path().strip_prefix(folder.as_path())) else { return };
    let text: Arc<str> = below.to_string_lossy().into();
    let sql = Entry { key: "sql".into(), place, value: Value { place, data: Data::Text(text) } };
    let mut table = Table { entries: vec![sql] };
    table.entries.extend(models.entries.iter().filter(|it| &*it.key != "files").cloned());
    let key: Arc<str> = name.as_str().into();
    match gathered.asset.get_mut(&key) {
        // Two files of one name, or an asset that is made otherwise.
        Some(declared) if declared.table.entry("sql").is_some() || declared.origin != origin => {
            let sql = declared.table.entry("sql");
            let file = sql.and_then(|it| it.value.text()).filter(|it| is_file(it));
            let other = file.map_or_else(|| "something else".to_owned(), ToString::to_string);
            report.push(
                Diagnostic::error(code::DUPLICATE_NAME, format!("{path} and {other} would both be `{name}`"))
                    .at(place)
                    .label("brings it")
                    .other(sql.map_or(declared.place, |it| it.place), "declared here")
                    .help("rename the file: a model is named after it"),
            );
        }
        Some(declared) => {
            let own = std::mem::replace(&mut declared.table, table);
            declared.table.merge(own);
        }
        None => {
            let value = Value { place, data: Data::Table(table) };
            gathered.asset.declare(Entry { key, place, value }, origin, "asset", report);
        }
    }
}
