//! Projects on network file systems. None can be had here: a debug build is told to take every file system
//! for one (which magic numbers are, is a test of `boot`).

use assets::base::sabotage::ON_NETWORK;

use crate::support::{Project, asset, asset_of};

const WARNING: &str = "network or user-space file system";

fn project() -> Project {
    let copies = asset("a", "cat in.txt > {{ output }}")
        + "sources = [\"in.txt\"]\n"
        + &asset_of("b", &["a"], "cat {{ inputs.a }} > {{ output }}");
    Project::new().file("in.txt", "1\n").manifest(&copies)
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "a release build cannot be told where it is")]
fn a_run_on_a_network_says_so_once_and_shares_no_memory() {
    let project = project().env(ON_NETWORK, "1");
    let first = project.run(&["materialize"]).succeeded();
    assert_eq!(first.stderr.matches(WARNING).count(), 1, "{}", first.stderr);
    // A write-ahead log needs memory that two machines cannot share, and stamps are no proof there.
    for local in ["state.db-wal", "state.db-shm", "status.idx", "state.idx"] {
        assert!(!project.exists(&format!(".assets/{local}")), "{local}");
    }
    project.ran();
    for question in [&["status"][..], &["materialize"], &["materialize"]] {
        let output = project.run(question).succeeded();
        assert!(!output.stderr.contains(WARNING), "{}", output.stderr);
    }
    assert_eq!(project.ran(), [""; 0]);
    project.write("in.txt", "2\n");
    project.run(&["status"]).exited(3);
    project.run(&["materialize"]).succeeded();
    assert_eq!((project.ran(), project.read("data/b")), (vec!["a".to_owned(), "b".to_owned()], "2\n".to_owned()));
    let doctor = project.run(&["doctor"]).succeeded();
    assert!(doctor.stdout.contains(WARNING), "{}", doctor.stdout);
}

/// A project that is moved there and back: records and the form of the state go with it.
#[test]
#[cfg_attr(not(debug_assertions), ignore = "a release build cannot be told where it is")]
fn a_project_is_moved_to_a_network_and_back() {
    let mut project = project();
    project.run(&["materialize"]).succeeded();
    for round in 2..5 {
        if round % 2 == 0 {
            project.set_env(ON_NETWORK, "1")
        } else {
            project.unset_env(ON_NETWORK)
        }
        project.ran();
        project.run(&["status"]).succeeded();
        project.run(&["materialize"]).succeeded();
        assert_eq!(project.ran(), [""; 0], "moving is no reason");
        project.write("in.txt", format!("{round}\n"));
        project.run(&["status"]).exited(3);
        project.run(&["materialize"]).succeeded();
        assert_eq!(project.ran().len(), 2);
        assert_eq!(project.read("data/b"), format!("{round}\n"));
    }
}
