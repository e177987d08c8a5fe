//! `assets init`: a project that materializes at once.

use std::path::{Path, PathBuf};

use crate::{
    base::{fs, suggest},
    face::{
        app::MANIFEST,
        cli::{Context, args::InitArgs, error::Failure, schema},
        exit::Exit,
        report::{
            init::{InitDocument, SCHEMA, TEMPLATES as TEMPLATES_SCHEMA, TemplateDocument, TemplatesDocument},
            json,
        },
        ui::words,
    },
};

/// A project to start from.
pub struct Template {
    pub name: &'static str,
    pub about: &'static str,
    /// An asset worth asking about.
    shown: &'static str,
    files: &'static [(&'static str, &'static str)],
}

macro_rules! files {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../templates/", $folder, "/", $name)))),*]
    };
}

pub const TEMPLATES: [Template; 4] = [
    Template {
        name: "shell",
        about: "a small diamond of commands; needs a POSIX shell and awk",
        shown: "report",
        files: files!("shell": "assets.toml", "raw/sales.csv", "report.sh", "total.awk"),
    },
    Template {
        name: "sql",
        about: "queries over files, with checks of their rows; needs nothing",
        shown: "daily_sales",
        files: files!(
            "sql": "assets.toml", "models/city_sales.sql", "models/customers.sql", "models/daily_sales.sql",
            "models/orders.sql", "raw/customers.csv", "raw/orders.csv"
        ),
    },
    Template {
        name: "python",
        about: "scripts that are run by python3; its standard library is enough",
        shown: "report",
        files: files!(
            "python": "assets.toml", "raw/sales.csv", "scripts/clean.py", "scripts/report.py", "scripts/total.py"
        ),
    },
    Template {
        name: "files",
        about: "many files: a pattern, a folder, two assets of one command, a pool",
        shown: "summary",
        files: files!(
            "files": "assets.toml", "raw/fox.txt", "raw/moon.txt", "raw/sun.txt", "scripts/count.sh", "scripts/split.sh"
        ),
    },
];

const SCHEMA_FILE: &str = "assets.schema.json";
const IGNORE_FILE: &str = ".gitignore";
/// Outputs, state, and the overrides of one person.
const IGNORED: [&str; 3] = ["/data/", "/.assets/", "/assets.local.toml"];

pub fn run(context: &Context, args: &InitArgs) -> Result<Exit, Failure> {
    if args.list {
        return list(context);
    }
    let template = TEMPLATES.iter().find(|it| it.name == args.template).ok_or_else(|| unknown(args))?;
    let given = args.folder.clone().unwrap_or_else(|| PathBuf::from("."));
    let folder = context.opening.start.join(&given);
    let files = written(template, &folder);
    refuse_what_is_there(&folder, &files)?;
    for (name, text) in &files {
        let path = folder.join(name);
        fs::create_folder(path.parent().expect("a file is in a folder"))?;
        fs::write(&path, text.as_bytes())?;
    }
    let mut files: Vec<&str> = files.iter().map(|it| it.0).collect();
    files.extend(ignore_outputs(&folder)?.then_some(IGNORE_FILE));
    let change = (given != Path::new(".")).then(|| format!("cd {}", given.display()));
    let next = [change, Some("assets materialize".to_owned()), Some("assets status".to_owned())];
    let mut next: Vec<String> = next.into_iter().flatten().collect();
    if next.len() < 3 {
        next.push(format!("assets show {}", template.shown));
    }
    if context.json {
        let files = files.iter().map(|it| (*it).to_owned()).collect();
        let folder = given.display().to_string();
        context.ui.print(&json(&InitDocument { schema: SCHEMA, template: template.name, folder, files, next }))?;
        return Ok(Exit::Done);
    }
    let place = if given == Path::new(".") { "this folder".to_owned() } else { given.display().to_string() };
    let mut text = format!("A project from the template `{}` is in {}:\n\n", template.name, words::visible(&place));
    files.iter().for_each(|name| text.push_str(&format!("  {name}\n")));
    text.push_str("\nNext:\n\n");
    next.iter().for_each(|it| text.push_str(&format!("  {it}\n")));
    context.ui.print(&text)?;
    Ok(Exit::Done)
}

fn list(context: &Context) -> Result<Exit, Failure> {
    if context.json {
        let templates = TEMPLATES.iter().map(|it| TemplateDocument { name: it.name, about: it.about }).collect();
        context.ui.print(&json(&TemplatesDocument { schema: TEMPLATES_SCHEMA, templates }))?;
    } else {
        for it in &TEMPLATES {
            context.ui.print(&format!("{}  {}\n", words::pad_right(it.name, 8), it.about))?;
        }
    }
    Ok(Exit::Done)
}

fn unknown(args: &InitArgs) -> Failure {
    let names = TEMPLATES.map(|it| it.name);
    let failure = Failure::usage(format!("there is no template `{}`", args.template));
    if let Some(near) = suggest::nearest(&args.template, names) {
        return failure.hint(format!("did you mean `{near}`?"));
    }
    let failure = failure.hint(format!("there are {}", names.join(", ")));
    if args.folder.is_none() {
        failure.hint(format!("for a folder: `assets init shell {}`", args.template))
    } else {
        failure
    }
}

/// The files of the project, which is named after its folder: its name tells its tables from those of others.
fn written(template: &Template, folder: &Path) -> Vec<(&'static str, String)> {
    let own = fs::canonical(folder).ok();
    let name = own.as_deref().unwrap_or(folder).file_name().and_then(|it| it.to_str());
    let is_plain = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
    let name = name.unwrap_or_default().replace(|it| !is_plain(it), "-");
    let name = match name.trim_matches('-') {
        "" => template.name,
        name => name,
    };
    let declared = format!("name = \"{}\"", template.name);
    let files = template.files.iter().map(|(path, text)| {
        let is_manifest = *path == MANIFEST;
        let text =
            if is_manifest { text.replacen(&declared, &format!("name = \"{name}\""), 1) } else { (*text).to_owned() };
        (*path, text)
    });
    files.chain([(SCHEMA_FILE, schema::MANIFEST.to_owned())]).collect()
}

fn refuse_what_is_there(folder: &Path, files: &[(&str, String)]) -> Result<(), Failure> {
    let mut in_the_way = Vec::new();
    for (name, _) in files {
        if fs::look(&folder.join(name))?.is_some() {
            in_the_way.push(*name);
        }
    }
    if in_the_way.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(format!("nothing was written: {} would be overwritten", in_the_way.join(", ")))
        .hint("give another folder: `assets init TEMPLATE FOLDER`"))
}

/// Adds to `.gitignore` what it does not say yet; `false` if it says everything.
fn ignore_outputs(folder: &Path) -> Result<bool, Failure> {
    let path = folder.join(IGNORE_FILE);
    let mut text = fs::read_if_there(&path)?.unwrap_or_default();
    let bare = |line: &str| line.trim().trim_matches('/').to_owned();
    let said: Vec<String> = String::from_utf8_lossy(&text).lines().map(bare).collect();
    let missing: Vec<&str> = IGNORED.into_iter().filter(|it| !said.contains(&bare(it))).collect();
    if missing.is_empty() {
        return Ok(false);
    }
    if text.last().is_some_and(|it| *it != b'\n') {
        text.push(b'\n');
    }
    missing.iter().for_each(|it| text.extend_from_slice(format!("{it}\n").as_bytes()));
    fs::write(&path, &text)?;
    Ok(true)
}
