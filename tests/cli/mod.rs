//! Every command, end to end: what it prints, how it ends, and that its documents are what their
//! schemas say.

mod change;
mod documents;
mod init;
mod machine;
mod past;

use crate::support::{Project, asset, asset_of};

/// Two assets in a row, and one that stands apart.
fn project() -> Project {
    let manifest = [
        "[source.raw]\nfiles = [\"raw.csv\"]\n".to_owned(),
        asset_of("orders", &["raw"], "cp {{ inputs.raw }} {{ output }}") + "format = \"csv\"\n",
        asset_of("report", &["orders"], "echo counting; wc -l < {{ inputs.orders }} | tr -d ' ' > {{ output }}")
            + "format = \"txt\"\ndescription = \"How many orders\"\n",
        asset("other", "echo 1 > {{ output }}"),
    ];
    Project::new().manifest(&manifest.concat()).file("raw.csv", "1\n2\n")
}

fn built() -> Project {
    let project = project();
    project.run(&["materialize", "-j", "1"]).succeeded();
    project.ran();
    project
}
