//! From the text of `assets.toml` to a [`Project`](crate::model::project::Project).
