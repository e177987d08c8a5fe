//! Patterns of files: whether they are well-formed and stay below the project.
//!
//! Knows their spelling, not what they match; that is for whoever lists files.

use globset::{Glob, GlobBuilder};

use crate::base::{
    diagnostic::Diagnostic,
    path::{BadPath, ProjectPath},
    span::Span,
};

use super::{code, report::Report};

/// Folders that are not for data, whatever their case.
const FORBIDDEN: [&str; 2] = [".git", ".assets"];

/// Whether some part of `path` is a folder that is not for data.
pub fn forbidden_part(path: &ProjectPath) -> Option<&'static str> {
    path.as_bytes()
        .split(|it| *it == b'/')
        .find_map(|part| FORBIDDEN.into_iter().find(|it| part.eq_ignore_ascii_case(it.as_bytes())))
}

/// Whether the pattern is more than a path: `{` and `,` are letters here.
pub fn has_wildcards(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

/// As many as whoever lists files follows.
const PARTS_MAX: usize = 60;

pub fn glob(text: &str) -> Result<Glob, globset::Error> {
    let plain = text.replace('{', "[{]").replace('}', "[}]");
    GlobBuilder::new(&plain).literal_separator(true).backslash_escape(true).build()
}

const PATH_BYTES_MAX: usize = 1024;
const NAME_BYTES_MAX: usize = 255;

/// A path below the project that data may be kept at, or a report of why not.
pub fn path(folder: &ProjectPath, text: &str, place: Span, report: &mut Report) -> Option<ProjectPath> {
    if text.len() > PATH_BYTES_MAX || text.split('/').any(|it| it.len() > NAME_BYTES_MAX) {
        let told = Diagnostic::error(code::BAD_PATH, "a path is too long for a file system");
        report.push(
            told.at(place).help(format!("at most {PATH_BYTES_MAX} bytes, and {NAME_BYTES_MAX} for each name in it")),
        );
        return None;
    }
    let shown: String = text.chars().take(200).collect();
    let told = match ProjectPath::resolve(folder, text) {
        Ok(path) => match forbidden_part(&path) {
            None => return Some(path),
            Some(part) => Diagnostic::error(code::BAD_PATH, format!("{shown:?} lies in `{part}`"))
                .help(format!("`{part}` is not for data; choose another folder")),
        },
        Err(BadPath::Absolute) => Diagnostic::error(code::BAD_PATH, format!("{shown:?} is an absolute path"))
            .help("paths are relative, so that the project can be moved"),
        Err(BadPath::Escapes) => Diagnostic::error(code::BAD_PATH, format!("{shown:?} leaves the project"))
            .help("everything that the project reads and writes lies below the folder of its main assets.toml"),
        Err(BadPath::Nul) => Diagnostic::error(code::BAD_PATH, "a path holds a NUL character"),
    };
    report.push(told.at(place));
    None
}

/// Whether the pattern is well-formed and stays below the project; if not, that is reported.
pub fn check(folder: &ProjectPath, text: &str, place: Span, report: &mut Report) -> bool {
    if path(folder, text, place, report).is_none() {
        return false;
    }
    if !has_wildcards(text) {
        return true;
    }
    let climbs_late = text.split('/').skip_while(|it| matches!(*it, ".." | ".")).any(|it| it == "..");
    let wrong = match glob(text) {
        Ok(_) if text.split('/').count() > PARTS_MAX => format!("it has more than {PARTS_MAX} parts"),
        Ok(_) if !climbs_late => return true,
        Ok(_) => "`..` after other parts of a pattern is not understood".to_owned(),
        Err(error) => error.kind().to_string(),
    };
    report.push(
        Diagnostic::error(code::BAD_PATTERN, "the pattern is malformed")
            .at(place)
            .label(wrong)
            .help("patterns are written as in .gitignore: `*`, `**`, `?`, `[a-z]`"),
    );
    false
}
