//! Adding to rows that are there: what is the same in every engine.
//!
//! A new table is staged, of the old rows that stay and of the new ones. The one that is there is only read, so that
//! it is whatever it was until all of the new one is published, and nothing can be added twice.

use super::Failed;
use crate::model::sql::Dialect;

/// What the rows that are there are called while others are added to them.
pub const OLD: &str = "_assets_old";
/// What the query gave.
pub const NEW: &str = "_assets_new";

const AGAIN: &str = "assets materialize --full-refresh makes the whole table anew";

/// Name and type of a column, the latter as its engine spells it.
pub type Column = (String, String);
/// The first row of a query as texts, if there is one.
pub type First = Option<Vec<String>>;

/// Refuses new rows that do not have the columns of the old ones, whatever their order. A column in which there is
/// nothing but NULL is of any type.
///
/// # Errors
/// What is different, and what `is_empty` returns.
pub fn fit(
    old: &[Column],
    new: &[Column],
    is_alike: fn(&str, &str) -> bool,
    is_empty: &mut dyn FnMut(&str) -> Result<bool, Failed>,
) -> Result<(), Failed> {
    let named = |them: &[Column], name: &str| them.iter().find(|it| it.0 == name).map(|it| it.1.clone());
    let mut told = Vec::new();
    for (name, was) in old {
        match named(new, name) {
            None => told.push(format!("`{name}` is missing")),
            Some(is) if !is_alike(was, &is) && !is_empty(name)? => {
                told.push(format!("`{name}` is {is}, and was {was}"))
            }
            Some(_) => {}
        }
    }
    told.extend(new.iter().filter(|it| named(old, &it.0).is_none()).map(|it| format!("`{}` is new", it.0)));
    if told.is_empty() {
        return Ok(());
    }
    let message = format!("its columns are not those of the rows that are there: {}", told.join(", "));
    Err(Failed { message, at: None, help: Some(AGAIN.to_owned()) })
}

/// Refuses rows of `table` without a key, or with the same one.
///
/// # Errors
/// What is wrong with them, and what `first` returns.
pub fn check_key(
    table: &str,
    columns: &[String],
    key: &[String],
    first: &mut dyn FnMut(&str) -> Result<First, Failed>,
) -> Result<(), Failed> {
    if let Some(name) = key.iter().find(|it| !columns.contains(it)) {
        let help = Some(format!("it gives `{}`", columns.join("`, `")));
        return Err(Failed { message: format!("the query gives no `{name}`, which unique_key names"), at: None, help });
    }
    let list = key.iter().map(|it| quoted(it)).collect::<Vec<_>>();
    for (name, column) in key.iter().zip(&list) {
        let missing = first(&format!("select cast(count(*) as text) from {table} where {column} is null"))?;
        if let Some(count) = missing.and_then(|it| it.into_iter().next()).filter(|it| it != "0") {
            let message = format!("`{name}` of its unique_key is NULL in {count} of the new rows");
            let help = "a row without a key cannot be told from others: leave it out, or give it one";
            return Err(Failed { message, at: None, help: Some(help.to_owned()) });
        }
    }
    let shown = list.iter().enumerate().map(|(index, it)| format!("cast({it} as text) as shown_{index}"));
    let shown = shown.collect::<Vec<_>>().join(", ");
    let list = list.join(", ");
    let repeated = format!(
        "select {shown}, cast(count(*) as text) as number from {table} group by {list} having count(*) > 1 order by {list}"
    );
    let Some(row) = first(&repeated)? else { return Ok(()) };
    let values = key.iter().zip(&row).map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join(", ");
    let count = row.last().map_or("several", String::as_str);
    let message = format!("its unique_key is not unique: {count} of the new rows have {values}");
    let help = "let the query give one row for each key, or name more columns in unique_key";
    Err(Failed { message, at: None, help: Some(help.to_owned()) })
}

/// The old rows that stay.
pub fn staying(old: &str, new: &str, columns: &[String], key: &[String]) -> String {
    let rows = format!("select {} from {old} as o", of("o", columns));
    if key.is_empty() {
        return rows;
    }
    let same = key.iter().map(|it| format!("n.{0} = o.{0}", quoted(it))).collect::<Vec<_>>().join(" and ");
    format!("{rows} where not exists (select 1 from {new} as n where {same})")
}

/// Columns as they stand in a list.
pub fn listed(columns: &[String]) -> String {
    columns.iter().map(|it| quoted(it)).collect::<Vec<_>>().join(", ")
}

fn of(table: &str, columns: &[String]) -> String {
    columns.iter().map(|it| format!("{table}.{}", quoted(it))).collect::<Vec<_>>().join(", ")
}

/// All engines whose rows can be added to write names in one way.
fn quoted(name: &str) -> String {
    Dialect::Sqlite.quoted(name)
}
