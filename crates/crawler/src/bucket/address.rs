use std::fmt;
use std::path::{Path, PathBuf};

use model::{InvalidUrl, PageUrl, SourceId};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use retrieve::{Location, Scheme};

/// What a key's characters may not be in a path: all but unreserved and path characters (RFC 3986, section 3.3). `+` is
/// encoded, too, because servers of buckets read it as a space.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// Where the objects of a source are, and which URLs they have: a folder of a bucket or of this machine, and the base
/// that takes its place.
///
/// The URL of an object is the base followed by what its key has after the folder, percent-encoded; so the key is found
/// back from the URL.
///
/// ```
/// let manual = crawler::BucketAddress::new("s3://docs.example.org/manual", None)?;
/// assert_eq!(manual.to_string(), "s3://docs.example.org/manual/");
/// assert_eq!(manual.base().as_str(), "https://docs.example.org/manual/");
/// let url = manual.url("manual/tea & cake/50%.html").ok_or("no URL")?;
/// assert_eq!(url.as_str(), "https://docs.example.org/manual/tea%20&%20cake/50%25.html");
/// assert_eq!(manual.key(&url).as_deref(), Some("manual/tea & cake/50%.html"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct BucketAddress {
    /// Its key is empty or ends in `/`.
    folder: Location,
    /// Its path ends in `/`.
    base: PageUrl,
}

/// Why something is not a bucket that can be crawled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBucket {
    /// The address is not understood.
    #[error(transparent)]
    Address(#[from] retrieve::Error),
    /// The address is one of something else.
    #[error("{0:?} is not a bucket: use s3://bucket/folder/, gs://bucket/folder/ or az://container/folder/")]
    Other(String),
    /// The bucket's name does not do for a host.
    #[error("the bucket {bucket:?} cannot be a host; say with a base under which URL its objects are read")]
    Name {
        /// The bucket.
        bucket: String,
        /// The cause.
        #[source]
        source: InvalidUrl,
    },
    /// The path is not one of a folder.
    #[error("{0:?} is not a folder that can be crawled: give its absolute path, in UTF-8")]
    Folder(PathBuf),
    /// The base cannot be followed by keys.
    #[error("the base {0} must be a URL without a query")]
    Base(PageUrl),
}

impl BucketAddress {
    /// Reads `s3://bucket/folder/`, `gs://bucket/folder/` or `az://container/folder/`; the last `/` may be left out.
    ///
    /// Without a base it is `https://bucket/folder/`. That names the bucket, and it is where a bucket is read that is
    /// named after the site it serves; where it serves another one, or none, give a base.
    ///
    /// # Errors
    ///
    /// When it is not the address of a bucket, or the base is none.
    pub fn new(address: &str, base: Option<&PageUrl>) -> Result<Self, InvalidBucket> {
        let place = Location::parse(address)?;
        if !matches!(place.scheme(), Scheme::S3 | Scheme::Gcs | Scheme::Azure) {
            return Err(InvalidBucket::Other(address.to_owned()));
        }
        let folder = match place.key() {
            "" => place,
            key if key.ends_with('/') => place,
            key => place.with_key(format!("{key}/")),
        };
        let base = match base {
            Some(base) => as_folder(base)?,
            None => own_base(&folder)?,
        };
        Ok(Self { folder, base })
    }

    /// A folder of this machine, by its absolute path.
    ///
    /// Without a base it is `https://<name of the folder>.localhost/`: a host that belongs to nobody else (RFC 6761,
    /// section 6.3), so what is found there is told from what comes from the web. Give the base under which people read
    /// the files, if there is one.
    ///
    /// ```
    /// let notes = crawler::BucketAddress::of_folder("/home/me/My Notes".as_ref(), None)?;
    /// assert_eq!(notes.base().as_str(), "https://my-notes.localhost/");
    /// let url = notes.url("/home/me/My Notes/tea/green.md").ok_or("no URL")?;
    /// assert_eq!(url.as_str(), "https://my-notes.localhost/tea/green.md");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the path is not absolute or not UTF-8, or the base is none.
    pub fn of_folder(path: &Path, base: Option<&PageUrl>) -> Result<Self, InvalidBucket> {
        let invalid = || InvalidBucket::Folder(path.to_owned());
        let text = path.to_str().filter(|_| path.is_absolute()).ok_or_else(invalid)?;
        let folder = Location::object(Scheme::File, "", format!("{}/", text.trim_end_matches('/')));
        let base = match base {
            Some(base) => as_folder(base)?,
            None => {
                let name = path
                    .file_name()
                    .and_then(std::ffi::OsStr::to_str)
                    .unwrap_or("root");
                let name = SourceId::from_words(&name.replace('.', "-")).map_err(|_| invalid())?;
                PageUrl::parse(&format!("https://{name}.localhost/")).map_err(|_| invalid())?
            }
        };
        Ok(Self { folder, base })
    }

    /// Whether `text` is meant as the address of a bucket.
    pub fn is_meant(text: &str) -> bool {
        ["s3://", "gs://", "az://"].iter().any(|scheme| {
            text.get(..scheme.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(scheme))
        })
    }

    /// The URL that takes the place of the folder.
    pub fn base(&self) -> &PageUrl {
        &self.base
    }

    /// The URL of an object; none where the object is elsewhere or its key cannot be written as a URL: it has a part
    /// that is `.` or `..`, or the URL would be longer than 2048 bytes.
    pub fn url(&self, key: &str) -> Option<PageUrl> {
        let name = key.strip_prefix(self.folder.key())?;
        let encoded = utf8_percent_encode(name, ENCODED);
        let url = PageUrl::parse(&format!("{}{encoded}", self.base)).ok()?;
        (self.key(&url)? == key).then_some(url)
    }

