//! Secrets do not reach a log, in the forms in which programs print them by accident.

use runlog::{LogLimits, Stream};

use crate::desk::{Desk, all, at, texts, written};

const SECRET: &str = "hunter2 & käse/+";

#[track_caller]
fn check(program: &str, secrets: &[&str], expected: &str) {
    let bytes: Vec<&[u8]> = program.as_bytes().chunks(1).collect();
    for pieces in [&[program.as_bytes()], bytes.as_slice()] {
        let (lines, _) = written(pieces, LogLimits::default(), secrets);
        assert_eq!(texts(&lines).join("\n"), expected);
    }
}

#[test]
fn plain() {
    check("key=hunter2 & käse/+;", &[SECRET], "key=****;");
    check("hunter2 & kase/+", &[SECRET], "hunter2 & kase/+");
    check("hunter2 & käse/+hunter2 & käse/+", &[SECRET], "********");
}

#[test]
fn percent_encoded() {
    // JavaScript, Ruby, PHP; Python; forms; lower case.
    check("k=hunter2%20%26%20k%C3%A4se%2F%2B", &[SECRET], "k=****");
    check("k=hunter2%20%26%20k%C3%A4se/%2B", &[SECRET], "k=****");
    check("k=hunter2+%26+k%C3%A4se%2F%2B", &[SECRET], "k=****");
    check("k=hunter2%20%26%20k%c3%a4se%2f%2b", &[SECRET], "k=****");
    check("it's%20(ok)!*", &["it's (ok)!*"], "****");
}

#[test]
fn base64_wherever_the_secret_begins_in_it() {
    use base64::Engine;
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
    for before in ["", "u", "us", "use", "user:"] {
        for after in ["", "x", "xy", "xyz"] {
            let text = format!("{before}{SECRET}{after}");
            for encoded in [BASE64_STANDARD.encode(&text), BASE64_URL_SAFE.encode(&text)] {
                let (lines, _) = written(&[encoded.as_bytes()], LogLimits::default(), &[SECRET]);
                let shown = &lines[0].text;
                assert!(shown.contains("****"), "{encoded} is shown as {shown}");
                // Three bytes are four characters.
                assert!(
                    shown.len() <= (before.len() + after.len() + 3) / 3 * 4 + 8,
                    "{encoded} is shown as {shown}"
                );
            }
        }
    }
}

#[test]
fn quoted() {
    check(
        r#"{"key":"pass\"word\\1"}"#,
        &["pass\"word\\1"],
        r#"{"key":"****"}"#,
    );
}

#[test]
fn a_secret_of_several_lines_is_masked_line_by_line() {
    let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n-----END KEY-----\n";
    check(
        "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n-----END KEY-----",
        &[key],
        "****\n****\n****",
    );
    let quoted = r"-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n-----END KEY-----\n";
    check(quoted, &[key], "****");
}

#[test]
fn secrets_that_overlap_leave_nothing() {
    check("abcdefghi", &["abcdef", "defghi"], "****");
    check("abcdefghi", &["abcdefgh", "cdefgh"], "****i");
}

#[test]
fn colours_inside_a_secret_do_not_hide_it() {
    check("\x1b[1mhun\x1b[0mter2-word", &["hunter2-word"], "****");
}

#[test]
fn hexadecimal() {
    check("k=746f6b656e2d31;", &["token-1"], "k=****;");
    check("k=746F6B656E2D31;", &["token-1"], "k=****;");
}

#[test]
fn short_secrets_are_masked_as_words() {
    check(
        "pin 1234, not 12345 or x1234",
        &["1234"],
        "pin ****, not 12345 or x1234",
    );
    check("1234", &["1234"], "****");
    check("MTIzNA== 31323334", &["1234"], "****== ****");
    check("a yes story", &["yes", "a", ""], "a yes story");
}

#[test]
fn a_secret_at_the_cut_of_a_long_line_is_not_shown_in_part() {
    let limits = LogLimits {
        max_line_bytes: 20,
        ..LogLimits::default()
    };
    let secret = "correct horse";
    for before in 0..40 {
        for colours in 0..3 {
            let line = format!(
                "{}{}{secret} battery staple",
                "\x1b[0m".repeat(colours * 4),
                ".".repeat(before)
            );
            let bytes: Vec<&[u8]> = line.as_bytes().chunks(1).collect();
            for pieces in [&[line.as_bytes()], bytes.as_slice()] {
                let (lines, _) = written(pieces, limits, &[secret]);
                assert!(
                    !lines[0].text.contains("co"),
                    "{before} {colours}: {}",
                    lines[0].text
                );
            }
        }
    }
}

#[test]
fn what_haul_says_is_masked_too() {
    let desk = Desk::new();
    let writer = desk
        .logs
        .begin("run", LogLimits::default(), &["hunter2-word"])
        .unwrap();
    let said = "git clone https://hunter2-word@git.test failed";
    writer.say(Stream::InternalErr, said, at(0)).unwrap();
    assert_eq!(
        texts(&all(&writer.log())),
        ["git clone https://****@git.test failed"]
    );
}
