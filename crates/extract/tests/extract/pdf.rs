//! PDFs through a real child process, within real limits.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use extract::{Extract, Extracted, PdfError, PdfLimits, PdfReader};
use pdf_extract::{Dictionary, Document, Object, Stream, dictionary};

use crate::rendering::check_rendering;

const LIMITS: PdfLimits = PdfLimits {
    timeout_ms: 20_000,
    memory_bytes: 1 << 30,
    output_bytes: 1 << 20,
};

/// The example `pdf_child`, which cargo builds beside the tests.
fn child() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test
        .parent()
        .and_then(|deps| deps.parent())
        .unwrap()
        .join("examples/pdf_child");
    assert!(
        program.exists(),
        "run `cargo test -p extract` without `--test`, so that {program:?} is built"
    );
    program
}

async fn read_within(limits: PdfLimits, bytes: &[u8]) -> Result<Extract, PdfError> {
    PdfReader::new(child(), Vec::new(), limits).read(bytes).await
}

/// A PDF of these content streams.
fn pdf(contents: Vec<Stream>, info: Dictionary) -> Vec<u8> {
    let mut document = Document::with_version("1.5");
    let pages_id = document.new_object_id();
    let font = dictionary! { "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica" };
    let font = document.add_object(font);
    let resources = document.add_object(dictionary! { "Font" => dictionary! { "F1" => font } });
    let mut kids: Vec<Object> = Vec::new();
    for content in contents {
        let content = document.add_object(content);
        kids.push(
            document
                .add_object(dictionary! { "Type" => "Page", "Parent" => pages_id, "Contents" => content })
                .into(),
        );
    }
    let pages = dictionary! {
        "Type" => "Pages", "Count" => kids.len() as i64, "Kids" => kids, "Resources" => resources,
        "MediaBox" => vec![0.into(), 0.into(), 595.into(), 842.into()],
    };
    document.objects.insert(pages_id, Object::Dictionary(pages));
    let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => pages_id });
    document.trailer.set("Root", catalog);
    let info = document.add_object(info);
    document.trailer.set("Info", info);
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    bytes
}

/// A page of print, 14 points between the lines.
fn print(lines: &[&str]) -> Stream {
    let mut content = "BT /F1 12 Tf 14 TL 50 800 Td".to_owned();
    for line in lines {
        content.push_str(&if line.is_empty() {
            " T* T*".to_owned()
        } else {
            format!(" ({line}) Tj T*")
        });
    }
    Stream::new(Dictionary::new(), format!("{content} ET").into_bytes())
}

fn two_pages() -> Vec<u8> {
    pdf(
        vec![
            print(&["The first page", "", "It has a para-", "graph of lines."]),
            print(&["The second page"]),
        ],
        dictionary! {
            "Title" => Object::string_literal("A  Title"), "ModDate" => Object::string_literal("D:19700102010000+01'00'"),
        },
    )
}

#[track_caller]
fn check(extract: Extract, expected: &str) {
    check_rendering(
        &Extracted {
            extract,
            ..Extracted::default()
        },
        expected,
    );
}

#[tokio::test]
async fn a_pdf_is_read_by_page() {
    let extract = read_within(LIMITS, &two_pages()).await.unwrap();
    assert_eq!(extract.content_type, "application/pdf");
    check(
        extract,
        "title: A Title
         language: en
         modified: 86400000
         [] p. 1
         The first page
         It has a paragraph of lines.
         [] p. 2
         The second page",
    );
}

#[tokio::test]
async fn a_pdf_without_title_has_its_first_line() {
    let extract = read_within(
        LIMITS,
        &pdf(vec![print(&["First line", "", "More"])], Dictionary::new()),
    )
    .await
    .unwrap();
    assert_eq!(extract.title, "First line");
}

