//! A server that speaks Snowflake's protocol and keeps its tables in DuckDB (fakesnow), one for all tests, and the
//! driver that asks it.

use std::{
    collections::BTreeMap,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use super::tools;

/// Ends with this process, as its input does.
pub struct Server {
    pub port: u16,
    _process: Child,
}

impl Server {
    pub fn shared() -> &'static Server {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(Server::start)
    }

    fn start() -> Server {
        let program = tools().join("fakesnow/bin/fakesnow");
        assert!(program.exists(), "{} is not there: `.ci/run` installs it (section \"tools\")", program.display());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let script = "\"$0\" -s -p \"$1\" & cat >/dev/null; kill $!";
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
            assert!(start.elapsed() < Duration::from_secs(60), "fakesnow did not start");
            thread::sleep(Duration::from_millis(50));
        }
        Server { port, _process: process }
    }

    /// `[io.NAME]` of a database of its own.
    pub fn io(&self, name: &str, database: &str) -> String {
        let lines = self.options(database).into_iter().map(|(key, value)| format!("\"{key}\" = \"{value}\"\n"));
        format!(
            "[io.{name}]\ntype = \"adbc\"\ndriver = \"{}\"\ndialect = \"snowflake\"\n[io.{name}.options]\n{}",
            driver().display(),
            lines.collect::<String>()
        )
    }

    /// What the driver is told.
    pub fn options(&self, database: &str) -> BTreeMap<String, String> {
        let port = self.port.to_string();
        let sql = [
            ("account", "fakesnow"),
            ("uri.host", "127.0.0.1"),
            ("uri.port", &port),
            ("uri.protocol", "http"),
            ("db", database),
            ("schema", "PUBLIC"),
            ("client_option.request_timeout", "10s"),
        ];
        let sql = sql.map(|(key, value)| (format!("adbc.snowflake.sql.{key}"), value.to_owned()));
        let who = [("username", "tester"), ("password", "{{ env.SNOWFLAKE_PASSWORD }}")];
        who.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().chain(sql).collect()
    }
}

pub fn driver() -> PathBuf {
    let libraries = tools().join("fakesnow/lib");
    let packages = std::fs::read_dir(&libraries).into_iter().flatten().flatten();
    let file = packages
        .map(|it| it.path().join("site-packages/adbc_driver_snowflake/libadbc_driver_snowflake.so"))
        .find(|it| it.exists());
    file.unwrap_or_else(|| panic!("no driver in {}: `.ci/run` installs it (section \"tools\")", libraries.display()))
}
