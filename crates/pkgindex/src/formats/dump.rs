//! A dump is a header, the INDEX lines of all packages by name, and a last line with a checksum of everything above it:
//!
//! ```text
//! pkgindex dump 1 revision 1 packages 4
//! INDEX|git|libc6,zlib1g
//! INDEX|libc6|libgcc-s1
//! INDEX|libgcc-s1|libc6
//! INDEX|zlib1g|libc6
//! end c86109956332d4fb
//! ```
//!
//! The checksum is CRC-64/NVME in sixteen hexadecimal digits.

use std::io::{self, BufRead, BufWriter, IntoInnerError, Write};

use crc_fast::{CrcAlgorithm, Digest};

use crate::change::Revision;
use crate::command::{Command, Verb};
use crate::formats::input::{Lines, without_newline};
use crate::formats::{Fault, FormatError, MAX_DUMP_LINE_BYTES, MAX_KEPT_BYTES, Read, Report};
use crate::snapshot::Snapshot;

const CHECKSUM: CrcAlgorithm = CrcAlgorithm::Crc64Nvme;

/// Writes a dump of all packages. It needs no memory beyond a small buffer.
pub fn write_dump(snapshot: &Snapshot, out: impl Write) -> io::Result<()> {
    let mut body = BufWriter::new(Summed {
        out,
        sum: Digest::new(CHECKSUM),
    });
    let (revision, packages) = (snapshot.revision(), snapshot.len());
    writeln!(body, "pkgindex dump 1 revision {revision} packages {packages}")?;
    for package in snapshot.packages() {
        write!(body, "INDEX|{}|", snapshot.name(package))?;
        for (at, &dependency) in snapshot.dependencies(package).iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(body, "{comma}{}", snapshot.name(dependency))?;
        }
        body.write_all(b"\n")?;
    }
    let Summed { mut out, sum } = body.into_inner().map_err(IntoInnerError::into_error)?;
    out.write_all(trailer(&sum).as_bytes())?;
    out.flush()
}

/// Reads a dump and makes sure that nothing of it is missing or changed. Its lines may have [`MAX_DUMP_LINE_BYTES`].
pub fn read_dump(input: impl BufRead) -> Result<Read, FormatError> {
    let mut lines = Lines::new(input)?;
    let mut sum = Digest::new(CHECKSUM);
    let (revision, packages) = read_header(&mut lines, &mut sum)?;
    lines.allow(MAX_DUMP_LINE_BYTES);
    let mut body = Body::default();
    loop {
        let number = lines.number() + 1;
        let line = lines.next()?.ok_or(Fault::Cut).map_err(Fault::at(number))?;
        if line.starts_with(b"end ") {
            let is_whole = line == trailer(&sum).as_bytes() && body.packages as u64 == packages;
            if !is_whole {
                return Err(Fault::at(number)(Fault::Checksum));
            }
            break;
        }
        sum.update(line);
        body.take(line).map_err(Fault::at(number))?;
    }
    let number = lines.number() + 1;
    if lines.next()?.is_some() {
        return Err(Fault::at(number)(Fault::Trailing));
    }
    Ok(Read {
        lines: body.lines.into(),
        report: Report {
            revision: Some(revision),
            packages: body.packages,
            edges: body.edges,
            ..Report::default()
        },
    })
}

fn trailer(sum: &Digest) -> String {
    format!("end {:016x}\n", sum.finalize())
}

fn read_header(lines: &mut Lines, sum: &mut Digest) -> Result<(Revision, u64), FormatError> {
    let line = lines.next()?.unwrap_or_default();
    sum.update(line);
    parse_header(line).ok_or_else(|| Fault::at(1)(Fault::Header))
}

fn parse_header(line: &[u8]) -> Option<(Revision, u64)> {
    let header = str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let numbers = header.strip_prefix("pkgindex dump 1 revision ")?;
    let (revision, packages) = numbers.split_once(" packages ")?;
    Some((Revision(revision.parse().ok()?), packages.parse().ok()?))
}

/// The INDEX lines that were read.
#[derive(Default)]
struct Body {
    lines: Vec<u8>,
    /// Where the name of the last package stands in `lines`.
    last_name: std::ops::Range<usize>,
    packages: usize,
    edges: usize,
}

impl Body {
    fn take(&mut self, line: &[u8]) -> Result<(), Fault> {
        if !line.ends_with(b"\n") {
            return Err(Fault::Cut);
        }
        let command = Command::parse(without_newline(line))?;
        if command.verb != Verb::Index {
            return Err(Fault::Verb);
        }
        let name = command.package.as_bytes();
        if self.packages > 0 && name <= &self.lines[self.last_name.clone()] {
            return Err(Fault::Order);
        }
        if self.lines.len() + line.len() > MAX_KEPT_BYTES {
            return Err(Fault::TooLarge);
        }
        let start = self.lines.len() + "INDEX|".len();
        self.last_name = start..start + name.len();
        self.lines.extend_from_slice(line);
        self.packages += 1;
        self.edges += command.dependencies().count();
        Ok(())
    }
}

/// Sums up what goes through it.
struct Summed<W> {
    out: W,
    sum: Digest,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sum.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
