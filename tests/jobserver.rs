//! Jobs of a run and of the builds that its commands start are one number: the server side, with a client
//! of our own that speaks as GNU make 4.4 does, whatever `make` is installed here.

use crate::support::{Project, asset};

/// Six jobs: the first on the token that every client has, each further one on a token from the FIFO, put back after
/// it. No job ends before `MEET` jobs have begun, so that as many must be at work at once.
const MAKE: &str = r#"#!/bin/sh
if [ "$1" = --version ]; then echo "GNU Make 4.4.1"; exit; fi
case "$MAKEFLAGS" in
*--jobserver-auth=fifo:*) fifo=${MAKEFLAGS##*--jobserver-auth=fifo:} fifo=${fifo%% *} ;;
*) echo "no FIFO in '$MAKEFLAGS'" >&2; exit 9 ;;
esac
exec 3<>"$fifo" || exit 9
begun() { grep -c start jobs.log; }
job() {
    echo start >> jobs.log
    until [ "$(begun)" -ge "$1" ]; do sleep 0.01; done
    sleep 0.05
    echo end >> jobs.log
}
job "$1" &
for number in 2 3 4 5 6; do
    taken=$(dd bs=1 count=1 <&3 2>> tokens.err)
    [ -n "$taken" ] || exit 9
    (job "$1"; [ "$2" = keep ] || printf %s "$taken" >&3) &
done
wait
"#;

fn project(assets: &str) -> Project {
    let project = Project::new().manifest(assets).file("bin/make", MAKE);
    project.shell("chmod +x bin/make");
    let path = format!("{}:{}", project.path("bin").display(), std::env::var("PATH").unwrap());
    project.env("PATH", &path)
}

/// How many jobs there were, and how many at once.
fn jobs(project: &Project) -> (usize, usize) {
    let (mut all, mut now, mut most) = (0, 0_usize, 0);
    for line in project.read("jobs.log").lines() {
        match line {
            "start" => (all, now) = (all + 1, now + 1),
            "end" => now -= 1,
            other => panic!("{other:?} in the log"),
        }
        most = most.max(now);
    }
    assert_eq!(now, 0, "a job did not end");
    (all, most)
}

#[test]
fn a_build_below_a_step_gets_every_job_that_is_free() {
    let project = project(&asset("made", "make 3 && touch {{ output }}"));
    project.run(&["materialize", "-j3"]).succeeded();
    assert_eq!(jobs(&project), (6, 3));
}

#[test]
fn builds_below_several_steps_share_the_jobs_of_the_run() {
    let made = ["a", "b"].map(|it| asset(it, "make 3 && touch {{ output }}"));
    let project = project(&made.concat());
    project.run(&["materialize", "-j3"]).succeeded();
    let (all, most) = jobs(&project);
    assert_eq!((all, most), (12, 3));
}

#[test]
fn with_one_job_nothing_is_left_to_hand_out() {
    // The client waits for a token that never comes: the time limit ends it.
    let project = project(&format!("{}timeout = \"1s\"\n", asset("made", "make 1 && touch {{ output }}")));
    project.run(&["materialize", "-j1"]).exited(1);
    assert_eq!(project.read("jobs.log"), "start\nend\n");
}

/// A step needs no token from the FIFO while the run has nothing else to do, so that a build which loses
/// tokens costs its neighbours speed and never the run.
#[test]
fn tokens_that_a_build_loses_do_not_stop_the_run() {
    let lossy = asset("lossy", "make 3 keep & sleep 0.5; touch {{ output }}");
    let after = format!("{}deps = [\"lossy\"]\n", asset("after", "touch {{ output }}"));
    let project = project(&format!("{lossy}{after}"));
    project.run(&["materialize", "-j3"]).succeeded();
    assert_eq!(project.ran_in_order(), ["lossy", "after"]);
}
