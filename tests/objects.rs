//! Assets in an object store, by the real program: commands on both sides, early cut-off, what others did to
//! them, and what a question asks over the network.

use rustix::process::Signal;

use crate::support::{
    Project, asset, asset_of,
    s3::{CREDENTIALS, Fault, S3},
    told::text,
};

fn lake(s3: &S3) -> String {
    format!(
        "default_io = \"files\"\n[io.files]\ntype = \"fs\"\nroot = \"data\"\n\n[io.lake]\ntype = \"object_store\"\n\
         url = \"s3://{}/shop\"\nendpoint = \"{}\"\nallow_http = true\n\n",
        s3.bucket,
        s3.endpoint()
    )
}

/// raw.csv -> orders, an object -> days, a folder of objects -> report, a file.
fn shop(s3: &S3) -> Project {
    let orders = asset("orders", "grep -v '^#' raw.csv > {{ output }}")
        + "io = \"lake\"\nformat = \"csv\"\nsources = [\"raw.csv\"]\n\n";
    let split = "mkdir {{ output }} && cut -c1 {{ inputs.orders }} > {{ output }}/first";
    let days = asset_of("days", &["orders"], split) + "io = \"lake\"\npath = \"days/\"\n\n";
    let report =
        asset_of("report", &["days", "orders"], "cat {{ inputs.days }}/first {{ inputs.orders }} > {{ output }}");
    CREDENTIALS.iter().fold(
        Project::new().file("raw.csv", "a1\nb2\n").manifest(&(lake(s3) + &orders + &days + &report)),
        |project, (name, value)| project.env(name, value),
    )
}

/// What `status` says of each asset, sorted, but for what only follows.
fn reasons(project: &Project, arguments: &[&str]) -> Vec<(String, String)> {
    let document = project.run(&[&["status", "--json", "--exit-zero"], arguments].concat()).succeeded().json();
    let assets = document["assets"].as_array().unwrap().clone();
    let of = |it: &serde_json::Value| {
        let reasons = it["reasons"].as_array().unwrap().clone();
        reasons.iter().map(|reason| (text(&it["key"]), text(&reason["code"]))).collect::<Vec<_>>()
    };
    let mut own: Vec<_> = assets.iter().flat_map(of).filter(|it| it.1 != "upstream_stale").collect();
    own.sort();
    own
}

fn code(key: &str, code: &str) -> (String, String) {
    (key.to_owned(), code.to_owned())
}

#[test]
fn commands_read_and_write_objects_and_only_what_must_runs() {
    let s3 = S3::new();
    let project = shop(&s3);
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["days", "orders", "report"]);
    assert_eq!(project.read("data/report"), "a\nb\na1\nb2\n");
    assert_eq!(s3.get(&s3.key("/orders.csv")), "a1\nb2\n");
    project.settled(&[]);
    // The same content: nothing goes up, nothing downstream runs.
    s3.asked();
    project.write("raw.csv", "a1\n# a remark\nb2\n");
    assert_eq!(reasons(&project, &[]), [code("orders", "source_changed")]);
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["orders"]);
    assert!(s3.asked().iter().all(|it| !it.starts_with("PUT")), "nothing was new");
    // Other content whose first letters are the same stops one later.
    project.write("raw.csv", "a1\nb3\n");
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["days", "orders", "report"]);
    assert_eq!(project.read("data/report"), "a\nb\na1\nb3\n");
    project.settled(&[]);
    // Back again: nothing runs at all, the objects are there.
    project.write("raw.csv", "a1\nb2\n");
    let outcome = |it: &str| (it.to_owned(), "restored".to_owned());
    assert_eq!(project.materialized(&[])[1], outcome("orders"));
    assert_eq!((project.ran(), project.read("data/report")), (vec![], "a\nb\na1\nb2\n".to_owned()));
    project.settled(&[]);
}

