//! Words of another dialect in the queries of a project, as mistakes where they were written.

use std::path::Path;

use crate::{
    base::{diagnostic::Diagnostic, span::SourceMap},
    exec::query::{Failed, Written, foreign::Engines},
    face::cli::query_step::{Asked, placed_where_written, placed_within},
    model::{
        manifest::code,
        project::{Action, Check, Op, Project, Sql},
        sql::{self, Dialect},
    },
};

/// What is wrong with the queries of `ops` whatever their tables are, each where it was written.
pub fn mistakes<'a>(
    project: &Project,
    root: &Path,
    ops: impl Iterator<Item = &'a Op>,
    sources: &mut SourceMap,
) -> Vec<Diagnostic> {
    let (mut engines, mut of_checks) = (Engines::default(), None);
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut tell = |op: &Op, failed: &Failed, placed: Option<Diagnostic>| {
        let told = placed.unwrap_or_else(|| {
            let key = project.key(op.outputs[0]);
            let told = Diagnostic::error(code::BAD_SQL, format!("{key}: {}", failed.message));
            failed.help.iter().fold(told, |told, help| told.help(help.clone()))
        });
        // Both faces of an incremental query say most things.
        if !found.contains(&told) {
            found.push(told);
        }
    };
    for op in ops {
        if let Action::Sql(sql) = &op.action {
            for sql in sql.faces() {
                for failed in engines.mistakes(&sql.text, sql.dialect) {
                    tell(op, &failed, placed(root, sql, &failed, sources));
                }
            }
        }
        for check in op.checks.iter().filter_map(Check::data) {
            for home in &check.homes {
                let text = asked(&home.text, check.dialect);
                for failed in of_checks.get_or_insert_with(Engines::of_checks).mistakes(&text, check.dialect) {
                    tell(op, &failed, placed_within(root, home, &text, &failed, sources));
                }
            }
        }
    }
    found
}

/// A text of a check as a query: it may be an expression.
fn asked(text: &str, dialect: Dialect) -> String {
    match sql::tables(text, dialect) {
        Ok(_) => text.to_owned(),
        Err(_) => format!("select (\n{text}\n)"),
    }
}

fn placed(root: &Path, sql: &Sql, failed: &Failed, sources: &mut SourceMap) -> Option<Diagnostic> {
    let written = sql.template.as_ref();
    let written = written.map(|it| Written { text: it.written.clone(), places: it.places.clone() });
    let shown = sql.name();
    let asked = Asked { shown: &shown, sql: &sql.text, written: written.as_ref(), home: sql.home.as_ref(), root };
    placed_where_written(&asked, failed, sources)
}
