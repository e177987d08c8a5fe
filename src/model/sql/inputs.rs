//! What a query can read where it lies: assets and sources that are files of a table.

use crate::model::{
    format::TableFormat,
    project::{Asset, Shape, Source},
};

/// The form in which an asset that is a file holds its table, if it does.
pub fn table_format(asset: &Asset) -> Option<TableFormat> {
    TableFormat::of_extension(asset.format.as_deref()?).filter(|_| asset.shape == Shape::File)
}

/// The one form that all files of a source have.
pub fn source_format(source: &Source) -> Option<TableFormat> {
    let Source::Files(set) = source else { return None };
    let mut formats =
        set.patterns.iter().filter(|it| !it.text.starts_with('!')).map(|it| TableFormat::of_path(&it.text));
    let first = formats.next()??;
    formats.all(|it| it == Some(first)).then_some(first)
}
