//! Asking sources that only a run asks: commands and addresses.

use std::{collections::BTreeMap, path::Path};

use crate::{
    base::fs,
    exec::{
        executor::{Executor, SPEC_VERSION, StepSpec, local::LocalExecutor},
        run::{context::Workspace, environment::CommandEnvironment},
        source::{
            SourceError, SourceReader,
            command::CommandSource,
            url::{UrlOptions, UrlSource},
        },
    },
    face::{
        app::App,
        cli::{Context, error::Failure, materialize::this_program},
    },
    model::{
        key::AssetKey,
        node_set::NodeSet,
        project::{Action, EnvName, NodeId, Source},
        template::{Quoting, Scope, Uses},
    },
    plan::{
        observe::sources_of,
        record::Observation,
        store::Change,
        survey::{load_observations, ops_of},
    },
};

/// A command that prints a version has this long.
const TIMEOUT_MS: u64 = 10 * 60 * 1000;

/// Asks every such source that `selected` reads for its version, and records it. One that cannot be
/// asked is told, and counts as what it was when it was asked last.
pub fn sources(context: &Context, app: &App, selected: &NodeSet) -> Result<(), Failure> {
    let workspace = &app.workspace;
    let world = workspace.world();
    let asked: Vec<NodeId> = sources_of(&world, &ops_of(&world, selected))
        .into_iter()
        .filter(|it| !matches!(workspace.project.nodes[*it].source(), Some(Source::Files(_)) | None))
        .collect();
    if asked.is_empty() {
        return Ok(());
    }
    let last = load_observations(&world, &asked)?;
    let folder = app.state.logs().join("sources");
    fs::create_folder(&folder)?;
    let mut executor: Option<LocalExecutor> = None;
    let mut changes = Vec::new();
    for node in asked {
        let key = workspace.project.key(node);
        let found = match workspace.project.nodes[node].source() {
            Some(Source::Url { url, max_age }) => {
                let (url, max_age, last) = (url.clone(), *max_age, last.get(&node).cloned());
                UrlSource { key: key.clone(), url, max_age, last, options: url_options(workspace) }.observe(world.now)
            }
            Some(Source::Command { action, folder: inside, env }) => {
                let executor = executor.get_or_insert_with(|| LocalExecutor::new(this_program(), None));
                let inside = inside.under(&workspace.root);
                ask_command(workspace, executor, key, (action, &inside, env), &folder)
            }
            Some(Source::Files(_)) | None => continue,
        };
        match found {
            Ok(observation) => changes.extend(news(last.get(&node), observation)),
            Err(error) => told(context, key, &error, last.contains_key(&node)),
        }
    }
    Ok(workspace.store.commit(&changes)?)
}

/// The same version seen again moves the time of the last look, which a limit on age counts from.
fn news(last: Option<&Observation>, now: Observation) -> Option<Change> {
    (last != Some(&now)).then_some(Change::Observed(now))
}

fn told(context: &Context, key: &AssetKey, error: &SourceError, known: bool) {
    let mut message = error.to_string();
    if let Some(help) = error.help() {
        message.push_str(&format!("; {help}"));
    }
    if known {
        message.push_str(&format!("\nsource {key} counts as what it was when it was asked last"));
    }
    context.ui.warn(&message);
}

fn url_options(workspace: &Workspace) -> UrlOptions {
    let proxy = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    let proxy = proxy.iter().find_map(|it| workspace.env.get(it)).filter(|it| !it.is_empty());
    UrlOptions { proxy: proxy.map(str::to_owned), ..UrlOptions::default() }
}

fn ask_command(
    workspace: &Workspace,
    executor: &dyn Executor,
    key: &AssetKey,
    (action, inside, env): (&Action, &Path, &[EnvName]),
    log_folder: &Path,
) -> Result<Observation, SourceError> {
    let mut uses = Uses::default();
    for template in action.templates() {
        uses.merge(template.uses().unwrap_or_else(|_| Uses::everything()));
    }
    let project = &workspace.project;
    let mut environment = CommandEnvironment::of(&workspace.env, project, env, uses.env.iter().cloned());
    environment.set("ASSETS_KEY", key.as_str());
    let argv = rendered(workspace, &environment, action, env)
        .map_err(|cause| SourceError::Executor { key: key.to_string(), cause })?;
    let now = workspace.clock.now();
    // Unique among processes too: a source may be asked by two at once.
    let attempt = format!("source-{}-{}-{}", std::process::id(), now.as_nanosecond(), key.env_name());
    let spec = StepSpec {
        version: SPEC_VERSION,
        run: "source".to_owned(),
        log: log_folder.join(format!("{attempt}.log")),
        attempt,
        key: key.to_string(),
        partition: String::new(),
        argv,
        secrets: environment.secrets.clone(),
        env: environment.into_pairs(),
        folder: inside.to_owned(),
        timeout_ms: Some(TIMEOUT_MS),
        grace_ms: 5000,
        log_bytes_max: 1 << 20,
    };
    CommandSource { key: key.clone(), executor, spec }.observe(now)
}

fn rendered(
    workspace: &Workspace,
    environment: &CommandEnvironment,
    action: &Action,
    env: &[EnvName],
) -> Result<Vec<Vec<u8>>, String> {
    let env = environment.of_templates(env);
    let root = workspace.root.to_string_lossy();
    let (inputs, outputs, partition) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let scope = |quoting| Scope {
        vars: &workspace.project.vars,
        env: &env,
        project_root: &root,
        inputs: &inputs,
        outputs: &outputs,
        run_id: "source",
        partition: &partition,
        quoting,
        refs: None,
        model: None,
    };
    match action {
        Action::Argv(words) => words
            .iter()
            .map(|it| it.render(&scope(Quoting::AsIs)).map(String::into_bytes).map_err(|it| it.message))
            .collect(),
        Action::Shell(text) => {
            let text = text.render(&scope(Quoting::Shell)).map_err(|it| it.message)?;
            Ok(vec![b"/bin/sh".to_vec(), b"-c".to_vec(), text.into_bytes()])
        }
        Action::Sql(_) => Err("a query is no way to ask for a version".to_owned()),
    }
}
