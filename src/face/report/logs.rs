//! What commands wrote: `assets.logs/1`.

use serde::Serialize;

pub const SCHEMA: &str = "assets.logs/1";

/// The answer to `assets logs`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.logs/1"))]
pub struct LogsDocument {
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: &'static str,
    pub run: String,
    /// In the order in which they were started.
    pub attempts: Vec<AttemptLog>,
}

/// One try at a step, and what its command wrote.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AttemptLog {
    /// The op; of an asset with a command of its own, its key.
    pub step: String,
    /// The assets that it makes.
    pub assets: Vec<String>,
    /// Null for what has no partitions.
    pub partition: Option<String>,
    pub attempt: String,
    #[cfg_attr(test, schemars(extend("enum" = crate::plan::record::AttemptState::NAMES)))]
    pub state: &'static str,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Null while it runs.
    pub ended_at: Option<String>,
    /// Path of the log, relative to the project; null if the command wrote nothing.
    pub path: Option<String>,
    /// Both streams in the order in which they came; null if the command wrote nothing.
    pub text: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_what_its_schema_says() {
        let attempt = AttemptLog {
            step: "report".to_owned(),
            assets: vec!["report".to_owned()],
            partition: None,
            attempt: "r1-0-1".to_owned(),
            state: "failed",
            started_at: "2026-11-20T12:00:00Z".to_owned(),
            ended_at: None,
            path: None,
            text: Some("no such file\n".to_owned()),
        };
        let document = LogsDocument { schema: SCHEMA, run: "r1".to_owned(), attempts: vec![attempt] };
        crate::face::report::schema::check::<LogsDocument>("logs", &[document]);
    }
}
