use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::LogError;
use crate::log::{Kept, Log};
use crate::mask::Mask;
use crate::packed::{self, Packed};
use crate::plain::Plain;
use crate::writer::{LogLimits, Writer};

/// Bytes of a name at most.
const MAX_NAME_BYTES: usize = 100;
/// Ends the names of logs that are written, or whose writer was killed.
const PLAIN: &str = ".log";
/// Ends the names of logs that are over.
const PACKED: &str = ".log.zst";
/// Ends the names of files that are being made.
const DRAFT: &str = ".draft";

/// The logs of the runs in one folder: which are being written now, and which are over. One process writes to a folder at a time.
#[derive(Clone)]
pub struct Logs {
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    live: Mutex<HashMap<String, Log>>,
}

impl Logs {
    /// Logs in `folder`, which is made where it is missing.
    pub fn open(folder: &Path) -> Result<Self, LogError> {
        fs::create_dir_all(folder).map_err(LogError::at(folder))?;
        let shared = Shared {
            folder: folder.to_owned(),
            live: Mutex::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Begins the log `name` (1 to 100 letters, digits, `-`); what is there of it, also of a killed process, is gone on with. `secrets` are replaced by
    /// `****` wherever they appear in a line, also in Base64, hexadecimal and percent-encoded;
    /// those of 4 and 5 bytes only as words of their own, shorter ones not at all.
    ///
    /// # Errors
    ///
    /// [`LogError::Live`] when it is being written.
    pub fn begin(&self, name: &str, limits: LogLimits, secrets: &[&str]) -> Result<Writer, LogError> {
        let path = self.path(name, PLAIN)?;
        let mask = Mask::new(secrets)?;
        let mut live = self.live();
        if live.contains_key(name) {
            return Err(LogError::Live(name.to_owned()));
        }
        self.unpack(name)?;
        let plain = Arc::new(Plain::begin(&path, limits.memory_bytes)?);
        let writer = Writer::new(self.clone(), name, plain, limits, mask);
        live.insert(name.to_owned(), writer.log());
        Ok(writer)
    }

    /// The log `name`, written now or over; none where there is none here.
    pub fn get(&self, name: &str) -> Result<Option<Log>, LogError> {
        let (packed, plain) = (self.path(name, PACKED)?, self.path(name, PLAIN)?);
        let live = self.live();
        if let Some(log) = live.get(name) {
            return Ok(Some(log.clone()));
        }
        if let Some(packed) = Packed::open(&packed)? {
            return Ok(Some(Log::over(Kept::Packed(packed))));
        }
        let plain = Plain::open(&plain)?;
        Ok(plain.map(|plain| Log::over(Kept::Plain(Arc::new(plain)))))
    }

    /// The compressed file of a log that is over, to be archived; a log that still lies uncompressed because its process was killed is closed first.
    ///
    /// # Errors
    ///
    /// [`LogError::Live`] when it is being written.
    pub fn file(&self, name: &str) -> Result<Option<PathBuf>, LogError> {
        let path = self.path(name, PACKED)?;
        let _live = self.must_be_over(name)?;
        if is_there(&path)? {
            return Ok(Some(path));
        }
        let Some(plain) = Plain::open(&self.path(name, PLAIN)?)? else {
            return Ok(None);
        };
        self.pack(name, &plain)?;
        Ok(Some(path))
    }

    /// Takes in a copy of a file that [`Logs::file`] gave, elsewhere; what was here under this name is replaced.
    pub fn adopt(&self, name: &str, file: &Path) -> Result<(), LogError> {
        let (path, draft) = (self.path(name, PACKED)?, self.path(name, DRAFT)?);
        let _live = self.must_be_over(name)?;
        fs::copy(file, &draft).map_err(LogError::at(file))?;
        if let Err(error) = Packed::open(&draft) {
            remove(&draft)?;
            return Err(error);
        }
        fs::rename(&draft, &path).map_err(LogError::at(&path))?;
        remove(&self.path(name, PLAIN)?)
    }

    /// Removes a log. Who reads it reads on.
    ///
    /// # Errors
    ///
    /// [`LogError::Live`] when it is being written.
    pub fn remove(&self, name: &str) -> Result<(), LogError> {
        let _live = self.must_be_over(name)?;
        for ending in [PLAIN, PACKED, DRAFT] {
            remove(&self.path(name, ending)?)?;
        }
        Ok(())
    }

    /// The names of all logs here, in order.
    pub fn names(&self) -> Result<Vec<String>, LogError> {
        let io = LogError::at(&self.shared.folder);
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(&self.shared.folder).map_err(&io)? {
            let file = entry.map_err(&io)?.file_name();
            let file = file.to_string_lossy();
            let name = file.strip_suffix(PACKED).or_else(|| file.strip_suffix(PLAIN));
            names.extend(name.map(str::to_owned));
        }
        Ok(names.into_iter().collect())
    }

    fn live(&self) -> MutexGuard<'_, HashMap<String, Log>> {
        self.shared.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody begins the log `name` while this is held.
    fn must_be_over(&self, name: &str) -> Result<MutexGuard<'_, HashMap<String, Log>>, LogError> {
        let live = self.live();
        if live.contains_key(name) {
            return Err(LogError::Live(name.to_owned()));
        }
        Ok(live)
    }

    fn path(&self, name: &str, ending: &str) -> Result<PathBuf, LogError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(allowed) {
            return Err(LogError::Name(name.to_owned()));
        }
        Ok(self.shared.folder.join(format!("{name}{ending}")))
    }

    /// Nobody writes the log `name` any more.
    pub(crate) fn close(&self, name: &str) {
        self.live().remove(name);
    }

    /// Compresses `plain`, the log `name`. At every moment one of the two files is whole.
    pub(crate) fn pack(&self, name: &str, plain: &Plain) -> Result<(), LogError> {
        let (draft, path) = (self.path(name, DRAFT)?, self.path(name, PACKED)?);
        packed::pack(plain, &draft)?;
        self.put(&draft, &path)?;
        remove(&self.path(name, PLAIN)?)
    }

    /// Makes a compressed log text again, so that it can be gone on with. Where both are there, the process was killed before it removed the older one.
    fn unpack(&self, name: &str) -> Result<(), LogError> {
        let path = self.path(name, PACKED)?;
        let Some(packed) = Packed::open(&path)? else {
            return Ok(());
        };
        let draft = self.path(name, DRAFT)?;
        packed.unpack_to(&draft)?;
        self.put(&draft, &self.path(name, PLAIN)?)?;
        remove(&path)
    }

    /// Gives a finished file its name, for good.
    fn put(&self, draft: &Path, path: &Path) -> Result<(), LogError> {
        fs::rename(draft, path).map_err(LogError::at(path))?;
        let folder = File::open(&self.shared.folder).and_then(|folder| folder.sync_all());
        folder.map_err(LogError::at(&self.shared.folder))
    }
}

fn is_there(path: &Path) -> Result<bool, LogError> {
    path.try_exists().map_err(LogError::at(path))
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> Result<(), LogError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LogError::at(path)(error)),
        _ => Ok(()),
    }
}
