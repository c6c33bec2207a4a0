//! Sitemaps as sitemaps.org describes them: lists of pages, lists of lists, both perhaps gzipped, and plain text.

use std::io::{BufRead, BufReader, Read};

use model::Timestamp;
use quick_xml::Reader;
use quick_xml::events::Event;

/// Entries of one file at most, as the protocol has it.
pub const MAX_ENTRIES: usize = 50_000;
/// Bytes of one file at most after decompression, as the protocol has it: 50 MiB.
pub const MAX_SITEMAP_BYTES: u64 = 50 << 20;
/// A URL of an entry is at most this long.
const MAX_LOCATION_BYTES: usize = 2_048;

/// What one file holds.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sitemap {
    /// Pages (`urlset`, or the lines of a text sitemap).
    pub pages: Vec<Entry>,
    /// Further sitemaps (`sitemapindex`).
    pub sitemaps: Vec<Entry>,
    /// Why reading stopped before the end, where it did: what was read until then stands.
    pub cut: Option<Cut>,
}

/// One entry of a sitemap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The address, as written.
    pub location: String,
    /// When the site says that it was last changed.
    pub changed_at: Option<Timestamp>,
}

/// Why a file was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It has more than [`MAX_ENTRIES`].
    Entries,
    /// It is longer than [`MAX_SITEMAP_BYTES`].
    Bytes,
    /// It is damaged: broken XML or gzip.
    Damaged,
}

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Entries => write!(f, "it has more than {MAX_ENTRIES} entries"),
            Self::Bytes => write!(f, "it is longer than {MAX_SITEMAP_BYTES} bytes"),
            Self::Damaged => f.write_str("it is damaged"),
        }
    }
}

impl Sitemap {
    /// Reads a sitemap of any of the forms, told apart by their first bytes, in memory for its entries only.
    pub fn parse(bytes: &[u8]) -> Self {
        if bytes.starts_with(&[0x1f, 0x8b]) {
            return Self::read(BufReader::new(flate2::read::MultiGzDecoder::new(bytes)));
        }
        Self::read(bytes)
    }

    fn read(input: impl BufRead) -> Self {
        let mut input = Metered {
            inner: input,
            left: MAX_SITEMAP_BYTES,
            exceeded: false,
        };
        let is_xml = begins_as_xml(&mut input);
        let mut sitemap = Self::default();
        let ended = if is_xml {
            sitemap.read_xml(&mut input)
        } else {
            sitemap.read_lines(&mut input)
        };
        sitemap.cut = if input.exceeded {
            Some(Cut::Bytes)
        } else {
            ended.err()
        };
        sitemap
    }

    fn read_xml(&mut self, input: &mut impl BufRead) -> Result<(), Cut> {
        let mut reader = Reader::from_reader(input);
        reader.config_mut().trim_text(true);
        let mut open = Open::default();
        let mut buffer = Vec::new();
        loop {
            let event = reader.read_event_into(&mut buffer).map_err(|_| Cut::Damaged)?;
            match event {
                Event::Start(tag) => open.start(tag.local_name().as_ref()),
                Event::Text(text) => open.text(&text.xml_content(quick_xml::XmlVersion::Implicit1_0)),
                Event::CData(text) => open.text(&text.xml_content(quick_xml::XmlVersion::Implicit1_0)),
                Event::GeneralRef(name) => open.text(&entity(&name)),
                Event::End(tag) => self.end(tag.local_name().as_ref(), &mut open)?,
                Event::Eof => return Ok(()),
                _ => {}
            }
            buffer.clear();
        }
    }

    fn end(&mut self, tag: &str, open: &mut Open) -> Result<(), Cut> {
        open.field = None;
        match tag {
            "url" => self.push(open, |sitemap| &mut sitemap.pages),
            "sitemap" => self.push(open, |sitemap| &mut sitemap.sitemaps),
            _ => Ok(()),
        }
    }

