//! From an address to something that can be asked: made when it is first asked, and with nothing of the
//! environment but what says who we are. What goes wrong is told in the words of those who can mend it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, S3ConditionalPut},
    azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder,
    local::LocalFileSystem,
    memory::InMemory,
    path::Path,
};
use tokio::runtime::Runtime;

use crate::{
    exec::io::IoError,
    model::{
        object_url::{ObjectUrl, Service},
        project::ObjectOptions,
    },
};

/// Of one request; what is large is moved in many.
const REQUEST_MAX: Duration = Duration::from_secs(120);
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Of one request and all that is tried again for it.
const RETRIES_MAX: usize = 4;
const RETRYING_MAX: Duration = Duration::from_secs(60);

/// What is asked, of the machine that we run on, where nobody said who we are.
const METADATA: [&str; 5] =
    ["169.254.169.254", "latest/api/token", "latest/meta-data", "metadata.google.internal", "metadata/identity"];

/// How an object store is reached; nothing is opened by having one.
#[derive(Clone, Debug)]
pub struct Reach {
    pub url: ObjectUrl,
    pub options: ObjectOptions,
    /// Of the environment, what says who we are.
    pub credentials: Credentials,
    pub project_root: PathBuf,
}

/// Names and values of variables. Never shown.
#[derive(Clone, Default)]
pub struct Credentials(pub Vec<(String, String)>);

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.0.len())
    }
}

/// An object store that can be asked.
pub struct Opened {
    pub runtime: Runtime,
    pub store: Arc<dyn ObjectStore>,
    /// What everything of ours is kept below.
    pub prefix: Path,
}