#[tokio::test]
async fn the_operators_that_move_to_the_next_line_show_their_text() {
    let content = b"BT /F1 12 Tf 14 TL 50 800 Td (One) Tj (two) ' 0 0 (three) \" ET".to_vec();
    let bytes = pdf(vec![Stream::new(Dictionary::new(), content)], Dictionary::new());
    assert_eq!(
        read_within(LIMITS, &bytes).await.unwrap().passages[0].text,
        "One two three"
    );
}

#[tokio::test]
async fn one_broken_page_does_not_hide_the_others() {
    let missing_font = Stream::new(Dictionary::new(), b"BT /F9 12 Tf (x) Tj ET".to_vec());
    let extract = read_within(
        LIMITS,
        &pdf(vec![missing_font, print(&["Good"])], Dictionary::new()),
    )
    .await
    .unwrap();
    check(extract, "title: Good\ntruncated: yes\n[] p. 2\nGood");
}

#[tokio::test]
async fn broken_pdfs_are_refused_with_a_reason() {
    let whole = two_pages();
    for bytes in [
        &b""[..],
        b"no pdf at all",
        b"%PDF-1.7\n",
        &whole[..whole.len() / 3],
    ] {
        let error = read_within(LIMITS, bytes).await.unwrap_err();
        assert!(
            matches!(&error, PdfError::Broken { reason } if !reason.is_empty()),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_pdf_that_wants_too_much_memory_is_refused() {
    let mut bomb = Stream::new(Dictionary::new(), vec![b' '; 200 << 20]);
    bomb.compress().unwrap();
    let bytes = pdf(vec![bomb], Dictionary::new());
    assert!(bytes.len() < 1 << 20);
    let limits = PdfLimits {
        memory_bytes: 150 << 20,
        ..LIMITS
    };
    let error = read_within(limits, &bytes).await.unwrap_err();
    assert!(
        matches!(error, PdfError::Memory { memory_bytes } if memory_bytes == 150 << 20),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_pdf_with_too_much_text_is_refused() {
    let limits = PdfLimits {
        output_bytes: 50,
        ..LIMITS
    };
    let error = read_within(limits, &two_pages()).await.unwrap_err();
    assert!(
        matches!(error, PdfError::Output { output_bytes: 50 }),
        "{error:?}"
    );
}

async fn run(script: &str, timeout_ms: u64) -> PdfError {
    let args = ["-c", script].map(OsString::from).to_vec();
    let limits = PdfLimits { timeout_ms, ..LIMITS };
    PdfReader::new("/bin/sh".into(), args, limits)
        .read(&vec![b'x'; 1 << 20])
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_child_is_killed_when_its_time_is_up() {
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let start = Instant::now();
    let error = run(
        &format!("echo $$ > {}; while :; do :; done", pid_file.display()),
        500,
    )
    .await;
    assert!(
        matches!(error, PdfError::Timeout { timeout_ms: 500 }),
        "{error:?}"
    );
    assert!(start.elapsed() < Duration::from_secs(10));
    let pid = std::fs::read_to_string(pid_file).unwrap();
    assert!(
        !PathBuf::from(format!("/proc/{}", pid.trim())).exists(),
        "{pid} lives"
    );
}

#[tokio::test]
async fn a_child_that_dies_says_how() {
    let error = run("echo secret >&2; kill -SEGV $$", 5000).await;
    assert!(
        matches!(&error, PdfError::Crashed { status } if status.contains("11")),
        "{error:?}"
    );
    let error = run("kill -XCPU $$", 5000).await;
    assert!(matches!(error, PdfError::Timeout { .. }), "{error:?}");
    let error = run("exit 3", 5000).await;
    assert!(
        matches!(&error, PdfError::Crashed { status } if status.contains('3')),
        "{error:?}"
    );
    let missing = PdfReader::new("/nowhere/haul".into(), Vec::new(), LIMITS)
        .read(b"")
        .await
        .unwrap_err();
    assert!(matches!(missing, PdfError::Io(_)), "{missing:?}");
}
