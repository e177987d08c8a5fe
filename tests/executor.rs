//! The local executor and its supervisor, with real processes.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use assets::exec::executor::{
    Executor, ExecutorEvent, SPEC_VERSION, StepExit, StepResult, StepSpec, local::LocalExecutor,
};

struct Bench {
    folder: tempfile::TempDir,
    executor: LocalExecutor,
}

impl Bench {
    fn new() -> Self {
        Bench { folder: tempfile::tempdir().unwrap(), executor: LocalExecutor::new(binary(), None) }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn spec(&self, attempt: &str, argv: &[&str]) -> StepSpec {
        StepSpec {
            version: SPEC_VERSION,
            run: "run".into(),
            attempt: attempt.into(),
            key: "key".into(),
            partition: String::new(),
            argv: argv.iter().map(|it| it.as_bytes().to_vec()).collect(),
            env: vec![(b"PATH".to_vec(), b"/usr/local/bin:/usr/bin:/bin".to_vec())],
            folder: self.path().to_owned(),
            log: self.path().join(format!("{attempt}.log")),
            secrets: vec![],
            timeout_ms: None,
            grace_ms: 2000,
            log_bytes_max: 1 << 20,
        }
    }

    fn run(&self, spec: &StepSpec) -> StepResult {
        self.executor.submit(spec).unwrap();
        self.finished()
    }

    fn sh(&self, script: &str) -> StepResult {
        self.run(&self.spec("attempt", &["sh", "-c", script]))
    }

    fn finished(&self) -> StepResult {
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until {
            match self.executor.next_event(Duration::from_secs(1)) {
                Some(ExecutorEvent::Finished { result, .. }) => return result,
                Some(ExecutorEvent::Broken(why)) => panic!("{why}"),
                Some(ExecutorEvent::Started { .. }) | None => {}
            }
        }
        panic!("nothing finished");
    }
}

fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_assets").into()
}

#[test]
fn a_command_runs_and_its_output_is_kept() {
    let bench = Bench::new();
    let result = bench.sh("echo out; echo err >&2; exit 3");
    assert_eq!(result.exit, StepExit::Code(3));
    assert_eq!(result.tail, ["out", "err"]);
    assert_eq!(std::fs::read_to_string(bench.path().join("attempt.log")).unwrap(), "out\nerr\n");
}
