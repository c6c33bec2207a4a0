use std::ops::Range;
use std::path::PathBuf;

use crate::entry::Entry;
use crate::error::Error;
use crate::location::Location;

/// What is to be retrieved, and how its stores are reached.
#[derive(Clone, Debug, Default)]
pub struct DownloadRequest {
    pub(crate) sources: Vec<Source>,
    pub(crate) options: Vec<(String, String)>,
}

/// One part of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// An object, or everything below it where it is no object but a folder: what a person means by an address.
    Address(Location),
    /// Exactly this object; it is not looked for in a listing.
    Object(Entry),
    /// Every key that begins with the location's key.
    Prefix(Location),
    /// Every key that fits: `*` and `?` within a part, `**` over parts, `[a-z]`, `{a,b}`.
    Glob(Location),
    /// The entries that a file names, one a line: an address, a tab and a name, or JSON.
    Manifest(PathBuf),
}

impl DownloadRequest {
    /// Asks for what `address` means: an object, a folder (it ends in `/`, or there is no such object), or a glob (it
    /// holds `*`, `?`, `[` or `{`). Web addresses are always single objects.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where the address is not understood.
    pub fn new(address: &str) -> Result<Self, Error> {
        Self::default().and(address)
    }

    /// Asks for more.
    ///
    /// # Errors
    ///
    /// As [`DownloadRequest::new`].
    pub fn and(self, address: &str) -> Result<Self, Error> {
        let location = Location::parse(address)?;
        Ok(self.with(Source::of(location)))
    }

    /// Asks for one more source.
    #[must_use]
    pub fn with(mut self, source: Source) -> Self {
        self.sources.push(source);
        self
    }

    /// Asks for bytes of one object.
    #[must_use]
    pub fn range(self, location: Location, range: Range<u64>) -> Self {
        let entry = Entry {
            range: Some(range),
            ..Entry::new(location)
        };
        self.with(Source::Object(entry))
    }

    /// Sets how stores are reached: the options of `object_store` by their names in any case, such as `aws_endpoint`,
    /// `aws_region`, `aws_access_key_id`, `aws_secret_access_key`, `aws_skip_signature`, `google_service_account`,
    /// `azure_storage_account_name`. Names that no store knows are ignored, so a whole environment will do.
    #[must_use]
    pub fn options<K: Into<String>, V: Into<String>>(
        mut self,
        options: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let options = options
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        self.options.extend(options);
        self
    }

    /// What is asked for, as a person would write it.
    pub fn describe(&self) -> Vec<String> {
        self.sources.iter().map(Source::describe).collect()
    }
}

impl Source {
    fn of(location: Location) -> Self {
        use crate::location::Scheme;
        let key = location.key();
        match location.scheme() {
            Scheme::Http => Self::Object(Entry::new(location)),
            _ if key.contains(['*', '?', '[', '{']) => Self::Glob(location),
            _ if key.is_empty() || key.ends_with('/') => Self::Prefix(location),
            _ => Self::Address(location),
        }
    }

    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Address(location) | Self::Glob(location) | Self::Prefix(location) => location.to_string(),
            Self::Object(entry) => entry.location.to_string(),
            Self::Manifest(path) => path.display().to_string(),
        }
    }
}