    /// The key of the object that has this URL; none where no object has it.
    pub fn key(&self, url: &PageUrl) -> Option<String> {
        let encoded = url.as_str().strip_prefix(self.base.as_str())?;
        let name = percent_decode_str(encoded).decode_utf8().ok()?;
        // An encoded slash could hide a way out of the folder.
        let leads_out = name.split('/').any(|part| matches!(part, "." | ".."));
        (!leads_out).then(|| format!("{}{name}", self.folder.key()))
    }

    pub(super) fn folder(&self) -> &Location {
        &self.folder
    }
}

impl fmt::Display for BucketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.folder.fmt(f)
    }
}

fn as_folder(base: &PageUrl) -> Result<PageUrl, InvalidBucket> {
    let invalid = || InvalidBucket::Base(base.clone());
    if base.query().is_some() {
        return Err(invalid());
    }
    if base.path().ends_with('/') {
        return Ok(base.clone());
    }
    PageUrl::parse(&format!("{base}/")).map_err(|_| invalid())
}

fn own_base(folder: &Location) -> Result<PageUrl, InvalidBucket> {
    let path = utf8_percent_encode(folder.key(), ENCODED);
    PageUrl::parse(&format!("https://{}/{path}", folder.bucket())).map_err(|source| InvalidBucket::Name {
        bucket: folder.bucket().to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str, base: Option<&str>) -> BucketAddress {
        let base = base.map(|base| PageUrl::parse(base).unwrap());
        BucketAddress::new(text, base.as_ref()).unwrap()
    }

    #[track_caller]
    fn check(address: &BucketAddress, key: &str, url: Option<&str>) {
        let found = address.url(key);
        assert_eq!(found.as_ref().map(PageUrl::as_str), url, "{key:?}");
        if let Some(found) = found {
            assert_eq!(address.key(&found).as_deref(), Some(key));
        }
    }

    #[test]
    fn an_object_has_the_url_of_its_key_below_the_base() {
        let docs = address("s3://docs/manual/", Some("https://docs.example.org/en"));
        check(&docs, "manual/a.html", Some("https://docs.example.org/en/a.html"));
        check(&docs, "manual/a//b", Some("https://docs.example.org/en/a//b"));
        check(&docs, "manual/", Some("https://docs.example.org/en/"));
        check(
            &docs,
            "manual/a b+c?d#e",
            Some("https://docs.example.org/en/a%20b%2Bc%3Fd%23e"),
        );
        check(
            &docs,
            "manual/100%/%41.txt",
            Some("https://docs.example.org/en/100%25/%2541.txt"),
        );
        check(&docs, "manual/é", Some("https://docs.example.org/en/%C3%A9"));
        check(
            &docs,
            "manual/\\\n\t",
            Some("https://docs.example.org/en/%5C%0A%09"),
        );
        check(&docs, "other/a.html", None);
        check(&docs, "manual/a/../b", None);
        check(&docs, "manual/./b", None);
        check(&docs, &format!("manual/{}", "é".repeat(512)), None);
    }

    #[test]
    fn no_url_leads_out_of_the_folder() {
        let docs = BucketAddress::of_folder("/srv/docs".as_ref(), None).unwrap();
        for path in ["..%2Fsecret", "a%2F..%2F..%2Fsecret", "%2E%2E/secret", ".%2Fa"] {
            let url = PageUrl::parse(&format!("https://docs.localhost/{path}")).unwrap();
            let key = docs.key(&url);
            assert!(
                key.as_deref().is_none_or(|key| key == "/srv/docs/secret"),
                "{path}: {key:?}"
            );
        }
    }

    #[test]
    fn a_folder_has_an_absolute_path() {
        let base = |path: &str| {
            BucketAddress::of_folder(path.as_ref(), None).map(|address| address.base().to_string())
        };
        assert_eq!(base("/srv/Docs.v2/").unwrap(), "https://docs-v2.localhost/");
        assert_eq!(base("/").unwrap(), "https://root.localhost/");
        for path in ["docs", "", "/srv/日本"] {
            assert!(base(path).is_err(), "{path}");
        }
    }

    #[test]
    fn without_a_base_the_bucket_is_the_host() {
        let base = |text| address(text, None).base().to_string();
        assert_eq!(base("s3://docs.example.org"), "https://docs.example.org/");
        assert_eq!(base("gs://docs/a b"), "https://docs/a%20b/");
        assert_eq!(base("az://docs/a/"), "https://docs/a/");
    }

    #[test]
    fn what_is_no_bucket_is_refused_with_a_reason() {
        for (text, reason) in [
            ("s3://", "name a bucket"),
            ("ftp://a/b", "use s3://"),
            ("https://example.org/a", "is not a bucket"),
            ("/folder", "is not a bucket"),
            ("s3://a b/", "say with a base"),
        ] {
            let error = BucketAddress::new(text, None).expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        let query = PageUrl::parse("https://example.org/?a=b").unwrap();
        assert!(BucketAddress::new("s3://docs/", Some(&query)).is_err());
    }

    proptest! {
        #[test]
        fn a_key_that_has_a_url_is_found_back(key in "(a/)?[ -~éあ\n./%+#?\\\\]{0,40}") {
            let docs = address("s3://docs/a/", Some("https://e.gov/b/"));
            if let Some(url) = docs.url(&key) {
                prop_assert_eq!(docs.key(&url), Some(key));
                prop_assert_eq!(PageUrl::parse(url.as_str()), Ok(url.clone()));
                prop_assert_eq!(url.query(), None);
            }
        }
    }
}
