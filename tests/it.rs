//! The one integration test binary: a file for each command or feature.

#![expect(clippy::disallowed_methods, reason = "tests set up the world from outside")]

mod executor;
mod io;
mod layers;
mod manifest;
