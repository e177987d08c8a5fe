//! Observing sources: versions printed by commands, and addresses asked of a server in this process.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use assets::{
    exec::{
        executor::{
            CancelKind, Executor, ExecutorError, ExecutorEvent, Reattached, SPEC_VERSION, StepExit, StepHandle,
            StepResult, StepSpec,
        },
        source::{
            SourceError, SourceReader,
            command::CommandSource,
            url::{UrlOptions, UrlSource},
        },
    },
    model::key::AssetKey,
    plan::record::Observation,
};
use jiff::Timestamp;

fn key() -> AssetKey {
    AssetKey::parse("orders").unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Answers `METHOD /path` as it was told, each connection once, and remembers what it was asked.
struct Server {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(answer: impl Fn(&str) -> String + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let request = request_line(&stream);
                log.lock().unwrap().push(request.clone());
                let _ = (&stream).write_all(answer(&request).as_bytes());
            }
        });
        Server { address, asked }
    }

    fn source(&self, path: &str) -> UrlSource {
        source(&format!("{}{path}", self.address))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn request_line(stream: &TcpStream) -> String {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().and_then(Result::ok).unwrap_or_default();
    for line in lines.map_while(Result::ok) {
        if line.is_empty() {
            break;
        }
    }
    first.trim_end_matches(" HTTP/1.1").to_owned()
}

fn answer(status: &str, headers: &[&str], body: &str) -> String {
    let headers: String = headers.iter().map(|it| format!("{it}\r\n")).collect();
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

fn source(url: &str) -> UrlSource {
    let options = UrlOptions { allow_private: true, answer_timeout: Duration::from_secs(10), ..UrlOptions::default() };
    UrlSource { key: key(), url: url.to_owned(), max_age: None, last: None, options }
}

#[test]
fn an_etag_is_the_version() {
    let server = Server::new(|request| match request {
        "HEAD /a" => answer("200 OK", &["ETag: \"v1\"", "Last-Modified: yesterday"], ""),
        "HEAD /same" => answer("200 OK", &["ETag: \"v1\"", "Last-Modified: today"], ""),
        "HEAD /b" => answer("200 OK", &["ETag: \"v2\""], ""),
        "HEAD /weak" => answer("200 OK", &["ETag: W/\"v1\""], ""),
        other => panic!("asked {other}"),
    });
    let see = |path| server.source(path).observe(at(9)).unwrap();
    let first = see("/a");
    assert_eq!(first.shown.as_deref(), Some("etag \"v1\""));
    assert_eq!((first.at, &first.key), (at(9), &key()));
    assert_eq!(see("/same").data_version, first.data_version);
    assert_ne!(see("/b").data_version, first.data_version);
    assert_eq!(see("/weak").shown.as_deref(), Some("etag W/\"v1\" (weak)"));
}

#[test]
fn without_an_etag_it_is_last_modified_and_length() {
    let server = Server::new(|request| {
        let body = if request.ends_with("/longer") { "xx" } else { "x" };
        answer("200 OK", &["Last-Modified: Fri, 20 Nov 2026 23:00:00 GMT"], body)
    });
    let first = server.source("/a").observe(at(0)).unwrap();
    assert_eq!(first.shown.as_deref(), Some("last modified Fri, 20 Nov 2026 23:00:00 GMT"));
    assert_eq!(server.source("/b").observe(at(0)).unwrap().data_version, first.data_version);
    assert_ne!(server.source("/longer").observe(at(0)).unwrap().data_version, first.data_version);
}

#[test]
fn without_both_it_is_the_content() {
    let server = Server::new(|request| match request {
        "GET /a" | "GET /same" => answer("200 OK", &[], "id\n1\n"),
        "GET /b" => answer("200 OK", &[], "id\n2\n"),
        // As a server that knows no HEAD.
        "HEAD /b" => answer("405 Method Not Allowed", &[], ""),
        _ => answer("200 OK", &[], ""),
    });
    let see = |path| server.source(path).observe(at(0)).unwrap();
    let first = see("/a");
    assert!(first.shown.unwrap().ends_with("(5 bytes)"));
    assert_eq!(see("/same").data_version, first.data_version);
    assert_ne!(see("/b").data_version, first.data_version);
    assert_eq!(server.asked(), ["HEAD /a", "GET /a", "HEAD /same", "GET /same", "HEAD /b", "GET /b"]);
}

#[test]
fn content_beyond_the_limit_is_refused_not_cut() {
    let server = Server::new(|_| answer("200 OK", &[], "12345"));
    let mut source = server.source("/a");
    source.options.content_bytes_max = 5;
    source.observe(at(0)).unwrap();
    source.options.content_bytes_max = 4;
    assert!(matches!(source.observe(at(0)), Err(SourceError::TooLarge { limit: 4, .. })));
}

#[test]
fn an_answer_that_breaks_off_is_no_version() {
    let server = Server::new(|request| {
        if request.starts_with("HEAD") {
            return answer("200 OK", &[], "");
        }
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this".to_owned()
    });
    let error = server.source("/a").observe(at(0)).unwrap_err();
    assert!(matches!(error, SourceError::Broken { .. }), "{error:?}");
}

#[test]
fn an_error_status_is_an_error() {
    for (status, code) in [("404 Not Found", 404), ("500 Oh No", 500), ("403 Forbidden", 403)] {
        let server = Server::new(move |_| answer(status, &["ETag: \"of the error page\""], "sorry"));
        match server.source("/a?token=secret").observe(at(0)) {
            Err(error @ SourceError::Status { .. }) => {
                assert_eq!(error.to_string(), format!("{}/a answered {code}", server.address));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn redirects_stay_on_their_host() {
    let other = Server::new(|_| answer("200 OK", &["ETag: \"elsewhere\""], ""));
    let elsewhere = format!("Location: {}/b?token=secret", other.address);
    let server = Server::new(move |request| match request {
        "HEAD /here" => answer("302 Found", &["Location: there"], ""),
        "HEAD /there" => answer("301 Moved", &["Location: /at/last"], ""),
        "HEAD /at/last" => answer("200 OK", &["ETag: \"v1\""], ""),
        "HEAD /round" => answer("302 Found", &["Location: /round"], ""),
        _ => answer("302 Found", &[elsewhere.as_str()], ""),
    });
    assert_eq!(server.source("/here").observe(at(0)).unwrap().shown.as_deref(), Some("etag \"v1\""));
    assert!(matches!(server.source("/round").observe(at(0)), Err(SourceError::RedirectsTooOften { .. })));
    match server.source("/away").observe(at(0)) {
        Err(SourceError::RedirectsElsewhere { to, .. }) => assert_eq!(to, format!("{}/b", other.address)),
        other => panic!("{other:?}"),
    }
    assert_eq!(other.asked(), Vec::<String>::new());
}

#[test]
fn this_machine_and_metadata_services_are_not_asked() {
    let server = Server::new(|_| answer("200 OK", &["ETag: \"v1\""], ""));
    let port = server.address.rsplit(':').next().unwrap().to_owned();
    let urls = [
        server.address.clone(),
        format!("http://localhost:{port}/"),
        format!("http://127.1:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[fe80::1]/".to_owned(),
    ];
    for url in urls {
        let mut source = source(&url);
        source.options.allow_private = false;
        match source.observe(at(0)) {
            Err(SourceError::Forbidden { .. }) => {}
            other => panic!("{url}: {other:?}"),
        }
    }
    assert_eq!(server.asked(), Vec::<String>::new());
}

#[test]
fn what_is_not_an_address_or_not_there_is_said() {
    for url in ["ftp://data.example/a", "file:///etc/passwd", "data.example/a", "", "http://"] {
        assert!(matches!(source(url).observe(at(0)), Err(SourceError::BadUrl { .. })), "{url}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = source(&format!("http://{closed}/a")).observe(at(0)).unwrap_err();
    assert!(matches!(error, SourceError::Offline { .. }), "{error:?}");
    assert!(error.help().unwrap().contains("network"));
}

#[test]
fn a_slow_server_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut source = source(&format!("http://{}/a", listener.local_addr().unwrap()));
    source.options.answer_timeout = Duration::from_millis(50);
    let error = source.observe(at(0)).unwrap_err();
    assert!(matches!(error, SourceError::TimedOut { .. }), "{error:?}");
}

#[test]
fn a_young_observation_is_believed() {
    let server = Server::new(|_| answer("200 OK", &["ETag: \"v2\""], ""));
    let mut source = server.source("/a");
    let last = Observation { shown: Some("etag \"v1\"".to_owned()), ..source.observe(at(100)).unwrap() };
    source.last = Some(last.clone());
    source.max_age = Some(Duration::from_secs(60));
    assert_eq!(source.observe(at(159)).unwrap(), last);
    assert_eq!(server.asked().len(), 1);
    assert_eq!(source.observe(at(160)).unwrap().at, at(160));
    // The clock was set back: what was seen later than now proves nothing.
    assert_eq!(source.observe(at(99)).unwrap().at, at(99));
    // Elsewhere there may be something else.
    source.url += "?other";
    assert_eq!(source.observe(at(159)).unwrap().at, at(159));
}

/// Runs a step at once, with standard error in the tail. Nothing else of the contract is needed here.
#[derive(Default)]
struct AtOnce(Mutex<VecDeque<ExecutorEvent>>);

impl Executor for AtOnce {
    fn submit(&self, spec: &StepSpec) -> Result<StepHandle, ExecutorError> {
        let text = |it: &Vec<u8>| String::from_utf8(it.clone()).unwrap();
        let argv: Vec<String> = spec.argv.iter().map(text).collect();
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).current_dir(&spec.folder).env_clear().stdin(Stdio::null());
        command.envs(spec.env.iter().map(|(name, value)| (text(name), text(value))));
        let output = command.output().unwrap();
        let result = StepResult {
            version: SPEC_VERSION,
            attempt: spec.attempt.clone(),
            exit: StepExit::Code(output.status.code().unwrap()),
            wall_ms: 0,
            cpu_ms: 0,
            log_bytes: 0,
            leaked: false,
            tail: String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect(),
        };
        let handle = StepHandle(spec.attempt.clone());
        self.0.lock().unwrap().push_back(ExecutorEvent::Finished { handle: handle.clone(), result });
        Ok(handle)
    }

    fn next_event(&self, _wait: Duration) -> Option<ExecutorEvent> {
        self.0.lock().unwrap().pop_front()
    }

    fn wake(&self) {}

    fn cancel(&self, _handle: &StepHandle, _how: CancelKind) -> Result<(), ExecutorError> {
        Ok(())
    }

    fn reattach(&self, _attempt: &str) -> Result<Reattached, ExecutorError> {
        Ok(Reattached::Gone)
    }

    fn pause(&self, _stop: bool) -> Result<(), ExecutorError> {
        Ok(())
    }
}

fn run(folder: &Path, argv: &[&str]) -> Result<Observation, SourceError> {
    let spec = StepSpec {
        version: SPEC_VERSION,
        run: "r".to_owned(),
        attempt: "r-1-1".to_owned(),
        key: "orders".to_owned(),
        partition: String::new(),
        argv: argv.iter().map(|it| it.as_bytes().to_vec()).collect(),
        env: vec![(b"PATH".to_vec(), b"/usr/bin:/bin".to_vec()), (b"TOKEN".to_vec(), b"hush".to_vec())],
        folder: folder.to_owned(),
        log: folder.join("log"),
        secrets: vec!["hush".to_owned()],
        timeout_ms: None,
        grace_ms: 1000,
        log_bytes_max: 1 << 20,
    };
    let observed = CommandSource { key: key(), executor: &AtOnce::default(), spec }.observe(at(5));
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0, "the captured output was left behind");
    observed
}

#[test]
fn a_command_prints_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let see = |script: &str| run(folder.path(), &["sh", "-c", script]);
    let first = see("echo v1; echo a warning >&2").unwrap();
    assert_eq!((first.shown.as_deref(), first.at), (Some("v1"), at(5)));
    assert_eq!(see("printf v1").unwrap().data_version, first.data_version);
    assert_ne!(see("echo v2").unwrap().data_version, first.data_version);
    assert_eq!(see("echo v-$TOKEN").unwrap().shown.as_deref(), Some("v-***"));
    let odd = run(folder.path(), &["printf", "%s", "$(touch x) 'quoted' \"it\""]).unwrap();
    assert_eq!(odd.shown.as_deref(), Some("$(touch x) 'quoted' \"it\""));
}

#[test]
fn a_command_that_prints_no_version_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let see = |script: &str| run(folder.path(), &["sh", "-c", script]).unwrap_err();
    assert!(matches!(see("echo only a warning >&2"), SourceError::NoVersion { .. }));
    assert!(matches!(see("printf '\\377'"), SourceError::VersionNotText { .. }));
    assert!(matches!(see("head -c 5000 /dev/zero | tr '\\0' x"), SourceError::VersionTooLong { .. }));
    match see("echo v1; echo no database >&2; exit 7") {
        SourceError::CommandFailed { how, tail, .. } => {
            assert_eq!((how.as_str(), tail), ("failed with exit status 7", vec!["no database".to_owned()]));
        }
        other => panic!("{other:?}"),
    }
}
