//! What a manifest holds: `assets.validate/1`.

use serde::Serialize;

pub const SCHEMA: &str = "assets.validate/1";

/// The answer to `assets validate`, if there is no mistake.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.validate/1"))]
pub struct ValidateDocument {
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: &'static str,
    pub project: String,
    /// The target whose overrides were applied.
    pub target: Option<String>,
    /// Every file that was read, the main one first.
    pub manifests: Vec<String>,
    pub assets: usize,
    pub sources: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_what_its_schema_says() {
        let document = ValidateDocument {
            schema: SCHEMA,
            project: "shop".to_owned(),
            target: None,
            manifests: vec!["assets.toml".to_owned()],
            assets: 3,
            sources: 1,
        };
        crate::face::report::schema::check::<ValidateDocument>("validate", &[document]);
    }
}
