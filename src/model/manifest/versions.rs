//! `version`: what the data version of an asset is, and whether that can be had of it.

use crate::{
    base::{diagnostic::Diagnostic, id::Id},
    model::{
        format::TableFormat,
        project::{Asset, Identity, IoKind, Shape, VersionKind},
    },
};

use super::{code, gather::Declared, resolve::Resolver};

impl Resolver<'_> {
    /// The asset with the version that it declares.
    pub fn versioned(&mut self, declared: &Declared, asset: Asset) -> Asset {
        let table = &declared.table;
        let Some(entry) = table.entry("version") else { return asset };
        // What is none of them was told where it was read.
        let named = |it: &VersionKind| entry.value.text().is_some_and(|text| &**text == it.name());
        let Some(version) = VersionKind::ALL.into_iter().find(named) else { return asset };
        let told =
            |message: &str, help: &str| Diagnostic::error(code::BAD_VALUE, message).at(entry.value.place).help(help);
        let mut identity = asset.identity;
        match version {
            VersionKind::Canonical => match canonical(&asset, self.io_kinds.get(asset.io.index())) {
                Some(it) => identity = it,
                None => self.report.push(told(
                    "this has no form that is the same for all that say the same",
                    "parquet, csv, jsonl, arrow and json have one, and tables of a database: say its `format`",
                )),
            },
            VersionKind::Reported if table.entry("sql").is_some() => self.report.push(told(
                "a query reports nothing",
                "only a command can say what its data version is: \"content\" is what the rows are",
            )),
            _ => {}
        }
        Asset { version, identity, ..asset }
    }
}

fn canonical(asset: &Asset, kind: Option<&IoKind>) -> Option<Identity> {
    if asset.shape == Shape::Folder {
        return None;
    }
    let format = asset.format.as_deref();
    let is_table = kind.is_some_and(|it| it.database().is_some())
        || format.is_some_and(|it| TableFormat::of_extension(it).is_some());
    match is_table {
        true => Some(Identity::Rows),
        false => (format == Some("json")).then_some(Identity::Json),
    }
}
