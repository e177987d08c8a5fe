//! A source at an address: its ETag is the version, else its Last-Modified, else its content.
//!
//! Asked with HEAD; with GET where a server does not know HEAD, or where the content must be read.

use std::{error::Error as _, io::Read, time::Duration};

use jiff::Timestamp;
use ureq::{
    Agent, Body,
    http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header},
    unversioned::transport::DefaultConnector,
};

use crate::{
    base::digest::Digest,
    exec::source::{
        SourceError, SourceReader, VERSION_BYTES_MAX,
        guard::{Guarded, Refused, forbidden_host},
    },
    model::key::AssetKey,
    plan::record::Observation,
};

/// blake3 derive-key contexts: an ETag never meets a date or a content.
const ETAG: &str = "assets source url etag 1";
const LAST_MODIFIED: &str = "assets source url last-modified 1";
const CONTENT: &str = "assets source url content 1";

const REDIRECTS_MAX: u32 = 5;
const CHUNK_BYTES: usize = 64 * 1024;

/// How addresses are asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UrlOptions {
    /// For a name, a connection and the head of an answer together.
    pub answer_timeout: Duration,
    /// For the whole exchange where the content is read.
    pub content_timeout: Duration,
    pub content_bytes_max: u64,
    /// Lets loopback and link-local addresses be asked. No key of the manifest sets it.
    pub allow_private: bool,
    /// `http://host:port`; names are then resolved, and judged, by the proxy.
    pub proxy: Option<String>,
}

impl Default for UrlOptions {
    fn default() -> Self {
        UrlOptions {
            answer_timeout: Duration::from_secs(30),
            content_timeout: Duration::from_secs(300),
            content_bytes_max: 256 << 20,
            allow_private: false,
            proxy: None,
        }
    }
}

/// A `url` source with what was last seen of it.
#[derive(Clone, Debug)]
pub struct UrlSource {
    pub key: AssetKey,
    pub url: String,
    /// A younger observation is believed without asking.
    pub max_age: Option<Duration>,
    pub last: Option<Observation>,
    pub options: UrlOptions,
}

impl SourceReader for UrlSource {
    fn observe(&self, now: Timestamp) -> Result<Observation, SourceError> {
        if let Some(last) = self.last.as_ref().filter(|it| self.is_young(it, now)) {
            return Ok(last.clone());
        }
        let asking = Asking::new(&self.url, &self.options)?;
        let head = asking.ask(Method::HEAD, self.options.answer_timeout)?;
        let (data_version, shown) = match version_of(head.headers()) {
            Some(version) if head.status().is_success() => version,
            // 403 too: a signed address may be signed for GET only.
            _ if head.status().is_success() || matches!(head.status().as_u16(), 400 | 403..=405 | 501) => {
                let answer = asking.ask(Method::GET, self.options.content_timeout)?;
                asking.check_status(answer.status())?;
                match version_of(answer.headers()) {
                    Some(version) => version,
                    None => asking.hash(answer, self.options.content_bytes_max)?,
                }
            }
            _ => return Err(asking.status(head.status())),
        };
        Ok(Observation {
            key: self.key.clone(),
            data_version,
            at: now,
            shown: Some(shown),
            files: Observation::asked_at(&self.url),
        })
    }
}

impl UrlSource {
    /// Something seen in the future, by a clock that was set back since, is not young, and nothing elsewhere.
    fn is_young(&self, last: &Observation, now: Timestamp) -> bool {
        if !last.is_of(&self.url) {
            return false;
        }
        let age = now.duration_since(last.at);
        self.max_age.is_some_and(|max| !age.is_negative() && age.unsigned_abs() < max)
    }
}

/// The version that an answer's head tells, and how it is shown.
fn version_of(headers: &HeaderMap) -> Option<(Digest, String)> {
    let text = |name| headers.get(name).and_then(|it| it.to_str().ok()).map(str::trim).filter(|it| !it.is_empty());
    if let Some(etag) = text(header::ETAG).filter(|it| it.len() <= VERSION_BYTES_MAX) {
        // Weak: the server may call two contents the same that differ in bytes.
        let weak = if etag.starts_with("W/") { " (weak)" } else { "" };
        return Some((Digest::derive(ETAG, etag.as_bytes()), format!("etag {etag}{weak}")));
    }
    let date = text(header::LAST_MODIFIED).filter(|it| it.len() <= VERSION_BYTES_MAX)?;
    // With the length, as a second edit within the same second mostly changes it.
    let length = text(header::CONTENT_LENGTH).unwrap_or("unknown");
    Some((Digest::derive(LAST_MODIFIED, format!("{date}\0{length}").as_bytes()), format!("last modified {date}")))
}

/// One address being asked, through redirects on its own host.
struct Asking<'a> {
    agent: Agent,
    url: Uri,
    options: &'a UrlOptions,
    /// Without credentials and query.
    shown: String,
}