    fn push(&mut self, open: &mut Open, list: fn(&mut Self) -> &mut Vec<Entry>) -> Result<(), Cut> {
        let open = std::mem::take(open);
        let location = open.location.trim();
        if location.is_empty() || location.len() > MAX_LOCATION_BYTES {
            return Ok(());
        }
        let entry = Entry {
            location: location.to_owned(),
            changed_at: instant(open.changed.trim()),
        };
        let list = list(self);
        if list.len() == MAX_ENTRIES {
            return Err(Cut::Entries);
        }
        list.push(entry);
        Ok(())
    }

    fn read_lines(&mut self, input: &mut impl BufRead) -> Result<(), Cut> {
        let mut line = Vec::new();
        loop {
            line.clear();
            if input.read_until(b'\n', &mut line).map_err(|_| Cut::Damaged)? == 0 {
                return Ok(());
            }
            let text = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&line).trim_ascii();
            let text = std::str::from_utf8(text).unwrap_or_default();
            if text.starts_with("http://") || text.starts_with("https://") {
                let mut open = Open {
                    location: text.to_owned(),
                    ..Open::default()
                };
                self.push(&mut open, |sitemap| &mut sitemap.pages)?;
            }
        }
    }
}

/// The entry that is being read.
#[derive(Default)]
struct Open {
    location: String,
    changed: String,
    field: Option<Field>,
}

#[derive(Clone, Copy)]
enum Field {
    Location,
    Changed,
}

impl Open {
    fn start(&mut self, tag: &str) {
        self.field = match tag {
            // An extension (`image:loc`) comes after the entry's own.
            "loc" if self.location.is_empty() => Some(Field::Location),
            "lastmod" => Some(Field::Changed),
            _ => None,
        };
    }

    fn text(&mut self, text: &str) {
        let field = match self.field {
            Some(Field::Location) => &mut self.location,
            Some(Field::Changed) => &mut self.changed,
            None => return,
        };
        if field.len() <= MAX_LOCATION_BYTES {
            field.push_str(text);
        }
    }
}

/// The five entities of XML and character references.
fn entity(name: &quick_xml::events::BytesRef<'_>) -> String {
    if let Ok(Some(character)) = name.resolve_char_ref() {
        return character.to_string();
    }
    quick_xml::escape::resolve_predefined_entity(name)
        .unwrap_or_default()
        .to_owned()
}

/// W3C date and time: a year, month or day, or an instant with its offset.
fn instant(text: &str) -> Option<Timestamp> {
    let instant = text.parse::<jiff::Timestamp>().ok().or_else(|| midnight(text))?;
    u64::try_from(instant.as_millisecond())
        .ok()
        .map(Timestamp::from_millis)
}

fn midnight(text: &str) -> Option<jiff::Timestamp> {
    let day = match text.len() {
        4 => format!("{text}-01-01"),
        7 => format!("{text}-01"),
        _ => text.get(..10)?.to_owned(),
    };
    let date: jiff::civil::Date = day.parse().ok()?;
    date.to_zoned(jiff::tz::TimeZone::UTC)
        .ok()
        .map(|zoned| zoned.timestamp())
}

fn begins_as_xml(input: &mut impl BufRead) -> bool {
    let head = input.fill_buf().unwrap_or_default();
    let head = head
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(head)
        .trim_ascii_start();
    head.starts_with(b"<")
}

/// A reader that ends after so many bytes and remembers that there was more.
struct Metered<R> {
    inner: R,
    left: u64,
    exceeded: bool,
}

impl<R: BufRead> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(buffer.len());
        buffer[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Metered<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        let available = self.inner.fill_buf()?;
        self.exceeded |= self.left == 0 && !available.is_empty();
        let length = available
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        Ok(&available[..length])
    }

    fn consume(&mut self, amount: usize) {
        self.left = self.left.saturating_sub(amount as u64);
        self.inner.consume(amount);
    }
}
