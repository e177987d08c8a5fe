//! Hands the arguments to the face and returns its exit code.

fn main() {}
