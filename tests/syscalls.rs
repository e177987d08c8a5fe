//! What a no-op asks of the system: one call for each file, one for each folder, and a part that does not
//! grow with the project. Counts, not times: they are the same on every machine.
//!
//! What the loader and the runtime do before `main` and after it is another number on every system and none
//! of ours: it is measured with the same program, told to end at once, and not counted.

use std::{fmt::Write, process::Command};

use crate::support::{Project, binary, needs_strace};

/// Arguments, manifest, state and answer, whatever the size of the project.
const CONSTANT_MAX: usize = 60;

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
    // Until everything is known, and known for longer than the clock of the coarsest kernel takes for a tick.
    for _ in 0..10 {
        project.run(&["status", "-q"]).succeeded();
        if project.exists(".assets/state.idx") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    project
}

/// Every system call of a command, one a line.
fn calls(project: &Project, arguments: &[&str]) -> Vec<String> {
    needs_strace();
    let trace = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(trace.path()).arg(binary()).args(arguments);
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
    let start = calls(&small, &["--version"]).len();
    // Files and folders that are looked at.
    for (project, looked_at) in [(&small, 2 * 20 + 2), (&large, 2 * 420 + 2)] {
        for question in [&["status"][..], &["materialize"]] {
            let made = calls(project, question);
            let own = made.len() - start;
            assert!(own <= looked_at + CONSTANT_MAX, "{question:?}: {own} calls for {looked_at} files and folders");
            let opened =
                |it: &&String| it.contains("open") && ["\"n1", "raw/", "\"1"].iter().any(|name| it.contains(name));
            assert_eq!(made.iter().filter(opened).collect::<Vec<_>>(), [""; 0], "{question:?} opens data");
            let executed = made.iter().filter(|it| it.contains("exec")).count();
            assert_eq!(executed, 1, "{question:?} executes something besides itself");
        }
    }
    // The same of a part: what is not asked for is not looked at.
    let part = calls(&large, &["status", "-s", "n7"]);
    assert!(part.len() - start <= 2 + CONSTANT_MAX, "{} calls for two files", part.len() - start);
    assert!(!part.iter().any(|it| it.contains("\"n8\"")), "looks at what was not asked for");
}
