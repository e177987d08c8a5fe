//! From the address in the manifest to a connection: made when it is first asked, and never shown whole.

use std::{collections::BTreeMap, str::FromStr, sync::Arc, time::Duration};

use postgres::{
    Client, Config, NoTls,
    config::{Host, SslMode},
    error::ErrorPosition,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{
    base::env::Environment,
    exec::io::IoError,
    model::{
        project::VarValue,
        template::{Quoting, Scope, Template},
    },
};

const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Whoever is silent for longer is asked whether they are still there.
const SILENT_MAX: Duration = Duration::from_secs(30);
const PORT: u16 = 5432;
/// What is written and read means the same whatever the server is set to.
const SETTINGS: &str = "set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set extra_float_digits = 1; \
    set standard_conforming_strings = on; set client_min_messages = warning; set lock_timeout = '10min'";

/// Where a database is and who we are there.
#[derive(Clone)]
pub struct Address {
    /// `Err`: why there is none.
    url: Result<String, String>,
    schema: Option<String>,
}

/// A connection, and the schema that is meant.
pub struct Session {
    pub client: Client,
    pub schema: String,
}

/// The address that a template becomes.
///
/// # Errors
/// A variable that is not set.
pub fn rendered(url: &str, vars: &BTreeMap<String, VarValue>, env: &Environment) -> Result<String, String> {
    let text = |(name, value): (&std::ffi::OsString, &std::ffi::OsString)| {
        Some((name.to_str()?.to_owned(), value.to_str()?.to_owned()))
    };
    let env = env.iter().filter_map(text).collect();
    let scope = Scope {
        vars,
        env: &env,
        project_root: "",
        inputs: &BTreeMap::new(),
        outputs: &BTreeMap::new(),
        run_id: "",
        partition: &BTreeMap::new(),
        quoting: Quoting::AsIs,
        refs: None,
        model: None,
    };
    Template::new(Arc::from(url), None).render(&scope).map_err(|it| it.message)
}

/// The parts of an address that must not be shown: all of it, and the password alone.
pub fn secrets(url: &str) -> Vec<String> {
    let password = Config::from_str(url).ok().and_then(|it| String::from_utf8(it.get_password()?.to_vec()).ok());
    std::iter::once(url.to_owned()).chain(password).filter(|it| !it.is_empty()).collect()
}

/// Whether two addresses lead the same user to the same database of the same server, with the same names in sight.
pub fn is_same_database(one: &str, other: &str) -> bool {
    let of = |url: &str| {
        let config = Config::from_str(url).ok()?;
        let addresses = config.get_hostaddrs().to_vec();
        let (user, options) = (config.get_user()?.to_owned(), config.get_options().map(str::to_owned));
        // Without a name it is that of the user.
        let database = config.get_dbname().unwrap_or(&user).to_owned();
        let ports: Vec<u16> = if config.get_ports().is_empty() { vec![PORT] } else { config.get_ports().to_vec() };
        Some((config.get_hosts().to_vec(), addresses, ports, user, database, options))
    };
    matches!((of(one), of(other)), (Some(one), Some(other)) if one == other)
}

impl Address {
    pub fn new(url: Result<String, String>, schema: Option<String>) -> Address {
        Address { url, schema }
    }

    fn config(&self) -> Result<Config, IoError> {
        let place = || "postgres".to_owned();
        let url = self.url.as_ref().map_err(|it| IoError::Other { path: place(), cause: it.clone() })?;
        // With a certificate that is not right nobody is spoken to, whatever it is called.
        let url = url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
        let mut config = Config::from_str(&url).map_err(|it| IoError::Store {
            place: place(),
            // What it tells may be a part of the address.
            cause: match std::error::Error::source(&it) {
                Some(_) => "the address cannot be understood".to_owned(),
                None => it.to_string(),
            },
            help: "an address is postgres://USER:PASSWORD@HOST:PORT/DATABASE; odd characters as %40 and the like",
        })?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_MAX);
        }
        if config.get_application_name().is_none() {
            config.application_name("assets");
        }
        config.keepalives_idle(SILENT_MAX).keepalives_interval(SILENT_MAX).keepalives_retries(3);
        Ok(config)
    }

    /// How the database is written: without who we are.
    pub fn shown(&self) -> String {
        let Ok(config) = self.config() else { return "postgres".to_owned() };
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(it)) => it.clone(),
            Some(Host::Unix(it)) => it.display().to_string(),
            None => config.get_hostaddrs().first().map_or_else(|| "localhost".to_owned(), ToString::to_string),
        };
        let port = config.get_ports().first().copied().unwrap_or(PORT);
        let name = config.get_dbname().or(config.get_user()).unwrap_or_default();
        format!("postgres://{host}:{port}/{name}")
    }

    /// The same of one table.
    pub fn shown_table(&self, name: &str) -> String {
        match &self.schema {
            Some(schema) => format!("{}/{schema}.{name}", self.shown()),
            None => format!("{}/{name}", self.shown()),
        }
    }

    /// # Errors
    /// A server that cannot be reached, or that does not let us in.
    pub fn connect(&self) -> Result<Session, IoError> {
        let config = self.config()?;
        let told = |it: &postgres::Error| self.told(it);
        let client = match config.get_ssl_mode() {
            SslMode::Require => {
                let tls = MakeRustlsConnect::with_native_certs().map_err(|_| IoError::Store {
                    place: self.shown(),
                    cause: "there are no certificates to know the server by".to_owned(),
                    help: "install ca-certificates, or name a file of them in SSL_CERT_FILE",
                })?;
                config.connect(tls.0)
            }
            _ => config.connect(NoTls),
        };
        let mut client = client.map_err(|it| told(&it))?;
        client.batch_execute(SETTINGS).map_err(|it| told(&it))?;
        let schema = match &self.schema {
            Some(schema) => schema.clone(),
            None => {
                let found = client.query_one("select current_schema()::text", &[]).map_err(|it| told(&it))?;
                found.get::<_, Option<String>>(0).ok_or_else(|| IoError::Store {
                    place: self.shown(),
                    cause: "the connection's search_path names no schema that is there".to_owned(),
                    help: "say which one: schema = \"..\" in the manifest",
                })?
            }
        };
        Ok(Session { client, schema })
    }

    /// What the server says is told in its words; everything else is a connection that failed.
    pub fn told(&self, error: &postgres::Error) -> IoError {
        match help(error) {
            Some(help) => IoError::Store { place: self.shown(), cause: words(error), help },
            None => IoError::Other { path: self.shown(), cause: words(error) },
        }
    }
}

