//! Drivers of ADBC as `.ci/run` brings them, in a Python environment.

use std::path::PathBuf;

use super::tools;

/// The library of a driver, say `sqlite`.
pub fn driver(name: &str) -> PathBuf {
    let libraries = tools().join("adbc/lib");
    let packages = std::fs::read_dir(&libraries).into_iter().flatten().flatten();
    let file = packages
        .map(|it| it.path().join(format!("site-packages/adbc_driver_{name}/libadbc_driver_{name}.so")))
        .find(|it| it.exists());
    file.unwrap_or_else(|| {
        panic!("no driver {name} in {}: `.ci/run` installs it (section \"tools\")", libraries.display())
    })
}