/// A question is answered from what is recorded; whoever acts on it looks.
#[test]
fn questions_ask_nobody_unless_told_to() {
    let s3 = S3::new();
    let project = shop(&s3);
    project.run(&["materialize"]).succeeded();
    s3.asked();
    for question in [&["status"][..], &["why", "orders"], &["plan"], &["list"], &["graph"], &["materialize", "-n"]] {
        project.run(question).succeeded();
        assert_eq!(s3.asked(), [""; 0], "{question:?}");
    }
    // A wish that is granted already costs two looks an asset and copies nothing.
    project.run(&["materialize"]).succeeded();
    let asked = s3.asked();
    assert_eq!(
        asked.iter().filter(|it| it.starts_with("GET") && it.ends_with(".current.json")).count(),
        2,
        "{asked:?}"
    );
    assert_eq!(asked.len(), 4, "{asked:?}");
    // What others did is not seen by a question that does not look, and by any that does.
    let orders = s3.key("/orders.csv");
    s3.put(&orders, "x9\n");
    project.run(&["status"]).succeeded();
    for looks in ["--refresh", "--verify"] {
        s3.asked();
        assert_eq!(reasons(&project, &[looks]), [code("orders", "output_modified")]);
        assert!(!s3.asked().is_empty());
    }
    project.ran();
    project.run(&["materialize"]).succeeded();
    assert_eq!((project.ran(), s3.get(&s3.key("/orders.csv"))), (vec!["orders".to_owned()], "a1\nb2\n".to_owned()));
    // So is one that is gone; the pointer too.
    for end in ["/orders.csv", "orders.csv/.current.json"] {
        s3.delete(&s3.key(end));
        assert_eq!(reasons(&project, &["--refresh"]), [code("orders", "output_missing")], "{end}");
        project.run(&["materialize"]).succeeded();
        assert_eq!(project.ran(), ["orders"], "{end}");
    }
    project.settled(&[]);
}

/// The rows of an object are a table to a query, and a table is a file to the command behind it.
#[test]
fn a_query_reads_an_object() {
    let s3 = S3::new();
    let project = shop(&s3);
    project.write("raw.csv", "name,n\na,1\nb,2\n");
    let table = "[io.db]\ntype = \"sqlite\"\npath = \"db.sqlite\"\n\n[asset.total]\nio = \"db\"\n\
                 sql = \"select count(*) as rows from orders\"\n\n";
    let text = asset_of("text", &["total"], "cat {{ inputs.total }} > {{ output }}") + "io = \"lake\"\n";
    project.write("assets.toml", project.read("assets.toml") + table + &text);
    project.run(&["materialize"]).succeeded();
    assert_eq!(s3.get(&s3.key("/text")), "rows\n2\n");
    project.ran();
    // The same number of rows: it stops at the table.
    project.write("raw.csv", "name,n\na,1\nb,3\n");
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["days", "orders", "report"]);
    project.settled(&[]);
}

/// Where it was kept before is no answer for where it belongs now.
#[test]
fn another_place_is_another_output() {
    let s3 = S3::new();
    let project = shop(&s3);
    project.run(&["materialize"]).succeeded();
    project.ran();
    project.edit("assets.toml", "/shop\"", "/other\"");
    assert_eq!(reasons(&project, &[]), [code("days", "output_missing"), code("orders", "output_missing")]);
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["days", "orders"]);
    project.edit("assets.toml", "io = \"lake\"\nformat = \"csv\"", "io = \"files\"\nformat = \"csv\"");
    project.run(&["materialize"]).succeeded();
    assert_eq!((project.ran(), project.read("data/orders.csv")), (vec!["orders".to_owned()], "a1\nb2\n".to_owned()));
    project.edit("assets.toml", "io = \"files\"\nformat = \"csv\"", "io = \"lake\"\nformat = \"csv\"");
    assert_eq!(reasons(&project, &[]), [code("orders", "output_missing")]);
    // There it still is, and is what is wanted.
    assert_eq!(project.materialized(&[])[1], code("orders", "restored"));
    assert_eq!(project.ran(), [""; 0]);
    project.settled(&[]);
}

