//! Where objects are kept, as a manifest writes it: `s3://bucket/prefix` and its kin.
//!
//! Only text: knows nothing of connections, credentials or what is there.

use std::fmt;

use crate::base::path::ProjectPath;

/// A parsed address. Its [`Display`](fmt::Display) is parsed to the same again, seen from the project's folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ObjectUrl {
    /// Something with buckets, reached by a connection.
    Bucket { service: Service, bucket: String, prefix: String },
    /// A folder of the project.
    Project(ProjectPath),
    /// A folder of the machine, from its root.
    Machine(String),
    /// This process.
    Memory,
}

/// Who keeps a bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    S3,
    Google,
    Azure,
}

/// What is wrong with an address, and what would be right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadUrl {
    pub message: String,
    pub help: &'static str,
}

/// Names below an asset's own: what is current, the versions that it may be, and what is in a folder.
pub const RESERVED: [&str; 3] = [".current.json", ".versions", ".tree.json"];

const FORMS: &str = "write s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX, file://FOLDER or memory://";

impl Service {
    pub fn scheme(self) -> &'static str {
        match self {
            Service::S3 => "s3",
            Service::Google => "gs",
            Service::Azure => "az",
        }
    }

    /// How the names of the variables begin that say who we are.
    pub fn variables(self) -> &'static str {
        match self {
            Service::S3 => "AWS_",
            Service::Google => "GOOGLE_",
            Service::Azure => "AZURE_",
        }
    }
}

impl ObjectUrl {
    /// A relative `file://` address is seen from `folder`.
    ///
    /// # Errors
    /// What no object store is behind.
    pub fn parse(text: &str, folder: &ProjectPath) -> Result<ObjectUrl, BadUrl> {
        let bad = |message: String, help| Err(BadUrl { message, help });
        let Some((scheme, rest)) = text.split_once("://") else {
            return bad(format!("{text:?} is not the address of an object store"), FORMS);
        };
        let service = match scheme {
            "s3" => Service::S3,
            "gs" => Service::Google,
            "az" => Service::Azure,
            "file" => return ObjectUrl::folder(rest, folder),
            "memory" if rest.is_empty() => return Ok(ObjectUrl::Memory),
            "memory" => return bad("memory:// takes no path".to_owned(), "write memory://"),
            _ => return bad(format!("no object store is reached by {scheme}://"), FORMS),
        };
        if rest.contains(['@', '?', '#']) {
            return bad(
                "the address of an object store is a bucket and a prefix, and nothing else".to_owned(),
                "credentials come from the environment; other options have keys of their own",
            );
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return bad(format!("{text:?} names no bucket"), FORMS);
        }
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        if !prefix.is_empty() && prefix.split('/').any(|it| matches!(it, "" | "." | "..")) {
            return bad(format!("{prefix:?} is no prefix"), "leave out empty parts, `.` and `..`");
        }
        Ok(ObjectUrl::Bucket { service, bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    fn folder(path: &str, folder: &ProjectPath) -> Result<ObjectUrl, BadUrl> {
        if path.starts_with('/') {
            return Ok(ObjectUrl::Machine(path.trim_end_matches('/').to_owned()));
        }
        match ProjectPath::resolve(folder, path) {
            Ok(path) if !path.is_root() => Ok(ObjectUrl::Project(path)),
            Ok(_) => Err(BadUrl {
                message: "file:// names no folder".to_owned(),
                help: "write file://FOLDER, below the project, or file:///FOLDER",
            }),
            Err(error) => Err(BadUrl {
                message: error.to_string(),
                help: "a relative folder is below the project; write file:///FOLDER for another",
            }),
        }
    }

    /// Whether asking it opens a connection.
    pub fn is_remote(&self) -> bool {
        matches!(self, ObjectUrl::Bucket { .. })
    }
}

impl fmt::Display for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectUrl::Bucket { service, bucket, prefix } if prefix.is_empty() => {
                write!(f, "{}://{bucket}", service.scheme())
            }
            ObjectUrl::Bucket { service, bucket, prefix } => write!(f, "{}://{bucket}/{prefix}", service.scheme()),
            ObjectUrl::Project(path) => write!(f, "file://{path}"),
            ObjectUrl::Machine(path) => write!(f, "file://{path}"),
            ObjectUrl::Memory => f.write_str("memory://"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ObjectUrl, BadUrl> {
        ObjectUrl::parse(text, &ProjectPath::root())
    }

    #[test]
    fn what_is_shown_is_parsed_to_the_same() {
        for text in
            ["s3://lake", "s3://lake/a/b", "gs://lake/a", "az://lake", "file://lake", "file:///srv/l", "memory://"]
        {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        assert_eq!(parse("s3://lake/a/").unwrap().to_string(), "s3://lake/a");
        let inner = ObjectUrl::parse("file://lake", &ProjectPath::root().join("sub")).unwrap();
        assert_eq!(parse(&inner.to_string()), Ok(inner));
    }

    #[test]
    fn what_no_object_store_is_behind_is_refused() {
        for text in [
            "lake",
            "http://lake/a",
            "s3://",
            "s3:///a",
            "s3://key:secret@lake/a",
            "s3://lake/a?b=c",
            "s3://lake/a//b",
            "s3://lake/../b",
            "file://",
            "file://..",
            "memory://a",
        ] {
            let bad = parse(text).expect_err(text);
            assert!(!bad.message.is_empty() && !bad.help.is_empty());
            assert!(!bad.message.contains("secret"), "{}", bad.message);
        }
    }
}
