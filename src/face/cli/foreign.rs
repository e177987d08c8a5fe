//! Words of another dialect in the queries of a project, as mistakes where they were written.

use std::path::Path;

use crate::{
    base::{diagnostic::Diagnostic, span::SourceMap},
    exec::query::{Failed, Written, foreign::Engines},
    face::cli::query_step::{Asked, placed_where_written},
    model::{
        manifest::code,
        project::{Action, Op, Project, Sql},
    },
};

/// What is wrong with the queries of `ops` whatever their tables are, each where it was written.
pub fn mistakes<'a>(
    project: &Project,
    root: &Path,
    ops: impl Iterator<Item = &'a Op>,
    sources: &mut SourceMap,
) -> Vec<Diagnostic> {
    let mut engines = Engines::default();
    let mut found: Vec<Diagnostic> = Vec::new();
    for op in ops {
        let Action::Sql(sql) = &op.action else { continue };
        for sql in sql.faces() {
            for failed in engines.mistakes(&sql.text, sql.dialect) {
                let told = placed(root, sql, &failed, sources).unwrap_or_else(|| {
                    let key = project.key(op.outputs[0]);
                    let told = Diagnostic::error(code::BAD_SQL, format!("{key}: {}", failed.message));
                    failed.help.iter().fold(told, |told, help| told.help(help.clone()))
                });
                // Both faces of an incremental query say most things.
                if !found.contains(&told) {
                    found.push(told);
                }
            }
        }
    }
    found
}

fn placed(root: &Path, sql: &Sql, failed: &Failed, sources: &mut SourceMap) -> Option<Diagnostic> {
    let written = sql.template.as_ref();
    let written = written.map(|it| Written { text: it.written.clone(), places: it.places.clone() });
    let shown = sql.name();
    let asked = Asked { shown: &shown, sql: &sql.text, written: written.as_ref(), home: sql.home.as_ref(), root };
    placed_where_written(&asked, failed, sources)
}