#[test]
fn what_others_wrote_can_be_accepted_and_what_was_made_be_removed() {
    let s3 = S3::new();
    let project = shop(&s3);
    project.run(&["materialize"]).succeeded();
    project.ran();
    s3.put(&s3.key("/orders.csv"), "c4\n");
    project.run(&["accept", "orders", "--reason", "mended by hand"]).succeeded();
    project.run(&["materialize"]).succeeded();
    assert_eq!((project.ran(), project.read("data/report")), (vec!["days".into(), "report".into()], "c\nc4\n".into()));
    project.settled(&[]);
    let said = project.run(&["clean", "--all", "--yes"]).succeeded().stdout;
    assert!(said.contains("removed orders: its output (3 B)"), "{said}");
    assert_eq!(s3.keys(), [""; 0]);
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["days", "orders", "report"]);
}

/// Ended by SIGKILL around the commit point: found out from the pointer, nothing is lost and nothing runs twice.
#[test]
fn a_kill_around_the_commit_point_is_rolled_forward() {
    for fault in [Fault::KilledBefore, Fault::KilledAfter] {
        for before in [false, true] {
            let s3 = S3::new();
            let project = shop(&s3);
            if before {
                project.run(&["materialize"]).succeeded();
                project.write("raw.csv", "a1\nb3\n");
            }
            project.ran();
            s3.arm(fault, "PUT orders.csv/.current.json");
            let running = project.start(&["materialize"]);
            s3.victim(running.pid());
            running.finish().exited(128 + Signal::KILL.as_raw());
            s3.happened();
            assert_eq!(project.ran(), ["orders"]);
            s3.asked();
            project.run(&["materialize"]).succeeded();
            assert_eq!(project.ran(), ["days", "report"], "{fault:?} {before}: it had been made");
            let again = s3.asked().iter().filter(|it| *it == "PUT shop/orders.csv/.current.json").count();
            assert_eq!(again, usize::from(fault == Fault::KilledBefore), "{fault:?} {before}");
            let rows = if before { "a1\nb3\n" } else { "a1\nb2\n" };
            assert_eq!(project.read("data/report"), format!("a\nb\n{rows}"));
            project.settled(&[]);
        }
    }
}

/// The same while it uploads: what is half there is nobody's.
#[test]
fn a_kill_while_uploading_leaves_nothing_visible() {
    let s3 = S3::new();
    let project = shop(&s3);
    s3.arm(Fault::KilledAfter, "PUT /orders.csv");
    let running = project.start(&["materialize"]);
    s3.victim(running.pid());
    running.finish().exited(128 + Signal::KILL.as_raw());
    s3.happened();
    assert!(s3.keys().iter().all(|it| !it.ends_with(".current.json")));
    project.ran();
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["days", "report"]);
    assert_eq!(s3.keys().len(), 5, "{:?}", s3.keys());
    project.settled(&[]);
}

/// Killed with everything ready, and then somebody else was faster: theirs stands, and ours is made anew.
#[test]
fn who_was_overtaken_while_dead_does_not_commit() {
    let s3 = S3::new();
    let (project, other) = (shop(&s3), shop(&s3));
    s3.arm(Fault::KilledBefore, "PUT orders.csv/.current.json");
    let running = project.start(&["materialize", "orders"]);
    s3.victim(running.pid());
    running.finish().exited(128 + Signal::KILL.as_raw());
    other.write("raw.csv", "z9\n");
    other.run(&["materialize", "orders"]).succeeded();
    project.ran();
    let said = project.run(&["materialize", "orders"]).succeeded();
    assert!(said.stderr.contains("orders: what an interrupted run was about to publish is gone"), "{}", said.stderr);
    assert_eq!(project.ran(), ["orders"]);
    assert_eq!(reasons(&other, &["--refresh", "-s", "orders"]), [code("orders", "output_modified")]);
}

