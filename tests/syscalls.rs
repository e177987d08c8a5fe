//! What a no-op asks of the system: one call for each file, and a part that does not grow with the project.
//! Counts, not times: they are the same on every machine.

use std::{fmt::Write, process::Command};

use crate::support::Project;

/// Start-up, locks and the state, whatever the size: 60 is where this is to go (see docs/performance.md).
const CONSTANT_MAX: usize = 400;

/// `count` assets, each with a source file of its own; built, and asked once more so that all is known.
fn built(count: usize) -> Project {
    let mut manifest = String::new();
    for at in 0..count {
        writeln!(manifest, "[asset.n{at}]\ncommand = 'cp raw/{at} {{{{ output }}}}'\nsources = ['raw/{at}']").unwrap();
    }
    let project = Project::new().manifest(&manifest);
    for at in 0..count {
        project.write(&format!("raw/{at}"), "1");
    }
    project.run(&["materialize", "-q"]).succeeded();
    project.run(&["status", "-q"]).succeeded();
    project
}

/// Every system call of a command, one a line.
fn calls(project: &Project, arguments: &[&str]) -> Vec<String> {
    let trace = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(trace.path()).arg(env!("CARGO_BIN_EXE_assets")).args(arguments);
    let sealed = project.command(&[]);
    command.current_dir(project.root()).env_clear().envs(sealed.get_envs().filter_map(|it| Some((it.0, it.1?))));
    project.start_command(command).finish().succeeded();
    let text = std::fs::read_to_string(trace.path()).unwrap();
    // A call that another thread interrupts takes two lines, the second of which is "resumed".
    text.lines().filter(|it| !it.contains(" resumed>")).map(str::to_owned).collect()
}

#[test]
fn a_no_op_costs_one_call_for_each_file_and_opens_none() {
    let small = built(20);
    let large = built(420);
    for question in [&["status"][..], &["materialize"]] {
        let few = calls(&small, question);
        let many = calls(&large, question);
        let files = 2 * 420;
        assert!(few.len() <= 2 * 20 + 2 + CONSTANT_MAX, "{question:?}: {} calls for 40 files", few.len());
        assert!(many.len() <= files + 2 + CONSTANT_MAX, "{question:?}: {} calls for {files} files", many.len());
        let grown = many.len() - few.len();
        // Memory is asked for now and then, and a second thread helps with many files.
        assert!(grown <= 2 * 400 + 60, "{question:?}: {grown} calls more for 800 files more");
        let opened = |it: &&String| it.contains("open") && ["\"n1", "raw/", "\"1"].iter().any(|name| it.contains(name));
        assert_eq!(many.iter().filter(opened).collect::<Vec<_>>(), [""; 0], "{question:?} opens data");
        let executed = many.iter().filter(|it| it.contains("exec")).count();
        assert_eq!(executed, 1, "{question:?} executes something besides itself");
    }
    // The same of a part: what is not asked for is not looked at.
    let part = calls(&large, &["status", "-s", "n7"]);
    assert!(part.len() <= 2 + 2 + CONSTANT_MAX, "{} calls for two files", part.len());
    assert!(!part.iter().any(|it| it.contains("\"n8\"")), "looks at what was not asked for");
}
