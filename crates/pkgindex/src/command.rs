use std::fmt;

use thiserror::Error;

use crate::name::{MAX_NAME_BYTES, is_name_byte};

/// What a line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// Keep the package with these dependencies.
    Index,
    /// Forget the package.
    Remove,
    /// Is the package indexed?
    Query,
}

impl Verb {
    /// As it stands in a line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Index => "INDEX",
            Self::Remove => "REMOVE",
            Self::Query => "QUERY",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One line of the protocol, `verb|package|dependencies`, without its newline. It borrows the line; every name in it is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// What is asked.
    pub verb: Verb,
    /// Of which package.
    pub package: &'a str,
    dependencies: &'a str,
}

/// What the server says to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Done, or yes.
    Ok,
    /// The state of the index does not allow it, or no.
    Fail,
    /// The line is no command.
    Error,
}

impl Answer {
    /// The word, without its newline.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Fail => "FAIL",
            Self::Error => "ERROR",
        }
    }

    /// The line as it is sent.
    pub fn line(self) -> &'static [u8] {
        match self {
            Self::Ok => b"OK\n",
            Self::Fail => b"FAIL\n",
            Self::Error => b"ERROR\n",
        }
    }
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Not two pipes.
    #[error("a command is verb|package|dependencies, with exactly two pipes")]
    Pipes,
    /// Not one of the three verbs, in capitals.
    #[error("the verb is not INDEX, REMOVE or QUERY")]
    Verb,
    /// The package's name is empty, too long or has a character that names may not have.
    #[error(
        "the package has no valid name: 1 to {MAX_NAME_BYTES} bytes, each one of a-z A-Z 0-9 + - _ . @ / :"
    )]
    Package,
    /// One of the dependencies has no valid name, or a comma has nothing on one side.
    #[error("the dependencies are not valid names with single commas between them")]
    Dependencies,
}

impl<'a> Command<'a> {
    /// Reads a line, which comes without its newline.
    pub fn parse(line: &'a [u8]) -> Result<Self, Malformed> {
        let mut parts = line.split(|&byte| byte == b'|');
        let (Some(verb), Some(package), Some(dependencies), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Malformed::Pipes);
        };
        let verb = match verb {
            b"INDEX" => Verb::Index,
            b"REMOVE" => Verb::Remove,
            b"QUERY" => Verb::Query,
            _ => return Err(Malformed::Verb),
        };
        if package.is_empty()
            || package.len() > MAX_NAME_BYTES
            || !package.iter().all(|&byte| is_name_byte(byte))
        {
            return Err(Malformed::Package);
        }
        if !are_names(dependencies) {
            return Err(Malformed::Dependencies);
        }
        Ok(Self {
            verb,
            package: str::from_utf8(package).map_err(|_| Malformed::Package)?,
            dependencies: str::from_utf8(dependencies).map_err(|_| Malformed::Dependencies)?,
        })
    }

    /// The names between the commas, as often as they stand there.
    pub fn dependencies(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        // An empty text has no names; `split` alone would give one empty name.
        self.dependencies.split(',').filter(|name| !name.is_empty())
    }

    /// The same names, with the commas.
    pub fn dependency_list(&self) -> &'a str {
        self.dependencies
    }

    /// Appends the line, with its newline. What stands behind the second pipe of a REMOVE or QUERY means nothing and is left out.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let dependencies = match self.verb {
            Verb::Index => self.dependencies,
            Verb::Remove | Verb::Query => "",
        };
        write_line(out, self.verb, self.package, std::iter::once(dependencies));
    }
}

/// Appends `verb|package|dependencies\n`.
pub(crate) fn write_line<'n>(
    out: &mut Vec<u8>,
    verb: Verb,
    package: &str,
    dependencies: impl Iterator<Item = &'n str>,
) {
    out.extend_from_slice(verb.as_str().as_bytes());
    out.push(b'|');
    out.extend_from_slice(package.as_bytes());
    out.push(b'|');
    for (place, name) in dependencies.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(name.as_bytes());
    }
    out.push(b'\n');
}

/// The commands of a text of lines, each ended by a newline, as [`Command::write_to`] writes them.
pub fn commands(lines: &[u8]) -> impl Iterator<Item = Result<Command<'_>, Malformed>> {
    lines
        .split_inclusive(|&byte| byte == b'\n')
        .map(|line| Command::parse(line.strip_suffix(b"\n").unwrap_or(line)))
}

fn are_names(list: &[u8]) -> bool {
    let mut length = 0;
    for &byte in list {
        if byte == b',' {
            if length == 0 {
                return false;
            }
            length = 0;
        } else if is_name_byte(byte) && length < MAX_NAME_BYTES {
            length += 1;
        } else {
            return false;
        }
    }
    list.is_empty() || length > 0
}
