//! A real server that speaks S3 (moto), one for all tests, and a proxy before it for each bucket: it tells what
//! was asked, and can end a process at a certain request.
//!
//! Requests come with their length; each is answered on a connection of its own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// What people set to say who they are; the server believes everybody.
pub const CREDENTIALS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "tester"), ("AWS_SECRET_ACCESS_KEY", "not-so-secret"), ("AWS_REGION", "us-east-1")];

/// Every request must be signed; nobody looks at the signature.
const SIGNED: &str = "Authorization: AWS4-HMAC-SHA256 Credential=tester/20260101/us-east-1/s3/aws4_request, \
                      SignedHeaders=host, Signature=0";

/// A bucket of its own, behind a proxy of its own.
pub struct S3 {
    pub bucket: String,
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    asked: Mutex<Vec<String>>,
    fault: Mutex<Option<(Fault, String)>>,
    /// Whom a fault ends.
    victim: Mutex<Option<u32>>,
    /// Nobody is let in.
    refuses: Mutex<bool>,
}

/// What happens at the next request that ends in a certain name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It never gets there: its sender is ended first.
    KilledBefore,
    /// It is done, and its sender is ended before it hears of it.
    KilledAfter,
    /// It is done, and the connection is cut before the answer.
    CutAfter,
    /// The server says that it is overloaded.
    Overloaded,
    /// The server says no.
    Denied,
}

/// Ends with this process, as its input does.
struct Server {
    port: u16,
    _process: Child,
}

impl Server {
    fn shared() -> &'static Server {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(Server::start)
    }

    fn start() -> Server {
        let program = super::tools().join("moto/bin/moto_server");
        assert!(program.exists(), "{} is not there: `.ci/run` installs it (section \"tools\")", program.display());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let script = "\"$0\" -H 127.0.0.1 -p \"$1\" & cat >/dev/null; kill $!";
        let process = Command::new("sh")
            .args(["-c", script])
            .arg(program)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(60), "moto_server did not start");
            thread::sleep(Duration::from_millis(20));
        }
        Server { port, _process: process }
    }
}

impl S3 {
    /// With a new bucket.
    pub fn new() -> S3 {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let bucket = format!("bucket-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let s3 = S3::without_bucket(&bucket);
        let made = s3.ask("PUT", "", b"");
        assert!(made.starts_with(b"HTTP/1.1 200"), "{}", made.escape_ascii());
        s3.asked();
        s3
    }

    pub fn without_bucket(bucket: &str) -> S3 {
        let server = Server::shared().port;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let of_proxy = Arc::clone(&shared);
        thread::spawn(move || {
            for from in listener.incoming().flatten() {
                let shared = Arc::clone(&of_proxy);
                thread::spawn(move || answer(from, server, &shared));
            }
        });
        S3 { bucket: bucket.to_owned(), port, shared }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What was asked since the last question: method and key, in the order in which it came.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.asked.lock().unwrap())
    }

    /// Arms a fault for the next request of a method whose key ends so.
    pub fn arm(&self, fault: Fault, method_and_end: &str) {
        *self.shared.fault.lock().unwrap() = Some((fault, method_and_end.to_owned()));
    }

    /// Says whom: a fault that ends somebody waits for it.
    pub fn victim(&self, pid: u32) {
        *self.shared.victim.lock().unwrap() = Some(pid);
    }

    /// Fails if the fault that was armed has not happened.
    #[track_caller]
    pub fn happened(&self) {
        assert_eq!(*self.shared.fault.lock().unwrap(), None, "it never came to that");
    }

    /// From now on every request is refused, or answered again.
    pub fn refuse(&self, refuses: bool) {
        *self.shared.refuses.lock().unwrap() = refuses;
    }

    /// The whole answer to a request of the test itself.
    pub fn ask(&self, method: &str, key: &str, body: &[u8]) -> Vec<u8> {
        let path = format!("/{}/{key}", self.bucket);
        let head = format!(
            "{method} {} HTTP/1.1\r\nHost: 127.0.0.1\r\n{SIGNED}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            path.trim_end_matches('/'),
            body.len()
        );
        let mut to = TcpStream::connect(("127.0.0.1", Server::shared().port)).unwrap();
        to.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut text = Vec::new();
        to.read_to_end(&mut text).unwrap();
        text
    }

