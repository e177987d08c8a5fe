//! What the run loop has done for it, and what comes back: everything that may wait for a disk or a database.

use std::{panic::AssertUnwindSafe, sync::mpsc::Sender};

use crate::{
    base::sabotage,
    exec::{
        executor::{ExecutorEvent, StepResult},
        run::{
            audit,
            batch::{Batch, Together, prepare_together},
            context::RunContext,
            finish::{Finished, finish},
            prepare::{Attempting, PrepareError, Prepared, prepare},
        },
        todo::Todo,
    },
    model::{
        event::{StepError, StepIndex},
        plan::Plan,
    },
};

use super::together::UnitId;

pub enum Message {
    Prepared(StepIndex, Result<Prepared, PrepareError>),
    /// The command ended well, and what it made is there to be checked.
    Made(StepIndex, Box<Attempting>),
    Finished(StepIndex, Finished),
    Executor(ExecutorEvent),
    Panicked(StepIndex, String),
    Together(UnitId, Box<Together>),
    Parted(UnitId, Box<Batch>, Result<(), StepError>),
}

pub enum Work {
    Prepare(StepIndex, u32),
    Audit(StepIndex, Box<Attempting>, Box<StepResult>),
    Finish(StepIndex, Box<Attempting>, Box<StepResult>),
    PrepareTogether(UnitId, Vec<(StepIndex, u32)>),
    /// What a command made for several is laid where each of them expects it.
    Part(UnitId, Box<Batch>),
}

/// Does work until there is no more. A panic is a failed step, not a hung run.
pub fn worker(context: &RunContext<'_>, plan: &Plan, todo: &Todo<Work>, sender: &Sender<Message>) {
    while let Some(work) = todo.next() {
        let index = match &work {
            Work::Prepare(index, _) | Work::Audit(index, ..) | Work::Finish(index, ..) => *index,
            Work::PrepareTogether(_, members) => members[0].0,
            Work::Part(_, batch) => batch.attempts[0].0,
        };
        let step = &plan.steps[index];
        let name = context.workspace.project.ops[step.op].name.as_str();
        let done = std::panic::catch_unwind(AssertUnwindSafe(|| match work {
            Work::Prepare(_, attempt) => {
                sabotage::panic_if_told("preparing", name);
                Message::Prepared(index, prepare(context, step, index, attempt))
            }
            Work::Audit(_, mut attempting, result) => match audit::begin(context, &mut attempting, &result) {
                Ok(()) => Message::Made(index, attempting),
                // It says the same once more, and ends the attempt.
                Err(_) => Message::Finished(index, finish(context, step, *attempting, &result)),
            },
            Work::Finish(_, attempting, result) => {
                sabotage::panic_if_told("finishing", name);
                Message::Finished(index, finish(context, step, *attempting, &result))
            }
            Work::PrepareTogether(id, members) => {
                Message::Together(id, Box::new(prepare_together(context, plan, &members)))
            }
            Work::Part(id, batch) => {
                let parted = batch.part(context);
                Message::Parted(id, batch, parted)
            }
        }));
        let message = done.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Message::Panicked(index, text.to_owned())
        });
        if sender.send(message).is_err() {
            return;
        }
    }
}
