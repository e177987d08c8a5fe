//! Definitions of partitions and their keys: `assets.partitions/1`; what a change would touch:
//! `assets.impact/1`; jobs: `assets.jobs/1`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::face::ui::words;

pub const PARTITIONS: &str = "assets.partitions/1";
pub const IMPACT: &str = "assets.impact/1";
pub const JOBS: &str = "assets.jobs/1";

/// The answer to `assets partitions`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.partitions/1"))]
pub struct PartitionsDocument {
    #[cfg_attr(test, schemars(extend("const" = PARTITIONS)))]
    pub schema: &'static str,
    pub partitions: Vec<DefinitionDocument>,
}

/// One `[partitions.NAME]` that something uses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DefinitionDocument {
    pub name: String,
    #[cfg_attr(test, schemars(extend("enum" = ["time", "static", "dynamic", "multi"])))]
    pub kind: &'static str,
    pub count: u64,
    /// Null if there is none yet.
    pub first: Option<String>,
    pub last: Option<String>,
    /// Keys of the assets and sources that are cut so.
    pub used_by: Vec<String>,
    /// Every key, in order; null where all definitions are listed.
    pub keys: Option<Vec<String>>,
}

pub fn definitions(of: &[DefinitionDocument]) -> String {
    let width = of.iter().map(|it| it.name.len()).max().unwrap_or(0);
    let line = |it: &DefinitionDocument| {
        let keys = match (&it.first, &it.last) {
            (Some(first), Some(last)) if first != last => format!("{first} to {last}"),
            (Some(first), _) => first.clone(),
            _ => "none yet".to_owned(),
        };
        let used = if it.used_by.is_empty() { String::new() } else { format!("  ({})", it.used_by.join(", ")) };
        let name = words::pad_right(&it.name, width);
        format!("{name}  {:<7}  {:>9}  {}{used}\n", it.kind, words::thousands(it.count), words::visible(&keys))
    };
    of.iter().map(line).collect()
}

/// The answer to `assets impact`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.impact/1"))]
pub struct ImpactDocument {
    #[cfg_attr(test, schemars(extend("const" = IMPACT)))]
    pub schema: &'static str,
    /// What was asked about.
    pub subject: String,
    /// Everything that would be made again if all of it came out different, upstream first.
    pub assets: Vec<ImpactedAsset>,
    /// One after the other, as far as history tells; null if it tells nothing.
    pub estimated_ms: Option<u64>,
}

/// An asset, and which of its partitions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ImpactedAsset {
    pub key: String,
    /// As `--partition` takes them; null for an asset without partitions.
    pub partitions: Option<String>,
    /// How often it would be made.
    pub steps: u64,
    pub estimated_ms: Option<u64>,
}

pub fn impact(of: &ImpactDocument) -> String {
    if of.assets.is_empty() {
        return format!("Nothing is made from {}.\n", words::visible(&of.subject));
    }
    let name = |it: &ImpactedAsset| match &it.partitions {
        Some(partitions) => format!("{}@{}", it.key, words::visible(partitions)),
        None => it.key.clone(),
    };
    let names: Vec<String> = of.assets.iter().map(name).collect();
    let width = names.iter().map(|it| it.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, it) in names.iter().zip(&of.assets) {
        let time = it.estimated_ms.map(|it| format!("  about {}", words::duration(it))).unwrap_or_default();
        let line = format!("{}  {:>7}{time}", words::pad_right(name, width), words::thousands(it.steps));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let steps = of.assets.iter().map(|it| it.steps).sum::<u64>();
    let steps = words::count(usize::try_from(steps).unwrap_or(usize::MAX), "step");
    let time = of.estimated_ms.map(|it| format!(", about {} one after the other", words::duration(it)));
    text.push_str(&format!(
        "\n{} in {}{}; less where something comes out the same\n",
        steps,
        words::count(of.assets.len(), "asset"),
        time.unwrap_or_default()
    ));
    text
}

/// The answer to `assets job list`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.jobs/1"))]
pub struct JobsDocument {
    #[cfg_attr(test, schemars(extend("const" = JOBS)))]
    pub schema: &'static str,
    pub jobs: Vec<JobDocument>,
}

/// One `[job.NAME]`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct JobDocument {
    pub name: String,
    pub select: String,
    pub description: Option<String>,
    pub partitions: Option<String>,
    pub vars: BTreeMap<String, String>,
    pub pool: Option<String>,
}

pub fn jobs(of: &[JobDocument]) -> String {
    if of.is_empty() {
        return "There are no jobs; they are declared as [job.NAME].\n".to_owned();
    }
    let width = of.iter().map(|it| it.name.len()).max().unwrap_or(0);
    let line = |it: &JobDocument| {
        let mut parts = vec![it.select.clone()];
        parts.extend(it.partitions.iter().map(|it| format!("partitions {it}")));
        parts.extend(it.vars.iter().map(|(name, value)| format!("{name}={value}")));
        parts.extend(it.pool.iter().map(|it| format!("pool {it}")));
        let about = it.description.as_ref().map(|it| format!("  {it}")).unwrap_or_default();
        format!(
            "{}  {}{}\n",
            words::pad_right(&it.name, width),
            words::visible(&parts.join("; ")),
            words::visible(&about)
        )
    };
    of.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::report::schema::check;

    #[test]
    fn the_documents_are_what_their_schemas_say() {
        let definition = DefinitionDocument {
            name: "daily".to_owned(),
            kind: "time",
            count: 2,
            first: Some("2026-01-01".to_owned()),
            last: Some("2026-01-02".to_owned()),
            used_by: vec!["orders".to_owned()],
            keys: Some(vec!["2026-01-01".to_owned(), "2026-01-02".to_owned()]),
        };
        assert_eq!(
            definitions(std::slice::from_ref(&definition)),
            "daily  time             2  2026-01-01 to 2026-01-02  (orders)\n"
        );
        check::<PartitionsDocument>(
            "partitions",
            &[PartitionsDocument { schema: PARTITIONS, partitions: vec![definition] }],
        );
        let asset = ImpactedAsset {
            key: "daily".to_owned(),
            partitions: Some("2026-01-02".to_owned()),
            steps: 1,
            estimated_ms: Some(1500),
        };
        let document =
            ImpactDocument { schema: IMPACT, subject: "raw".to_owned(), assets: vec![asset], estimated_ms: Some(1500) };
        assert_eq!(
            impact(&document),
            "daily@2026-01-02        1  about 1.5s\n\n1 step in 1 asset, about 1.5s one after the other; less where something comes out the same\n"
        );
        check::<ImpactDocument>("impact", &[document]);
        let job = JobDocument {
            name: "nightly".to_owned(),
            select: "tag:daily".to_owned(),
            description: None,
            partitions: Some("latest".to_owned()),
            vars: BTreeMap::from([("mode".to_owned(), "full".to_owned())]),
            pool: None,
        };
        assert_eq!(jobs(std::slice::from_ref(&job)), "nightly  tag:daily; partitions latest; mode=full\n");
        check::<JobsDocument>("jobs", &[JobsDocument { schema: JOBS, jobs: vec![job] }]);
    }
}