/// A server that does not answer fails what is kept there, by name and with what to do; the rest goes on.
#[test]
fn a_bucket_that_cannot_be_reached_fails_what_is_kept_there() {
    let s3 = S3::new();
    let project = shop(&s3);
    s3.refuse(true);
    let said = project.run(&["materialize"]).exited(1);
    let place = format!("s3://{}/shop/orders.csv", s3.bucket);
    for words in [&*place, "access was denied", "AWS_ACCESS_KEY_ID"] {
        assert!(said.stderr.contains(words), "{words}: {}", said.stderr);
    }
    assert!(!said.stderr.contains(CREDENTIALS[1].1));
    assert_eq!(project.ran(), [""; 0], "told before the command ran");
    s3.refuse(false);
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["days", "orders", "report"]);
}

/// What was made is not lost because it could not be put there: it is as soon as it can.
#[test]
fn what_could_not_be_published_is_later_and_is_not_made_again() {
    let s3 = S3::new();
    let project = shop(&s3);
    s3.arm(Fault::Denied, "PUT orders.csv/.current.json");
    let said = project.run(&["materialize"]).exited(1);
    s3.happened();
    assert!(said.stderr.contains("access was denied"), "{}", said.stderr);
    assert_eq!(project.ran(), ["orders"]);
    // Nobody knows yet what became of it, which holds up nothing else.
    s3.refuse(true);
    project.write("assets.toml", project.read("assets.toml") + "\n" + &asset("other", "echo > {{ output }}"));
    let said = project.run(&["materialize"]).exited(1);
    assert!(said.stderr.contains("orders: what an interrupted run published is not known yet"), "{}", said.stderr);
    assert_eq!(project.ran(), ["other"]);
    s3.refuse(false);
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["days", "report"]);
    project.settled(&[]);
}

/// An object that changes while a command reads it: nothing is recorded of what came of that.
#[test]
fn an_input_that_changes_during_the_run_is_noticed() {
    let s3 = S3::new();
    let project = shop(&s3);
    let held = "{{ inputs.orders }} > {{ output }}/first; touch started; while [ ! -e go ]; do sleep 0.01; done";
    project.edit("assets.toml", "{{ inputs.orders }} > {{ output }}/first", held);
    let running = project.start(&["materialize"]);
    project.wait_for("started");
    s3.put(&s3.key("/orders.csv"), "x9\n");
    project.write("go", "");
    let said = running.finish().exited(1);
    assert!(said.stderr.contains("orders was modified outside of assets"), "{}", said.stderr);
    assert!(s3.keys().iter().all(|it| !it.starts_with("shop/days/")), "{:?}", s3.keys());
    project.ran();
    project.run(&["materialize"]).succeeded();
    assert_eq!(
        (project.ran(), project.read("data/report")),
        (vec!["days".into(), "orders".into(), "report".into()], "a\nb\na1\nb2\n".into())
    );
    project.settled(&[]);
}

/// Who we are is the environment's business, and stays there.
#[test]
fn credentials_are_not_written_down() {
    let s3 = S3::new();
    let project = shop(&s3);
    project.run(&["materialize"]).succeeded();
    let held = |bytes: &[u8]| bytes.windows(CREDENTIALS[1].1.len()).any(|it| it == CREDENTIALS[1].1.as_bytes());
    for (name, bytes) in project.snapshot() {
        assert!(!held(&bytes), "{name}");
    }
    // And whoever is somebody else tomorrow finds the same.
    let project = project.env("AWS_ACCESS_KEY_ID", "another").env("AWS_SECRET_ACCESS_KEY", "another");
    project.run(&["status"]).succeeded();
    project.ran();
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), [""; 0]);
}

