//! A server that speaks Snowflake's protocol and keeps its tables in DuckDB (fakesnow), one for all tests, and the
//! driver that asks it.

use std::{
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
        format!(
            r#"[io.{name}]
type = "adbc"
driver = "{}"
dialect = "snowflake"
[io.{name}.options]
username = "tester"
password = "{{{{ env.SNOWFLAKE_PASSWORD }}}}"
"adbc.snowflake.sql.account" = "fakesnow"
"adbc.snowflake.sql.uri.host" = "127.0.0.1"
"adbc.snowflake.sql.uri.port" = "{}"
"adbc.snowflake.sql.uri.protocol" = "http"
"adbc.snowflake.sql.db" = "{database}"
"adbc.snowflake.sql.schema" = "PUBLIC"
"adbc.snowflake.sql.client_option.request_timeout" = "10s"
"#,
            driver().display(),
            self.port
        )
    }
}

fn driver() -> PathBuf {
    let libraries = tools().join("fakesnow/lib");
    let packages = std::fs::read_dir(&libraries).into_iter().flatten().flatten();
    let file = packages
        .map(|it| it.path().join("site-packages/adbc_driver_snowflake/libadbc_driver_snowflake.so"))
        .find(|it| it.exists());
    file.unwrap_or_else(|| panic!("no driver in {}: `.ci/run` installs it (section \"tools\")", libraries.display()))
}
