use std::any::Any;
use std::io::{self, BufRead, Write};
use std::panic::{self, AssertUnwindSafe};

use encoding_rs::{UTF_8, UTF_16BE, WINDOWS_1252};
use model::Timestamp;
use pdf_extract::{Document, Error, Object, ObjectId, OutputError, PlainTextOutput, output_doc_page};
use rlimit::Resource;

use super::operators::spell_out;
use super::{Answer, Orders};
use crate::passages::{Passages, Section, fold, shorten};
use crate::{Extract, MAX_TITLE_BYTES, Passage, dates, language};

/// A first line up to this long, in bytes, is the title of a PDF that does not name one.
const MAX_TITLE_LINE_BYTES: usize = 200;

/// Why the child could not even try; its parent sees a process without an answer.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Standard input or output failed, or a limit could not be set.
    #[error("the pdf process could not limit itself or talk to its parent")]
    Io(#[from] io::Error),
    /// The first line of the input was not what [`PdfReader`](crate::PdfReader) sends.
    #[error("the pdf process is for haul's own use: its input must begin with limits")]
    Orders(#[source] serde_json::Error),
}

/// The whole life of the child of [`PdfReader`](crate::PdfReader): limits this process, reads one PDF from `input`, and
/// writes what it found to `output` as JSON.
///
/// Memory and processor time of the *calling process* stay limited and its panics stay silent from then on, so call it
/// where nothing else happens before or after.
///
/// # Errors
///
/// When there is no PDF to try. A PDF that cannot be read is an answer.
pub fn serve_pdf(mut input: impl BufRead, mut output: impl Write) -> Result<(), ServeError> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    limit_self(&serde_json::from_str(&line).map_err(ServeError::Orders)?)?;
    panic::set_hook(Box::new(|_| {}));

    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let answer =
        panic::catch_unwind(|| read(&bytes)).unwrap_or_else(|panic| Answer::Broken(panic_message(&*panic)));
    serde_json::to_writer(&mut output, &answer).map_err(io::Error::from)?;
    Ok(output.flush()?)
}

fn limit_self(orders: &Orders) -> io::Result<()> {
    limit(Resource::AS, orders.memory_bytes, orders.memory_bytes)?;
    limit(
        Resource::CPU,
        orders.cpu_seconds,
        orders.cpu_seconds.saturating_add(1),
    )?;
    limit(Resource::CORE, 0, 0)
}

/// Sets a limit, or leaves it at what it was where that is lower.
fn limit(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let (_, allowed) = resource.get()?;
    resource.set(soft.min(allowed), hard.min(allowed))
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    shorten(&fold(text.unwrap_or("the parser gave up")), 300).to_owned()
}

fn read(bytes: &[u8]) -> Answer {
    let mut document = match Document::load_mem(bytes) {
        Ok(document) => document,
        Err(error) => return refusal(&error),
    };
    let decrypted = if document.is_encrypted() {
        document.decrypt("")
    } else {
        Ok(())
    };
    if let Err(error) = decrypted {
        return refusal(&error);
    }
    match read_pages(&mut document) {
        (passages, Some(reason)) if passages.is_empty() => Answer::Broken(reason),
        (passages, reason) => Answer::Extract(describe(&document, passages, reason.is_some())),
    }
}

fn refusal(error: &Error) -> Answer {
    match error {
        Error::Decryption(_) | Error::InvalidPassword | Error::UnsupportedSecurityHandler(_) => {
            Answer::Encrypted
        }
        error => Answer::Broken(shorten(&fold(&error.to_string()), 300).to_owned()),
    }
}

/// The text of every page that can be read, and why the last of the others cannot, or did not fit.
fn read_pages(document: &mut Document) -> (Vec<Passage>, Option<String>) {
    let mut passages = Passages::default();
    let mut failure = None;
    for (page, id) in document.get_pages() {
        if passages.is_full() {
            break;
        }
        match read_page(document, page, id) {
            Ok(text) => passages.add(&Section {
                pdf_page: Some(page),
                text: reflow(&text).into(),
                ..Section::default()
            }),
            Err(reason) => failure = Some(format!("page {page}: {reason}")),
        }
    }
    let (passages, is_cut_off) = passages.finish();
    (
        passages,
        failure.or_else(|| is_cut_off.then(|| "it is too long".to_owned())),
    )
}

