//! Arguments and environment of a command, from templates and what they stand for.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

use crate::{
    exec::io::Slice,
    exec::run::{context::RunContext, environment::CommandEnvironment, prepare::PrepareError},
    model::{
        project::{Action, NodeId, Op},
        template::{Quoting, Scope, Template, TemplateError, Uses},
    },
};

/// What a dependency is given as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Given {
    One(OsString),
    /// The files of a source: one argument each.
    Many(Vec<OsString>),
    /// Partitions of a table that a query reads where it is.
    Slices(Vec<Slice>),
    /// What a query reads, with its columns in a form that says their types: Arrow.
    Columns(OsString),
    /// Partitions: one argument each, and a folder with one entry each.
    Folder {
        folder: OsString,
        paths: Vec<OsString>,
    },
}

impl Given {
    pub fn all(&self) -> &[OsString] {
        match self {
            Given::One(it) | Given::Columns(it) => std::slice::from_ref(it),
            Given::Many(them) => them,
            Given::Slices(_) => &[],
            Given::Folder { paths, .. } => paths,
        }
    }

    /// As the value of one variable: a list has one entry a line, partitions are a folder.
    fn variable(&self) -> OsString {
        match self {
            Given::Folder { folder, .. } => folder.clone(),
            _ => self.all().join(OsStr::new("\n")),
        }
    }
}

/// Where an output is to be written, or lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    pub node: NodeId,
    pub path: PathBuf,
}

pub struct Rendered {
    pub argv: Vec<Vec<u8>>,
    pub environment: CommandEnvironment,
}

/// Renders `action`, which is the command of `op` or a check of what that made.
///
/// # Errors
/// A template that names what is not there; a name that is not UTF-8 in the middle of a text.
pub fn render(
    context: &RunContext<'_>,
    op: &Op,
    action: &Action,
    outputs: &[Place],
    given: &[(NodeId, Given)],
    partition: &BTreeMap<String, String>,
) -> Result<Rendered, PrepareError> {
    let project = &*context.workspace.project;
    let mut uses = Uses::default();
    // A whole argument is given as bytes and needs no text.
    let whole = |it: &&Template| matches!(action, Action::Shell(_)) || it.whole_input().is_none();
    for template in action.templates().iter().filter(whole) {
        uses.merge(template.uses().unwrap_or_else(|_| Uses::everything()));
    }
    let mut environment = CommandEnvironment::of(&context.workspace.env, project, &op.env, uses.env.iter().cloned());
    let values =
        Values { partition: partition.clone(), ..Values::of(context, op, outputs, given, &uses, &environment)? };
    let argv = match action {
        Action::Argv(words) => {
            let mut argv = Vec::new();
            for word in words {
                let whole = word.whole_input();
                match whole.and_then(|key| given.iter().find(|(it, _)| project.key(*it).as_str() == key)) {
                    Some((_, it)) => argv.extend(it.all().iter().map(|it| it.as_bytes().to_vec())),
                    None => argv.push(values.render(word, Quoting::AsIs)?.into_bytes()),
                }
            }
            argv
        }
        Action::Shell(text) => {
            let text = values.render(text, Quoting::Shell)?;
            vec![b"/bin/sh".to_vec(), b"-c".to_vec(), text.into_bytes()]
        }
        // Run by this program, which is told the rest when it is known.
        Action::Sql(_) => Vec::new(),
    };
    announce(context, op, outputs, given, &mut environment);
    for name in ["key", "start", "end"] {
        if let Some(value) = partition.get(name) {
            environment.set(format!("ASSETS_PARTITION_{}", name.to_ascii_uppercase()), value.as_str());
        }
    }
    Ok(Rendered { argv, environment })
}

/// `ASSETS_*`: what is where, for commands that would rather read it than be told.
fn announce(
    context: &RunContext<'_>,
    op: &Op,
    outputs: &[Place],
    given: &[(NodeId, Given)],
    environment: &mut CommandEnvironment,
) {
    let project = &*context.workspace.project;
    environment.set("ASSETS_KEY", op.name.as_str());
    environment.set("ASSETS_RUN_ID", context.run.0.as_str());
    if let [only] = outputs {
        environment.set("ASSETS_OUTPUT", only.path.as_os_str());
    }
    for it in outputs {
        environment.set(format!("ASSETS_OUTPUT_{}", project.key(it.node).env_name()), it.path.as_os_str());
    }
    for (node, it) in given {
        environment.set(format!("ASSETS_INPUT_{}", project.key(*node).env_name()), it.variable());
    }
    for (name, value) in context.jobserver.environment(context.make_speaks_fifo) {
        environment.set(name, value);
    }
}

struct Values<'a> {
    vars: &'a BTreeMap<String, crate::model::project::VarValue>,
    env: BTreeMap<String, String>,
    root: String,
    inputs: BTreeMap<String, Vec<String>>,
    outputs: BTreeMap<String, String>,
    run: &'a str,
    partition: BTreeMap<String, String>,
}

impl<'a> Values<'a> {
    fn of(
        context: &'a RunContext<'_>,
        op: &Op,
        outputs: &[Place],
        given: &[(NodeId, Given)],
        uses: &Uses,
        environment: &CommandEnvironment,
    ) -> Result<Values<'a>, PrepareError> {
        let project = &*context.workspace.project;
        let mut inputs = BTreeMap::new();
        for (node, it) in given {
            let key = project.key(*node).to_string();
            match it.all().iter().map(|it| it.to_str().map(str::to_owned)).collect::<Option<Vec<_>>>() {
                Some(texts) => drop(inputs.insert(key, texts)),
                // Not text, and not named in one.
                None if !uses.all_inputs && !uses.inputs.contains(&key) => {}

                None => return Err(not_text(&key)),
            }
        }
        let mut paths = BTreeMap::new();
        for it in outputs {
            let key = project.key(it.node).to_string();
            let path = it.path.to_str().ok_or_else(|| not_text(&key))?;
            paths.insert(key, path.to_owned());
        }
        let env = environment.of_templates(&op.env);
        let root = context.workspace.root.to_string_lossy().into_owned();
        Ok(Values {
            vars: &project.vars,
            env,
            root,
            inputs,
            outputs: paths,
            run: &context.run.0,
            partition: BTreeMap::new(),
        })
    }

    fn render(&self, template: &Template, quoting: Quoting) -> Result<String, PrepareError> {
        let scope = Scope {
            vars: self.vars,
            env: &self.env,
            project_root: &self.root,
            inputs: &self.inputs,
            outputs: &self.outputs,
            run_id: self.run,
            partition: &self.partition,
            quoting,
            refs: None,
            model: None,
        };
        template.render(&scope).map_err(|TemplateError { message, .. }| PrepareError::Render {
            message: format!("cannot render {:?}: {message}", template.text()),
            help: Vec::new(),
        })
    }
}

fn not_text(key: &str) -> PrepareError {
    PrepareError::Render {
        message: format!("the path of {key} is not UTF-8 and cannot be put into a text"),
        help: vec![format!(
            "give it as an argument of its own, `\"{{{{ inputs.{key} }}}}\"`, in a command that is a list"
        )],
    }
}
