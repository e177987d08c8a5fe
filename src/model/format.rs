//! The forms in which a file can hold a table.

use serde::{Deserialize, Serialize};

/// A form that is read and written as rows and columns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableFormat {
    Csv,
    /// A JSON object a line.
    Jsonl,
    Parquet,
    /// The Arrow IPC file format.
    Arrow,
}

impl TableFormat {
    pub const ALL: [TableFormat; 4] = [TableFormat::Parquet, TableFormat::Csv, TableFormat::Jsonl, TableFormat::Arrow];

    /// Of files that end so (without the dot), if it is a table's.
    pub fn of_extension(extension: &str) -> Option<TableFormat> {
        match extension {
            "csv" => Some(TableFormat::Csv),
            "jsonl" | "ndjson" => Some(TableFormat::Jsonl),
            "parquet" => Some(TableFormat::Parquet),
            "arrow" => Some(TableFormat::Arrow),
            _ => None,
        }
    }

    /// Of a path or pattern, by its end.
    pub fn of_path(path: &str) -> Option<TableFormat> {
        let name = path.rsplit('/').next().unwrap_or(path);
        TableFormat::of_extension(name.rsplit_once('.')?.1)
    }

    /// All of them, for people.
    pub fn listed() -> String {
        let names = Self::ALL.map(TableFormat::name);
        let (last, rest) = names.split_last().expect("there are some");
        format!("{} or {last}", rest.join(", "))
    }

    /// As people write it, and as files end.
    pub fn name(self) -> &'static str {
        match self {
            TableFormat::Csv => "csv",
            TableFormat::Jsonl => "jsonl",
            TableFormat::Parquet => "parquet",
            TableFormat::Arrow => "arrow",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_path_tells() {
        let of = |it| TableFormat::of_path(it).map(TableFormat::name);
        assert_eq!(of("raw/orders.csv"), Some("csv"));
        assert_eq!(of("raw/2026.*.ndjson"), Some("jsonl"));
        assert_eq!(of("a.parquet/b"), None);
        assert_eq!(of("parquet"), None);
        for it in TableFormat::ALL {
            assert_eq!(TableFormat::of_extension(it.name()), Some(it));
        }
    }
}
