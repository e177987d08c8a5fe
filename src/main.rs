//! Hands the arguments to the face and returns its exit code.

use std::process::ExitCode;

use assets::{
    base::env::Environment,
    exec::{executor::worker, supervise},
    face::cli,
};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    // Before anything else: a supervisor must be fast to start and hold nothing.
    if arguments.get(1).is_some_and(|it| it == supervise::SUBCOMMAND) {
        return u8::try_from(supervise::main()).unwrap_or(1).into();
    }
    if arguments.get(1).is_some_and(|it| it == worker::SUBCOMMAND) {
        return cli::work().code().into();
    }
    cli::main(arguments, Environment::of_process()).code().into()
}
