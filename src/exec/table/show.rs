//! Rows as text, for people: every value as one cell.

use arrow::{
    record_batch::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};

use super::TableError;

/// The first `limit` rows; `None` for a null. Texts longer than `characters_max` are cut.
///
/// # Errors
/// A type that has no text.
pub fn cells(batch: &RecordBatch, limit: usize, characters_max: usize) -> Result<Vec<Vec<Option<String>>>, TableError> {
    // Within a list or a struct.
    let options = FormatOptions::default().with_null("NULL");
    let columns = batch.columns().iter().map(|it| ArrayFormatter::try_new(it, &options));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let cell = |column: usize, row: usize| {
        if batch.column(column).is_null(row) {
            return None;
        }
        let text = columns[column].value(row).to_string();
        Some(cut(text, characters_max))
    };
    let rows = 0..batch.num_rows().min(limit);
    Ok(rows.map(|row| (0..columns.len()).map(|column| cell(column, row)).collect()).collect())
}

/// So much of a text, and that it was cut.
pub fn cut(text: String, characters_max: usize) -> String {
    match text.char_indices().nth(characters_max) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