    /// The keys of all objects, sorted.
    pub fn keys(&self) -> Vec<String> {
        let text = String::from_utf8(self.ask("GET", "?list-type=2", b"")).unwrap();
        let mut keys: Vec<String> =
            text.split("<Key>").skip(1).filter_map(|it| Some(it.split_once("</Key>")?.0.to_owned())).collect();
        keys.sort();
        keys
    }

    /// The one key that ends so.
    pub fn key(&self, end: &str) -> String {
        let keys: Vec<String> = self.keys().into_iter().filter(|it| it.ends_with(end)).collect();
        assert_eq!(keys.len(), 1, "{end}: {keys:?}");
        keys[0].clone()
    }

    /// What an object holds.
    pub fn get(&self, key: &str) -> String {
        let answer = String::from_utf8(self.ask("GET", key, b"")).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        body.to_owned()
    }

    pub fn put(&self, key: &str, body: &str) {
        let answer = self.ask("PUT", key, body.as_bytes());
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", answer.escape_ascii());
    }

    pub fn delete(&self, key: &str) {
        let answer = self.ask("DELETE", key, b"");
        assert!(answer.starts_with(b"HTTP/1.1 204"), "{}", answer.escape_ascii());
    }
}

/// One request, as far as a proxy must know it.
pub(super) struct Request {
    pub method: String,
    pub target: String,
    /// All of it.
    bytes: Vec<u8>,
    body_at: usize,
}

impl Request {
    pub fn body(&self) -> &[u8] {
        &self.bytes[self.body_at..]
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = std::str::from_utf8(&self.bytes[..self.body_at]).ok()?.lines();
        let of = |line: &'_ str| line.split_once(':').is_some_and(|it| it.0.eq_ignore_ascii_case(name));
        lines.into_iter().find(|it| of(it)).map(|it| it[name.len() + 1..].trim())
    }
}

pub(super) fn read(from: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(from);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|it| *it > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut length = 0;
    let mut text = line.clone();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
        if !name.eq_ignore_ascii_case("connection") {
            text.push_str(&line);
        }
    }
    text.push_str("Connection: close\r\n\r\n");
    let mut bytes = text.into_bytes();
    let start = bytes.len();
    bytes.resize(start + length, 0);
    reader.read_exact(&mut bytes[start..]).ok()?;
    Some(Request { method, target, bytes, body_at: start })
}

fn answer(mut from: TcpStream, server: u16, shared: &Shared) {
    let Some(request) = read(&from) else { return };
    let path = request.target.split('?').next().unwrap_or_default();
    let key = path.trim_start_matches('/').split_once('/').map_or("", |it| it.1);
    let asked = format!("{} {key}", request.method);
    shared.asked.lock().unwrap().push(asked.clone());
    let close = "Connection: close\r\nContent-Length: 0\r\n\r\n";
    if *shared.refuses.lock().unwrap() {
        let _ = write!(from, "HTTP/1.1 403 Forbidden\r\n{close}");
        return;
    }
    let fault = shared
        .fault
        .lock()
        .unwrap()
        .take_if(|(_, wanted)| {
            let (method, end) = wanted.split_once(' ').expect("a method and the end of a key");
            request.method == method && key.ends_with(end)
        })
        .map(|it| it.0);
    match fault {
        Some(Fault::KilledBefore) => return kill(shared),
        Some(Fault::Overloaded) => {
            let _ = write!(from, "HTTP/1.1 503 Slow Down\r\n{close}");
            return;
        }
        Some(Fault::Denied) => {
            let _ = write!(from, "HTTP/1.1 403 Forbidden\r\n{close}");
            return;
        }
        Some(Fault::KilledAfter | Fault::CutAfter) | None => {}
    }
    let Ok(mut to) = TcpStream::connect(("127.0.0.1", server)) else { return };
    let mut response = Vec::new();
    if to.write_all(&request.bytes).is_err() || to.read_to_end(&mut response).is_err() {
        return;
    }
    match fault {
        Some(Fault::KilledAfter) => kill(shared),
        Some(Fault::CutAfter) => {}
        _ => {
            let _ = from.write_all(&response);
        }
    }
}

fn kill(shared: &Shared) {
    let start = Instant::now();
    let pid = loop {
        if let Some(pid) = shared.victim.lock().unwrap().take() {
            break pid;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "nobody was named");
        thread::sleep(Duration::from_millis(5));
    };
    let pid = Pid::from_raw(pid.try_into().expect("a pid is small")).expect("a pid is not 0");
    kill_process(pid, Signal::KILL).expect("it is there: it waits for an answer");
}
