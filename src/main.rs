//! Hands the arguments to the face and returns its exit code.

use std::process::ExitCode;

use assets::{
    base::env::Environment,
    exec::{check, executor::worker, query, supervise},
    face::cli,
};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    // Before anything else: a supervisor must be fast to start and hold nothing.
    if arguments.get(1).is_some_and(|it| it == supervise::SUBCOMMAND) {
        return u8::try_from(supervise::main()).unwrap_or(1).into();
    }
    if arguments.get(1).is_some_and(|it| it == query::SUBCOMMAND) {
        return cli::query_step(arguments.get(2).map(std::path::Path::new)).code().into();
    }
    if arguments.get(1).is_some_and(|it| it == check::SUBCOMMAND) {
        return cli::check_step(arguments.get(2).map(std::path::Path::new)).code().into();
    }
    if arguments.get(1).is_some_and(|it| it == worker::SUBCOMMAND) {
        return cli::work().code().into();
    }
    cli::main(arguments, Environment::of_process()).code().into()
}
