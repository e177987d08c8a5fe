//! A project that was begun: `assets.init/1`; what it can be begun from: `assets.templates/1`.

use serde::Serialize;

pub const SCHEMA: &str = "assets.init/1";
pub const TEMPLATES: &str = "assets.templates/1";

/// The answer to `assets init`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.init/1"))]
pub struct InitDocument {
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: &'static str,
    pub template: &'static str,
    /// Where, as it was given.
    pub folder: String,
    /// What was written, seen from the folder.
    pub files: Vec<String>,
    /// Commands to go on with.
    pub next: Vec<String>,
}

/// The answer to `assets init --list`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.templates/1"))]
pub struct TemplatesDocument {
    #[cfg_attr(test, schemars(extend("const" = TEMPLATES)))]
    pub schema: &'static str,
    pub templates: Vec<TemplateDocument>,
}

/// One project to start from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Template"))]
pub struct TemplateDocument {
    pub name: &'static str,
    pub about: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::report::schema::check;

    #[test]
    fn the_documents_are_what_their_schemas_say() {
        let begun = InitDocument {
            schema: SCHEMA,
            template: "shell",
            folder: ".".to_owned(),
            files: vec!["assets.toml".to_owned()],
            next: vec!["assets materialize".to_owned()],
        };
        check::<InitDocument>("init", &[begun]);
        let templates = vec![TemplateDocument { name: "shell", about: "a small diamond" }];
        check::<TemplatesDocument>("templates", &[TemplatesDocument { schema: TEMPLATES, templates }]);
    }
}
