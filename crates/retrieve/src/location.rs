use std::fmt;

use url::Url;

use crate::error::{Error, ErrorKind};

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    scheme: Scheme,
    /// Bucket, container, or the origin of a web address (`https://host:port`); empty for files.
    bucket: String,
    /// Any UTF-8 for buckets; path and query as written for web addresses; the absolute path for files.
    key: String,
}

/// How an object is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `s3://bucket/key`
    S3,
    /// `gs://bucket/key`
    Gcs,
    /// `az://container/key`
    Azure,
    /// `https://host/path?query` or `http://`
    Http,
    /// `file:///path` or a path
    File,
}

impl Location {
    /// Reads an address. Keys are taken as they are written, `%` and all, except in web addresses; a text without a
    /// scheme is a local path.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for another scheme, a missing bucket or a web address that is none.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Self::file(text);
        };
        let cloud = |scheme| Self::in_bucket(scheme, text, rest);
        match scheme.to_ascii_lowercase().as_str() {
            "s3" => cloud(Scheme::S3),
            "gs" => cloud(Scheme::Gcs),
            "az" => cloud(Scheme::Azure),
            "http" | "https" => Self::web(text),
            "file" => Self::file(rest),
            _ => Err(invalid(
                text,
                "use s3://, gs://, az://, https://, http:// or file://",
            )),
        }
    }

    /// An object in a bucket.
    pub fn object(scheme: Scheme, bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self {
            scheme,
            bucket: bucket.into(),
            key: key.into(),
        }
    }

    fn in_bucket(scheme: Scheme, text: &str, rest: &str) -> Result<Self, Error> {
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() || bucket.contains(['?', '#', '*', '[']) {
            return Err(invalid(text, "name a bucket, as in s3://bucket/key"));
        }
        Ok(Self::object(scheme, bucket, key))
    }

    fn web(text: &str) -> Result<Self, Error> {
        let url = Url::parse(text).map_err(|error| invalid(text, &error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::new(
                ErrorKind::Invalid,
                "an address must not hold a password: give it in a header by a hook",
            ));
        }
        let Some(host) = url.host_str() else {
            return Err(invalid(text, "name a host"));
        };
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        Ok(Self {
            scheme: Scheme::Http,
            bucket: format!("{}://{host}{port}", url.scheme()),
            key: format!("{}{query}", url.path()),
        })
    }

    fn file(path: &str) -> Result<Self, Error> {
        if path.is_empty() {
            return Err(invalid(path, "name a file or a folder"));
        }
        let absolute = std::path::absolute(path).map_err(|error| invalid(path, &error.to_string()))?;
        let slash = if path.ends_with('/') && path.len() > 1 {
            "/"
        } else {
            ""
        };
        let Some(absolute) = absolute.to_str() else {
            return Err(invalid(path, "the path is not UTF-8"));
        };
        let key = format!("{}{slash}", absolute.trim_end_matches('/'));
        Ok(Self {
            scheme: Scheme::File,
            bucket: String::new(),
            key,
        })
    }

    /// How it is reached.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Bucket, container, or origin of a web address (`https://host:port`); empty for files.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key in the bucket; path and query of a web address, beginning with `/`; the absolute path of a file.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The same place with another key.
    #[must_use]
    pub fn with_key(&self, key: impl Into<String>) -> Self {
        Self {
            scheme: self.scheme,
            bucket: self.bucket.clone(),
            key: key.into(),
        }
    }
}

impl fmt::Display for Location {
    /// As a person would write it; a query, which may hold a signature, is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bucket, key, .. } = self;
        match self.scheme {
            Scheme::S3 => write!(f, "s3://{bucket}/{key}"),
            Scheme::Gcs => write!(f, "gs://{bucket}/{key}"),
            Scheme::Azure => write!(f, "az://{bucket}/{key}"),
            Scheme::Http => write!(f, "{bucket}{}", key.split('?').next().unwrap_or_default()),
            Scheme::File => write!(f, "{key}"),
        }
    }
}

fn invalid(text: &str, advice: &str) -> Error {
    Error::new(
        ErrorKind::Invalid,
        format!("{text:?} is not an address that can be retrieved: {advice}"),
    )
}