impl Reach {
    /// Makes the runtime and the client. Still asks nobody.
    ///
    /// # Errors
    /// Options that do not fit together.
    pub fn open(&self) -> Result<Opened, IoError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("objects")
            .enable_all()
            .build()
            .map_err(|it| IoError::Other { path: self.url.to_string(), cause: it.to_string() })?;
        let store: Arc<dyn ObjectStore> = match &self.url {
            ObjectUrl::Memory => Arc::new(InMemory::new()),
            ObjectUrl::Project(_) | ObjectUrl::Machine(_) => Arc::new(LocalFileSystem::new()),
            ObjectUrl::Bucket { service, bucket, .. } => self.bucket(*service, bucket).map_err(|it| self.told(&it))?,
        };
        let prefix = match &self.url {
            ObjectUrl::Memory => Ok(Path::default()),
            ObjectUrl::Project(path) => Path::from_absolute_path(path.under(&self.project_root)),
            ObjectUrl::Machine(path) => Path::from_absolute_path(path),
            ObjectUrl::Bucket { prefix, .. } => Path::parse(prefix),
        };
        let prefix = prefix.map_err(|it| IoError::Other { path: self.url.to_string(), cause: it.to_string() })?;
        Ok(Opened { runtime, store, prefix })
    }

    /// What the manifest says goes before what the environment says.
    fn bucket(&self, service: Service, bucket: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
        let options = &self.options;
        let (http, unsigned, endpoint) = (options.allow_http, options.skip_signature, options.endpoint.as_deref());
        let mut client = ClientOptions::new().with_timeout(REQUEST_MAX).with_connect_timeout(CONNECT_MAX);
        if http {
            client = client.with_allow_http(true);
        }
        Ok(match service {
            Service::S3 => {
                let mut it = AmazonS3Builder::new().with_client_options(client).with_retry(retry());
                it = self.variables().into_iter().fold(it, |it, (name, value)| it.with_config(name, value));
                it = endpoint.into_iter().fold(it, AmazonS3Builder::with_endpoint);
                it = options.region.iter().fold(it, AmazonS3Builder::with_region);
                it = if unsigned { it.with_skip_signature(true) } else { it };
                Arc::new(it.with_bucket_name(bucket).with_conditional_put(S3ConditionalPut::ETagMatch).build()?)
            }
            Service::Google => {
                let mut it = GoogleCloudStorageBuilder::new().with_client_options(client).with_retry(retry());
                it = self.variables().into_iter().fold(it, |it, (name, value)| it.with_config(name, value));
                it = endpoint.into_iter().fold(it, GoogleCloudStorageBuilder::with_base_url);
                it = if unsigned { it.with_skip_signature(true) } else { it };
                Arc::new(it.with_bucket_name(bucket).build()?)
            }
            Service::Azure => {
                let mut it = MicrosoftAzureBuilder::new().with_client_options(client).with_retry(retry());
                it = self.variables().into_iter().fold(it, |it, (name, value)| it.with_config(name, value));
                it = endpoint.into_iter().fold(it, |it, endpoint| it.with_endpoint(endpoint.to_owned()));
                it = if unsigned { it.with_skip_signature(true) } else { it };
                Arc::new(it.with_container_name(bucket).build()?)
            }
        })
    }

    /// The variables whose names the service knows, under those names.
    fn variables<K: std::str::FromStr>(&self) -> Vec<(K, String)> {
        let known = |(name, value): &(String, String)| Some((name.to_ascii_lowercase().parse().ok()?, value.clone()));
        self.credentials.0.iter().filter_map(known).collect()
    }

    /// An error, with what it was about and what can be done.
    pub fn told(&self, error: &object_store::Error) -> IoError {
        self.told_of(None, error)
    }

    pub fn told_of(&self, key: Option<&Path>, error: &object_store::Error) -> IoError {
        let place = self.shown(key);
        let text = plain(&error.to_string());
        let whole = chain(error);
        let says = |words: &[&str]| words.iter().any(|it| whole.contains(it));
        let (cause, help) = match error {
            _ if says(&["NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"]) => {
                ("there is no such bucket".to_owned(), "make it first: assets makes objects, never buckets")
            }
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                ("access was denied".to_owned(), self.who_help())
            }
            _ if says(&METADATA) => ("there are no credentials".to_owned(), self.who_help()),
            _ if says(&["error sending request", "connect", "timed out", "dns", "URL scheme is not allowed"]) => (
                format!("it cannot be reached: {}", last(error)),
                "look at `url` and `endpoint` of the IO manager and at the network, and try again",
            ),
            _ => (text, "try again; if it stays, the service's own tools may say more"),
        };
        IoError::Store { place, cause, help }
    }

    fn who_help(&self) -> &'static str {
        match &self.url {
            ObjectUrl::Bucket { service: Service::S3, .. } => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN) to those of somebody who may \
                 get, put, list and delete objects there; a bucket open to everybody takes `skip_signature = true`"
            }
            ObjectUrl::Bucket { service: Service::Google, .. } => {
                "set GOOGLE_APPLICATION_CREDENTIALS to the file of somebody who may get, put, list and delete objects there"
            }
            ObjectUrl::Bucket { service: Service::Azure, .. } => {
                "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY to those of an account that may read, \
                 write, list and delete blobs there"
            }
            ObjectUrl::Project(_) | ObjectUrl::Machine(_) | ObjectUrl::Memory => {
                "the folder and what is in it must be writable by you"
            }
        }
    }

    /// An object as people write it.
    pub fn shown(&self, key: Option<&Path>) -> String {
        match (&self.url, key) {
            (ObjectUrl::Bucket { service, bucket, .. }, Some(key)) => format!("{}://{bucket}/{key}", service.scheme()),
            (ObjectUrl::Project(_) | ObjectUrl::Machine(_), Some(key)) => format!("file:///{key}"),
            (ObjectUrl::Memory, Some(key)) => format!("memory://{key}"),
            (url, None) => url.to_string(),
        }
    }
}

fn retry() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: RETRIES_MAX, retry_timeout: RETRYING_MAX }
}

/// The error and all that it came from.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(it) = at {
        text.push_str(": ");
        text.push_str(&it.to_string());
        at = it.source();
    }
    text
}

/// Where it began.
fn last(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(it) = at.source() {
        at = it;
    }
    plain(&at.to_string())
}

/// One line, and no query: there may be a signature in it.
fn plain(text: &str) -> String {
    let words = text.split_whitespace().map(|it| match it.split_once('?') {
        Some((before, _)) if before.contains("://") => format!("{before}?..."),
        _ => it.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_holds_no_query() {
        let text = "Error performing GET https://a.example/c/k?sig=abc&se=1 in 2ms:\n  Server returned 500";
        assert_eq!(plain(text), "Error performing GET https://a.example/c/k?... in 2ms: Server returned 500");
    }

    #[test]
    fn credentials_are_not_shown() {
        let credentials = Credentials(vec![("AWS_SECRET_ACCESS_KEY".to_owned(), "hunter2".to_owned())]);
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }
}
