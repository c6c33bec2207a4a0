//! The tokenizer that is built into SQLite, asked directly.
//!
//! What the index holds must be exactly what FTS5 itself would have put there, so its own tokenizer decides.
#![expect(
    unsafe_code,
    reason = "FTS5 offers its tokenizers through C function pointers only"
)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ops::Range;
use std::ptr;

use rusqlite::{Connection, ffi};

use crate::PackError;

/// A word of a text, as the index sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The word folded and stemmed: the term that the index holds.
    pub term: String,
    /// The word folded only: lower case, without diacritics.
    pub word: String,
    /// Where it stands in the text, in bytes.
    pub range: Range<usize>,
}

/// The tokenizer of packs, `porter unicode61 remove_diacritics 2`.
pub struct Tokenizer {
    words: Builtin,
    terms: Builtin,
    // Owns what the pointers of the two lead to: declared last, hence dropped last.
    _connection: Connection,
}

impl Tokenizer {
    /// A tokenizer of its own; making one takes about 50 microseconds.
    ///
    /// # Errors
    ///
    /// When SQLite was built without FTS5.
    pub fn new() -> Result<Self, PackError> {
        let connection = Connection::open_in_memory()?;
        let words = Builtin::create(&connection, c"unicode61", &[c"remove_diacritics", c"2"])?;
        let terms = Builtin::create(
            &connection,
            c"porter",
            &[c"unicode61", c"remove_diacritics", c"2"],
        )?;
        Ok(Self {
            words,
            terms,
            _connection: connection,
        })
    }

    /// The words of `text`, in order. Text beyond 1 GiB is ignored.
    pub fn tokens(&self, text: &str) -> Vec<Token> {
        let mut tokens = Vec::new();
        self.words.tokenize(text, &mut |word, range| {
            tokens.push(Token {
                term: String::new(),
                word: word.to_owned(),
                range,
            });
        });
        let mut stemmed = tokens.iter_mut();
        self.terms.tokenize(text, &mut |term, _| {
            if let Some(token) = stemmed.next() {
                term.clone_into(&mut token.term);
            }
        });
        tokens
    }
}

/// One instance of a tokenizer of FTS5.
struct Builtin {
    methods: ffi::fts5_tokenizer,
    instance: *mut ffi::Fts5Tokenizer,
}

// SAFETY: a tokenizer instance holds plain memory of its own (fold buffer, tables) and no thread-local state; `Builtin` is not
// `Sync`, so one thread at a time uses it.
unsafe impl Send for Builtin {}

/// What a tokenizer calls for every token.
type OnToken<'a> = &'a mut dyn FnMut(&str, Range<usize>);

impl Builtin {
    fn create(connection: &Connection, name: &CStr, arguments: &[&CStr]) -> Result<Self, PackError> {
        let api = fts5_api(connection)?;
        let mut methods = ffi::fts5_tokenizer {
            xCreate: None,
            xDelete: None,
            xTokenize: None,
        };
        let mut context = ptr::null_mut();
        let mut instance = ptr::null_mut();
        let mut arguments: Vec<*const c_char> = arguments.iter().map(|argument| argument.as_ptr()).collect();
        // SAFETY: `api` is the live interface of the open `connection`; the out-pointers are valid for the calls, the
        // strings are NUL-terminated and live through them, and the count is that of the array.
        let code = unsafe {
            match (*api).xFindTokenizer {
                Some(find) => find(api, name.as_ptr(), &raw mut context, &raw mut methods),
                None => ffi::SQLITE_ERROR,
            }
        };
        check(code)?;
        let create = methods.xCreate.ok_or_else(no_fts5)?;
        let count = c_int::try_from(arguments.len()).map_err(|_| no_fts5())?;
        // SAFETY: as above; `context` is what the registry gave for these methods.
        check(unsafe { create(context, arguments.as_mut_ptr(), count, &raw mut instance) })?;
        Ok(Self { methods, instance })
    }

    fn tokenize(&self, text: &str, mut on_token: OnToken<'_>) {
        let length = c_int::try_from(text.len().min(1 << 30)).unwrap_or(0);
        let Some(tokenize) = self.methods.xTokenize else {
            return;
        };
        // SAFETY: the instance was made by these methods and is in use here only; `text` has at least `length` bytes; the
        // context is the closure reference that `on_token_thunk` expects and outlives the call.
        unsafe {
            let context = (&raw mut on_token).cast::<c_void>();
            tokenize(
                self.instance,
                context,
                0,
                text.as_ptr().cast(),
                length,
                Some(on_token_thunk),
            );
        }
    }
}

impl Drop for Builtin {
    fn drop(&mut self) {
        if let Some(delete) = self.methods.xDelete {
            // SAFETY: made by the same methods, deleted once.
            unsafe { delete(self.instance) }
        }
    }
}

/// Hands one token to the closure behind `context`.
unsafe extern "C" fn on_token_thunk(
    context: *mut c_void,
    _flags: c_int,
    token: *const c_char,
    length: c_int,
    start: c_int,
    end: c_int,
) -> c_int {
    let at = |offset: c_int| usize::try_from(offset).unwrap_or(0);
    // SAFETY: called only by `tokenize`, with its `OnToken` as context and a token of `length` bytes.
    let (on_token, bytes) = unsafe {
        (
            &mut *context.cast::<OnToken<'_>>(),
            std::slice::from_raw_parts(token.cast::<u8>(), at(length)),
        )
    };
    on_token(&String::from_utf8_lossy(bytes), at(start)..at(end));
    ffi::SQLITE_OK
}

/// The interface of FTS5 in this connection.
fn fts5_api(connection: &Connection) -> Result<*mut ffi::fts5_api, PackError> {
    let mut api: *mut ffi::fts5_api = ptr::null_mut();
    let mut statement = ptr::null_mut();
    // SAFETY: the documented way to get the interface (fts5.html, section 7): `SELECT fts5(?)` with a pointer of type
    // "fts5_api_ptr" to the place where it is to be stored, which lives until the statement is finalized.
    let code = unsafe {
        let prepared = ffi::sqlite3_prepare_v2(
            connection.handle(),
            c"SELECT fts5(?1)".as_ptr(),
            -1,
            &raw mut statement,
            ptr::null_mut(),
        );
        if prepared == ffi::SQLITE_OK {
            ffi::sqlite3_bind_pointer(
                statement,
                1,
                (&raw mut api).cast(),
                c"fts5_api_ptr".as_ptr(),
                None,
            );
            ffi::sqlite3_step(statement);
        }
        ffi::sqlite3_finalize(statement)
    };
    check(code)?;
    if api.is_null() { Err(no_fts5()) } else { Ok(api) }
}

fn check(code: c_int) -> Result<(), PackError> {
    if code == ffi::SQLITE_OK {
        return Ok(());
    }
    Err(PackError::Database(rusqlite::Error::SqliteFailure(
        ffi::Error::new(code),
        None,
    )))
}

fn no_fts5() -> PackError {
    let reason = "this SQLite has no FTS5".to_owned();
    let error = ffi::Error::new(ffi::SQLITE_ERROR);
    PackError::Database(rusqlite::Error::SqliteFailure(error, Some(reason)))
}
