//! How many threads an engine in this process works with: all that it was given as long as somebody has something
//! large to do, and otherwise one, that of whoever asks.
//!
//! With more than one DuckDB hands every statement to another thread and asks again and again whether it is done: of
//! statements of a row that is most of what they cost.

use std::sync::{Arc, Mutex, PoisonError};

use adbc_core::{Connection, Statement};
use adbc_driver_manager::ManagedConnection;

/// Tables of fewer rows are read by one thread of DuckDB in any case: it is what its groups of rows hold.
pub const SMALL_ROWS: u64 = 122_880;
/// Of files nobody knows how many rows they have.
pub const SMALL_BYTES: u64 = 1 << 20;

/// The threads of one database that is open.
pub struct Threads {
    /// As it was opened; none of an engine that is left alone.
    all: Option<u64>,
    state: Mutex<State>,
}

struct State {
    /// Who has something large to do.
    users: usize,
    has_all: bool,
}

/// As long as it is held, all threads work.
pub struct All {
    threads: Arc<Threads>,
    connection: ManagedConnection,
}

impl Threads {
    /// Of a database that was just opened: from now on one.
    pub fn of(connection: &mut ManagedConnection, all: Option<u64>) -> Arc<Threads> {
        let all = all.filter(|it| *it > 1);
        let has_all = all.is_some() && !set(connection, 1);
        Arc::new(Threads { all, state: Mutex::new(State { users: 0, has_all }) })
    }

    /// Lets all of them work.
    pub fn all(self: &Arc<Self>, connection: &ManagedConnection) -> All {
        let mut all = All { threads: Arc::clone(self), connection: connection.clone() };
        if let Some(count) = self.all {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.users += 1;
            state.has_all = state.has_all || set(&mut all.connection, count);
        }
        all
    }
}

impl Drop for All {
    fn drop(&mut self) {
        if self.threads.all.is_none() {
            return;
        }
        let mut state = self.threads.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.users -= 1;
        if state.users == 0 && state.has_all {
            // A transaction that has failed refuses this too: then it is said after the next one.
            state.has_all = !set(&mut self.connection, 1);
        }
    }
}

fn set(connection: &mut ManagedConnection, count: u64) -> bool {
    let done = connection.new_statement().and_then(|mut it| {
        it.set_sql_query(format!("set global threads = {count}"))?;
        it.execute_update()
    });
    done.is_ok()
}