fn read_page(document: &mut Document, page: u32, id: ObjectId) -> Result<String, String> {
    let print = || {
        spell_out(document, id)?;
        let mut text = String::new();
        output_doc_page(document, &mut PlainTextOutput::new(&mut text), page).map(|()| text)
    };
    // A panic may leave this page half done, but none of the others.
    match panic::catch_unwind(AssertUnwindSafe(print)) {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(OutputError::PdfError(error))) => Err(error.to_string()),
        Ok(Err(_)) => Err("its text cannot be written".to_owned()),
        Err(panic) => Err(panic_message(&*panic)),
    }
}

/// Makes lines of print into paragraphs: an empty line separates them. A word that is divided at the end of a line is
/// put together.
fn reflow(text: &str) -> String {
    let mut flowing = String::with_capacity(text.len());
    let mut separator = "";
    for line in text.lines().map(fold) {
        if line.is_empty() {
            separator = "\n";
            continue;
        }
        let continues_word = separator == " " && is_divided(&flowing) && line.starts_with(char::is_lowercase);
        if continues_word {
            flowing.pop();
        } else if !flowing.is_empty() {
            flowing.push_str(separator);
        }
        flowing.push_str(&line);
        separator = " ";
    }
    flowing
}

fn is_divided(text: &str) -> bool {
    text.strip_suffix('-')
        .is_some_and(|word| word.ends_with(char::is_lowercase))
}

fn describe(document: &Document, passages: Vec<Passage>, truncated: bool) -> Extract {
    let first_line = passages
        .first()
        .and_then(|passage| passage.text.lines().next())
        .unwrap_or_default();
    let first_line = if first_line.len() <= MAX_TITLE_LINE_BYTES {
        first_line
    } else {
        ""
    };
    let declared = info(document, b"Title")
        .map(|title| fold(&title))
        .filter(|title| !title.is_empty());
    let title = declared.unwrap_or_else(|| first_line.to_owned());
    Extract {
        title: shorten(&title, MAX_TITLE_BYTES).to_owned(),
        description: String::new(),
        language: declared_language(document).or_else(|| language::detect(&passages)),
        content_type: "application/pdf".to_owned(),
        published_at: info(document, b"CreationDate").and_then(|date| pdf_date(&date)),
        modified_at: info(document, b"ModDate").and_then(|date| pdf_date(&date)),
        passages,
        truncated,
    }
}

/// An entry of the document information dictionary (ISO 32000-1, 14.3.3).
fn info(document: &Document, key: &[u8]) -> Option<String> {
    let (_, info) = document.dereference(document.trailer.get(b"Info").ok()?).ok()?;
    let (_, value) = document.dereference(info.as_dict().ok()?.get(key).ok()?).ok()?;
    text_string(value)
}

fn declared_language(document: &Document) -> Option<String> {
    let value = document.catalog().ok()?.get(b"Lang").ok()?;
    language::declared(&text_string(value)?)
}

/// A text string (ISO 32000-1, 7.9.2.2). PDFDocEncoding is Windows-1252 but for a few rare signs.
fn text_string(value: &Object) -> Option<String> {
    let bytes = value.as_str().ok()?;
    let (encoding, bytes) = if let Some(rest) = bytes.strip_prefix(b"\xFE\xFF") {
        (UTF_16BE, rest)
    } else if let Some(rest) = bytes.strip_prefix(b"\xEF\xBB\xBF") {
        (UTF_8, rest)
    } else {
        (WINDOWS_1252, bytes)
    };
    Some(encoding.decode_without_bom_handling(bytes).0.into_owned())
}

/// `D:20240131120000+01'00'` (ISO 32000-1, 7.9.4); what is missing at the end counts as its least value.
fn pdf_date(date: &str) -> Option<Timestamp> {
    let date = date.trim().strip_prefix("D:")?;
    let digits = date.bytes().take_while(u8::is_ascii_digit).count().min(14);
    let (digits, zone) = date.split_at(digits);
    let part = |range| digits.get(range);
    let (year, month, day) = (
        part(0..4)?,
        part(4..6).unwrap_or("01"),
        part(6..8).unwrap_or("01"),
    );
    let (hour, minute) = (part(8..10).unwrap_or("00"), part(10..12).unwrap_or("00"));
    let second = part(12..14).unwrap_or("00");
    let offset = zone_offset(zone).unwrap_or_else(|| "Z".to_owned());
    dates::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}{offset}"))
}

fn zone_offset(zone: &str) -> Option<String> {
    let (sign, hours, minutes) = (zone.get(..1)?, zone.get(1..3)?, zone.get(4..6).unwrap_or("00"));
    matches!(sign, "+" | "-").then(|| format!("{sign}{hours}:{minutes}"))
}
