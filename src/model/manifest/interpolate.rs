//! Templates of the manifest: those of paths and options are rendered at load, from `vars` and
//! `env`; those of commands are only checked. Knows which names exist where, not how templates work.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use crate::{
    base::{
        diagnostic::{Code, Diagnostic},
        span::{SourceMap, Span},
    },
    model::{
        project::VarValue,
        template::{Names, Quoting, Scope, Template, TemplateError},
    },
};

use super::{Options, code, escapes, report::Report};

/// The text with its templates replaced; `None` if that cannot be done, which is reported.
pub fn render(
    text: &Arc<str>,
    place: Span,
    vars: &BTreeMap<String, VarValue>,
    options: &Options<'_>,
    sources: &SourceMap,
    report: &mut Report,
) -> Option<Arc<str>> {
    render_with(text, place, (vars, &BTreeMap::new()), options, sources, report)
}

/// The same, where something is known of partitions.
pub fn render_with(
    text: &Arc<str>,
    place: Span,
    (vars, partition): (&BTreeMap<String, VarValue>, &BTreeMap<String, String>),
    options: &Options<'_>,
    sources: &SourceMap,
    report: &mut Report,
) -> Option<Arc<str>> {
    let template = Template::new(text.clone(), Some(place));
    if template.is_plain() {
        return Some(text.clone());
    }
    let rendered = template.uses().and_then(|uses| {
        if uses.output || uses.run || !uses.inputs.is_empty() || !uses.outputs.is_empty() {
            return Err(TemplateError {
                message: "a path or an option is known before anything is run".into(),
                at: None,
                unknown: Some(String::new()),
                help: Some("only `vars`, `env` and `project.root` can be named here".into()),
            });
        }
        let env = uses.env.iter().filter_map(|it| Some((it.clone(), (options.env)(it)?))).collect();
        template.render(&Scope {
            vars,
            env: &env,
            project_root: options.project_root,
            inputs: &BTreeMap::new(),
            outputs: &BTreeMap::new(),
            run_id: "",
            partition,
            quoting: Quoting::AsIs,
            refs: None,
            model: None,
        })
    });
    match rendered {
        Ok(it) => Some(it.into()),
        Err(error) => {
            report.push(told(error, text, place, sources));
            None
        }
    }
}

/// Checks what one element of a command names, long before it is run.
pub fn check(template: &Template, names: &Names<'_>, sources: &SourceMap, report: &mut Report) {
    let (Err(errors), Some(place)) = (template.check(names), template.place()) else { return };
    for error in errors.into_iter().take(TOLD_MAX) {
        report.push(told(error, template.text(), place, sources));
    }
}

/// Of one template, so many mistakes are told.
const TOLD_MAX: usize = 20;

pub fn told(error: TemplateError, text: &str, place: Span, sources: &SourceMap) -> Diagnostic {
    let code = code_of(&error, text);
    let place = error.at.map_or(place, |it| inside(text, place, it, sources));
    let told = Diagnostic::error(code, error.message).at(place);
    let of_shell = text.contains("${#").then(|| {
        "`{#` begins a comment of templates; for the length of a shell's variable write {% raw %}${#NAME}{% endraw %}"
            .to_owned()
    });
    match error.help.or(of_shell) {
        Some(help) => told.help(help),
        None => told,
    }
}

fn code_of(error: &TemplateError, text: &str) -> Code {
    let named = error.at.clone().and_then(|it| text.get(it)).unwrap_or_default();
    if error.unknown.is_some() || error.message.contains("`output`") {
        code::UNKNOWN_IN_TEMPLATE
    } else if named.starts_with("env") {
        code::UNSET_ENV
    } else {
        code::BAD_TEMPLATE
    }
}

/// The place of a range of a string's text; of what is no string, all of it.
pub fn inside(text: &str, place: Span, range: Range<usize>, sources: &SourceMap) -> Span {
    let raw = sources.file(place.file).text.get(place.range()).unwrap_or_default();
    let start = place.range().start;
    let found = escapes::places(raw, text).and_then(|it| it.origin_of(range));
    found.map_or(place, |it| Span::new(place.file, start + it.start..start + it.end))
}
