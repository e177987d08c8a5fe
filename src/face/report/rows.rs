//! Rows of data: `assets.rows/1`.

use serde::Serialize;
use serde_json::{Map, Value};

pub const SCHEMA: &str = "assets.rows/1";

/// The answer to `assets preview` and `assets query`.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.rows/1"))]
pub struct RowsDocument {
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: &'static str,
    pub columns: Vec<ColumnDocument>,
    /// By the names of columns; a null is left out.
    pub rows: Vec<Map<String, Value>>,
}

/// One column.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Column"))]
pub struct ColumnDocument {
    pub name: String,
    /// `int`, `float`, `text`, `bool`, `date`, ...
    pub kind: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_what_its_schema_says() {
        let column = ColumnDocument { name: "a".to_owned(), kind: "int".to_owned() };
        let row = Map::from_iter([("a".to_owned(), Value::from(1))]);
        let document = RowsDocument { schema: SCHEMA, columns: vec![column], rows: vec![row] };
        let none = RowsDocument { schema: SCHEMA, columns: vec![], rows: vec![] };
        crate::face::report::schema::check::<RowsDocument>("rows", &[document, none]);
    }
}