impl<'a> Asking<'a> {
    fn new(url: &str, options: &'a UrlOptions) -> Result<Self, SourceError> {
        let shown = shown(url);
        let bad = |cause: &str| SourceError::BadUrl { url: shown.clone(), cause: cause.to_owned() };
        let uri: Uri = url.parse().map_err(|it: ureq::http::uri::InvalidUri| bad(&it.to_string()))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
            return Err(bad("only http and https are"));
        }
        if let Some((host, what)) = uri.host().and_then(|it| Some((it, forbidden_host(it)?)))
            && !options.allow_private
        {
            return Err(SourceError::Forbidden { url: shown, address: host.to_owned(), what });
        }
        let proxy = options.proxy.as_deref().map(ureq::Proxy::new).transpose();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_resolve(Some(options.answer_timeout))
            .timeout_connect(Some(options.answer_timeout))
            .timeout_recv_response(Some(options.answer_timeout))
            .proxy(proxy.map_err(|it| bad(&format!("the proxy is wrong: {it}")))?)
            .user_agent(concat!("assets/", env!("CARGO_PKG_VERSION")))
            .build();
        let guard = Guarded { allow_private: options.allow_private };
        Ok(Asking { agent: Agent::with_parts(config, DefaultConnector::new(), guard), url: uri, options, shown })
    }

    fn ask(&self, method: Method, timeout: Duration) -> Result<Response<Body>, SourceError> {
        let mut at = self.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let request = Request::builder().method(method.clone()).uri(at.clone()).body(());
            let request = request.map_err(|it| self.bad(it.to_string()))?;
            let request = self.agent.configure_request(request).timeout_global(Some(timeout)).build();
            let answer = self.agent.run(request).map_err(|it| self.failed(it, timeout))?;
            let location = answer.headers().get(header::LOCATION).and_then(|it| it.to_str().ok());
            match location {
                Some(to) if is_redirect(answer.status()) => at = self.redirected(&at, to)?,
                _ => return Ok(answer),
            }
        }
        Err(SourceError::RedirectsTooOften { url: self.shown.clone(), limit: REDIRECTS_MAX })
    }

    /// Only on the same host, and never from https back to http.
    fn redirected(&self, from: &Uri, to: &str) -> Result<Uri, SourceError> {
        let next = resolve(from, to).ok_or_else(|| self.bad(format!("it redirects to {to:?}")))?;
        let upgraded = from.scheme_str() == Some("http") && next.scheme_str() == Some("https");
        let same_port = from.port_u16() == next.port_u16() && from.scheme_str() == next.scheme_str();
        let same_host = from.host().map(str::to_ascii_lowercase) == next.host().map(str::to_ascii_lowercase);
        if same_host && (same_port || upgraded && from.port_u16().is_none() && next.port_u16().is_none()) {
            return Ok(next);
        }
        Err(SourceError::RedirectsElsewhere { url: self.shown.clone(), to: shown(&next.to_string()) })
    }

    fn hash(&self, mut answer: Response<Body>, limit: u64) -> Result<(Digest, String), SourceError> {
        let mut reader = answer.body_mut().as_reader().take(limit + 1);
        let mut hasher = blake3::Hasher::new_derive_key(CONTENT);
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => hasher.update(&buffer[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.broken(error)),
            };
        }
        if hasher.count() > limit {
            return Err(SourceError::TooLarge { url: self.shown.clone(), limit });
        }
        let bytes = hasher.count();
        let digest = Digest::from(hasher.finalize());
        Ok((digest, format!("content {} ({bytes} bytes)", digest.short())))
    }

    fn check_status(&self, status: StatusCode) -> Result<(), SourceError> {
        if status.is_success() { Ok(()) } else { Err(self.status(status)) }
    }

    fn status(&self, status: StatusCode) -> SourceError {
        SourceError::Status { url: self.shown.clone(), status: status.as_u16() }
    }

    fn bad(&self, cause: String) -> SourceError {
        SourceError::BadUrl { url: self.shown.clone(), cause }
    }

    fn broken(&self, error: std::io::Error) -> SourceError {
        if error.kind() == std::io::ErrorKind::TimedOut {
            return SourceError::TimedOut { url: self.shown.clone(), after: self.options.content_timeout };
        }
        SourceError::Broken { url: self.shown.clone(), cause: error.to_string() }
    }

    fn failed(&self, error: ureq::Error, timeout: Duration) -> SourceError {
        let url = self.shown.clone();
        match error {
            ureq::Error::Other(other) => match other.downcast::<Refused>() {
                Ok(it) => SourceError::Forbidden { url, address: it.address.to_string(), what: it.what },
                Err(other) => SourceError::Offline { url, cause: other.to_string() },
            },
            ureq::Error::Timeout(_) => SourceError::TimedOut { url, after: timeout.min(self.options.answer_timeout) },
            ureq::Error::HostNotFound => SourceError::Offline { url, cause: "there is no such host".to_owned() },
            ureq::Error::BadUri(cause) => SourceError::BadUrl { url, cause },
            error => SourceError::Offline { url, cause: error.source().map_or(error.to_string(), ToString::to_string) },
        }
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The address that `to` means on a page at `from`.
fn resolve(from: &Uri, to: &str) -> Option<Uri> {
    let scheme = from.scheme_str()?;
    let authority = from.authority()?;
    let text = if to.contains("://") {
        to.to_owned()
    } else if let Some(rest) = to.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if to.starts_with('/') {
        format!("{scheme}://{authority}{to}")
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{to}")
    };
    let uri: Uri = text.split('#').next()?.parse().ok()?;
    matches!(uri.scheme_str(), Some("http" | "https")).then_some(uri)
}

/// The address without what may be secret: user, password, query.
fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.escape_debug().to_string() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}").escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_secrets() {
        assert_eq!(shown("https://me:pw@data.example/a/b.csv?token=x#y"), "https://data.example/a/b.csv");
        assert_eq!(shown("not a url?key=1"), "not a url");
    }

    #[test]
    fn redirects_are_resolved_against_their_page() {
        let from: Uri = "https://data.example/a/b.csv?x=1".parse().unwrap();
        let to = |it: &str| resolve(&from, it).map(|it| it.to_string());
        assert_eq!(to("c.csv").as_deref(), Some("https://data.example/a/c.csv"));
        assert_eq!(to("/c.csv#part").as_deref(), Some("https://data.example/c.csv"));
        assert_eq!(to("//other.example/c").as_deref(), Some("https://other.example/c"));
        assert_eq!(to("http://other.example/c").as_deref(), Some("http://other.example/c"));
        assert_eq!(to("file:///etc/passwd"), None);
    }
}
