//! From `--select`, `--exclude`, `--job` and bare words to a set of assets.

use crate::{
    base::{
        diagnostic::{Diagnostic, Severity},
        span::{SourceMap, Span},
    },
    face::{
        app::App,
        cli::{args::Selection, codes, error::Failure, git, job},
        ui::Ui,
    },
    model::{
        node_set::NodeSet,
        project::{NodeId, Project},
        select::{self, Facts, SelectError},
        staleness::State,
    },
    plan::survey::{Forced, Request, Survey, survey},
};

/// The world as far as `status:` and `changed:` ask for it; looked at once, and only if they do.
struct Looked<'a> {
    app: Option<&'a App>,
    survey: Option<Survey>,
}

impl Facts for Looked<'_> {
    fn status(&self, node: NodeId) -> Option<State> {
        self.survey.as_ref()?.state(node)
    }

    fn changed(&self, git_ref: &str) -> Result<NodeSet, String> {
        match self.app {
            Some(app) => git::changed(&app.workspace, git_ref),
            None => Err("`changed:` needs the project's files".to_owned()),
        }
    }
}

/// What was selected: sources too, as the language means them.
pub fn select(
    project: &Project,
    app: Option<&App>,
    words: &[String],
    selection: &Selection,
    ui: &Ui,
) -> Result<NodeSet, Failure> {
    let mut included: Vec<String> = words.iter().chain(&selection.select).cloned().collect();
    if let Some(name) = &selection.job {
        included.push(job::named(project, name)?.select.clone());
    }
    let mut set =
        if included.is_empty() { NodeSet::all(project.len()) } else { evaluate(project, app, &included, ui)? };
    if !selection.exclude.is_empty() {
        set.subtract(&evaluate(project, app, &selection.exclude, ui)?);
    }
    Ok(set)
}

fn evaluate(project: &Project, app: Option<&App>, words: &[String], ui: &Ui) -> Result<NodeSet, Failure> {
    let expression = select::parse_all(words).map_err(|them| mistakes(words, &them))?;
    let mut facts = Looked { app, survey: None };
    if let Some(app) = app
        && expression.needs_status()
    {
        let all = all_assets(project);
        facts.survey = Some(survey(
            &app.workspace.world(),
            &Request { scope: &all, runs: &all, forced: Forced::Nothing, only: None },
        )?);
    }
    let found = select::eval(&expression, project, &facts).map_err(|them| mistakes(words, &them))?;
    if !found.warnings.is_empty() && !ui.is_quiet() {
        let (diagnostics, sources) = drawn(words, &found.warnings, Severity::Warning);
        ui.diagnostics(&diagnostics, &sources);
    }
    Ok(found.nodes)
}

fn mistakes(words: &[String], them: &[SelectError]) -> Failure {
    let (diagnostics, sources) = drawn(words, them, Severity::Error);
    Failure::of_diagnostics(diagnostics, sources)
}

/// Each argument is a text of its own, so that carets can point into it.
fn drawn(words: &[String], them: &[SelectError], severity: Severity) -> (Vec<Diagnostic>, SourceMap) {
    let mut sources = SourceMap::default();
    let files: Vec<_> = words.iter().map(|it| sources.add("selection", it.as_str())).collect();
    let diagnostics = them
        .iter()
        .map(|it| {
            let place = Span::new(files[it.argument], it.at.clone());
            let drawn = Diagnostic { severity, ..Diagnostic::error(codes::SELECTION, it.message.as_str()).at(place) };
            match &it.help {
                Some(help) => drawn.help(help.as_str()),
                None => drawn,
            }
        })
        .collect();
    (diagnostics, sources)
}

/// Every asset of the project; no sources.
pub fn all_assets(project: &Project) -> NodeSet {
    NodeSet::of(project.len(), project.assets().map(|(id, ..)| id))
}

/// The assets among `nodes`.
pub fn assets_of(project: &Project, nodes: &NodeSet) -> NodeSet {
    let mut assets = all_assets(project);
    assets.intersect(nodes);
    assets
}

/// The assets among `nodes` and those that are made along with them: no run makes one without the other.
pub fn made_of(project: &Project, nodes: &NodeSet) -> NodeSet {
    let ops = assets_of(project, nodes).iter().filter_map(|it| project.op_of(it)).collect::<Vec<_>>();
    NodeSet::of(project.len(), ops.into_iter().flat_map(|it| project.ops[it].outputs.iter().copied()))
}