/// The same project without a server: a folder that is used like a bucket, below the project.
#[test]
fn a_folder_can_be_used_like_a_bucket() {
    let body = "[io.lake]\ntype = \"object_store\"\nurl = \"file://lake\"\n\n".to_owned()
        + &asset("a", "cat raw > {{ output }}")
        + "sources = [\"raw\"]\n"
        + &asset_of("b", &["a"], "tr a-z A-Z < {{ inputs.a }} > {{ output }}");
    let project = Project::new().file("raw", "one\n").manifest(&body);
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["a", "b"]);
    project.settled(&[]);
    let current: serde_json::Value = serde_json::from_str(&project.read("lake/b/.current.json")).unwrap();
    let object = format!("lake/b/.versions/{}/b", text(&current["current"]["name"]));
    assert_eq!(project.read(&object), "ONE\n");
    // Nothing has to be asked for a look at a folder.
    project.write(&object, "TWO\n");
    assert_eq!(reasons(&project, &[]), [code("b", "output_modified")]);
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["b"]);
    project.settled(&[]);
}

/// A lake in a folder, and what writes the same bytes, the same rows or the same name at several places of it.
fn equals(url: &str) -> String {
    let made = |key: &str, rest: &str, command: &str| format!("[asset.{key}]\ncommand = {command:?}\n{rest}\n\n");
    let text = "format = \"txt\"";
    format!("default_io = \"lake\"\n[io.lake]\ntype = \"object_store\"\nurl = \"{url}\"\n\n")
        + "[io.files]\ntype = \"fs\"\nroot = \"data\"\n\n"
        + &made("a", text, "echo same > {{ output }}")
        + &made("b", text, "echo same > {{ output }}")
        + &made(
            "n",
            "deps = [\"a\", \"b\"]\nio = \"files\"",
            "cat {{ inputs.a }} {{ inputs.b }} | wc -l | tr -d ' ' > {{ output }}",
        )
        + &made("x", "path = \"x/c.csv\"\nversion = \"canonical\"", "printf 'v\\n1\\n2\\n' > {{ output }}")
        + &made("y", "path = \"y/c.csv\"\nversion = \"canonical\"", "printf 'v\\n2\\n1\\n' > {{ output }}")
        + &made("z", "deps = [\"x\", \"y\"]\nio = \"files\"", "cat {{ inputs.x }} {{ inputs.y }} > {{ output }}")
        + "[asset.s]\nsql = \"select 1 as id\"\nformat = \"csv\"\n\n[asset.t]\nsql = \"select 1 as id\"\nformat = \"csv\"\n\n"
        + "[asset.j]\nsql = \"select s.id + t.id as two from s join t on s.id = t.id\"\nformat = \"csv\"\nio = \"files\"\n"
}

/// Copies belong to the objects that they are copies of, and never to what happens to be equal to them.
#[test]
fn outputs_with_the_same_content_or_name_do_not_disturb_each_other() {
    for url in ["file://lake", "memory://"] {
        let project = Project::new().manifest(&equals(url));
        for run in 0..3 {
            project.run(&["materialize", "-f", "-j4"]).succeeded();
            assert_eq!(project.read("data/n"), "2\n", "{url}, {run}");
            assert_eq!(project.read("data/z"), "v\n1\n2\nv\n2\n1\n", "{url}, {run}");
            assert_eq!(project.read("data/j.csv"), "two\n2\n", "{url}, {run}");
        }
    }
}

/// What is asked is answered from the object itself, not from an old copy of it.
#[test]
fn a_query_does_not_answer_of_an_object_that_was_written_over() {
    let project = Project::new().manifest(&equals("file://lake"));
    project.run(&["materialize"]).succeeded();
    let current: serde_json::Value = serde_json::from_str(&project.read("lake/s.csv/.current.json")).unwrap();
    let object = format!("lake/s.csv/.versions/{}/s.csv", text(&current["current"]["name"]));
    project.write(&object, "id\n7\n");
    let asked = project.run(&["query", "select * from s"]).exited(1);
    assert!(asked.stderr.contains("its content is not what was published"), "{}", asked.stderr);
}
