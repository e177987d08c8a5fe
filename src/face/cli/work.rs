//! The hidden subcommand that runs queries and checks, one after the other, as it is told on standard input.

use std::{
    io::{BufRead, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{Receiver, channel},
};

use crate::{
    base::process::cpu_ms,
    exec::{
        check,
        executor::worker::{Answer, Task},
        query,
    },
    face::{
        cli::{check_step, query_step},
        exit::Exit,
    },
};

/// Works until standard input ends, and not a moment longer.
pub fn work() -> Exit {
    let (sender, tasks) = channel();
    std::thread::spawn(move || answer(&tasks));
    for line in std::io::stdin().lock().lines() {
        let Ok(task) = line.map_err(drop).and_then(|it| serde_json::from_str(&it).map_err(drop)) else { break };
        if sender.send(task).is_err() {
            break;
        }
    }
    Exit::Done
}

fn answer(tasks: &Receiver<Task>) {
    let mut out = std::io::stdout();
    for task in tasks {
        let before = cpu_ms();
        let (done, said) = done(&task);
        let answer = Answer { done, said, cpu_ms: cpu_ms().saturating_sub(before) };
        let mut line = serde_json::to_vec(&answer).expect("it is made of texts and numbers");
        line.push(b'\n');
        if out.write_all(&line).and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

fn done(task: &Task) -> (bool, String) {
    let request = task.request.as_bytes();
    let run = || match task.subcommand.as_str() {
        query::SUBCOMMAND => query_step::run(request).map(|()| String::new()),
        check::SUBCOMMAND => check_step::run(request),
        other => Err(format!("{other} is nothing that a worker does")),
    };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(said)) => (true, said),
        Ok(Err(why)) => (false, format!("{}\n", why.trim_end())),
        Err(panic) => {
            let why = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            (false, format!("internal error, please report it: {}\n", why.unwrap_or("it is not known what")))
        }
    }
}