/// What is to be looked at if it was not the statement: the server does not take us (SQLSTATE classes 28, 3D, 53), or it goes
/// away (57P, 08, or nothing said at all).
pub fn help(error: &postgres::Error) -> Option<&'static str> {
    let code = error.as_db_error().map(|it| it.code().code());
    let is_of = |classes: &[&str]| code.is_some_and(|it| classes.iter().any(|class| it.starts_with(class)));
    if code.is_none() || is_of(&["57P", "08"]) {
        return Some(
            "is the server running, and is it reached from here? then run again: what was done is not done twice",
        );
    }
    is_of(&["28", "3D", "53"]).then_some("look at the address: user, password and database")
}

/// In words for people, with the SQLSTATE.
pub fn words(error: &postgres::Error) -> String {
    let Some(told) = error.as_db_error() else {
        if error.is_closed() {
            return "the connection was cut: the server was stopped, or has crashed".to_owned();
        }
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(it) = cause {
            let more = it.to_string();
            if !text.contains(&more) {
                text = format!("{text}: {more}");
            }
            cause = it.source();
        }
        return text;
    };
    let mut text = format!("{} (SQLSTATE {})", told.message(), told.code().code());
    for more in [told.detail(), told.hint()].into_iter().flatten() {
        text.push_str("; ");
        text.push_str(more);
    }
    text
}

/// Where in a statement it is wrong, in characters from 0.
pub fn position(error: &postgres::Error) -> Option<usize> {
    match error.as_db_error()?.position()? {
        ErrorPosition::Original(at) => usize::try_from(*at).ok()?.checked_sub(1),
        ErrorPosition::Internal { .. } => None,
    }
}
