//! Rows as comma-separated values, as Ruby's library writes them (RFC 4180, but with line feeds).

/// One field. What is missing has no quotes, what is empty has.
pub(crate) fn field(text: Option<&str>, out: &mut Vec<u8>) {
    let Some(text) = text else { return };
    let is_quoted = text.is_empty()
        || text
            .bytes()
            .any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'));
    if !is_quoted {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// A row of names.
pub(crate) fn header<'a>(names: impl Iterator<Item = &'a str>, out: &mut Vec<u8>) {
    for (at, name) in names.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        field(Some(name), out);
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_ruby_quotes() {
        for (text, expected) in [
            ("a", "a"),
            ("", "\"\""),
            (" a ", " a "),
            ("\ta", "\ta"),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("a\nb", "\"a\nb\""),
            ("a\rb", "\"a\rb\""),
            ("a;b=é", "a;b=é"),
        ] {
            let mut out = Vec::new();
            field(Some(text), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
