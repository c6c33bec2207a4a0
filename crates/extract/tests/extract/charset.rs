//! Bytes in any encoding in, the same text out.

use crate::rendering::read;
use encoding_rs::{EUC_JP, Encoding, GBK, SHIFT_JIS, UTF_16LE, WINDOWS_1251, WINDOWS_1252};

#[track_caller]
fn check(content_type: &str, bytes: &[u8], expected: &str) {
    let extracted = read(Some(content_type), bytes);
    assert_eq!(
        extracted
            .extract
            .passages
            .first()
            .map(|passage| passage.text.as_str()),
        Some(expected)
    );
}

fn encode(encoding: &'static Encoding, text: &str) -> Vec<u8> {
    encoding.encode(text).0.into_owned()
}

#[test]
fn the_header_names_the_charset() {
    check(
        "text/html; charset=windows-1252",
        &encode(WINDOWS_1252, "<p>Café “x”"),
        "Café “x”",
    );
    check(
        "text/html;charset=\"Shift_JIS\"",
        &encode(SHIFT_JIS, "<p>日本語"),
        "日本語",
    );
    check("text/html; charset=iso-8859-1", b"<p>\x93x\x94", "“x”");
    check("text/plain; charset=gbk", &encode(GBK, "中文"), "中文");
}

#[test]
fn the_page_names_its_charset() {
    let shift_jis = |head: &str| encode(SHIFT_JIS, &format!("{head}<p>日本語"));
    check("text/html", &shift_jis("<meta charset=shift_jis>"), "日本語");
    check(
        "text/html",
        &shift_jis("<META http-equiv='Content-Type' content='text/html; CHARSET = Shift_JIS'>"),
        "日本語",
    );
    check(
        "text/html",
        &shift_jis("<!-- <meta charset=utf-8> --><meta charset='shift_jis'>"),
        "日本語",
    );
    check(
        "text/html",
        &shift_jis("<?xml version='1.0' encoding='shift_jis'?>"),
        "日本語",
    );
}

#[test]
fn the_header_beats_the_page_and_the_mark_beats_both() {
    check(
        "text/html; charset=utf-8",
        "<meta charset=shift_jis><p>日本語".as_bytes(),
        "日本語",
    );
    check(
        "text/html; charset=shift_jis",
        "\u{feff}<p>日本語".as_bytes(),
        "日本語",
    );
    let mut utf_16 = vec![0xFF, 0xFE];
    utf_16.extend("<p>日本語".encode_utf16().flat_map(u16::to_le_bytes));
    check("text/html; charset=utf-8", &utf_16, "日本語");
    assert_eq!(UTF_16LE.name(), "UTF-16LE");
}

#[test]
fn what_is_declared_wrongly_is_read_as_far_as_it_goes() {
    check(
        "text/html; charset=utf-8",
        b"<p>caf\xE9 au lait",
        "caf\u{fffd} au lait",
    );
    check("text/html; charset=klingon", "<p>日本語".as_bytes(), "日本語");
    check("text/html", "<meta charset=utf-16><p>日本語".as_bytes(), "日本語");
}

#[test]
fn an_undeclared_charset_is_guessed() {
    check("text/html", "<p>日本語".as_bytes(), "日本語");
    let japanese = "これは日本語で書かれた文章です。文字コードは宣言されていません。";
    check("text/html", &encode(EUC_JP, japanese), japanese);
    let russian = "Это предложение написано на русском языке без объявления кодировки.";
    check("text/html", &encode(WINDOWS_1251, russian), russian);
}
