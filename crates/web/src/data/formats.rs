//! Rows in our own formats.

use dataset::{Column, Row, Value};

use crate::data::stream::Format;
use crate::data::{csv as fields, json as values, ruby};

/// `{"columns": [...], "rows": [[...], ...], "truncated": false}`: columns of one name stay apart.
#[derive(Default)]
pub(crate) struct Arrays {
    rows: u64,
}

impl Format for Arrays {
    fn begin(&mut self, columns: &[Column], out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"columns\":[");
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            values::string(&column.name, out);
        }
        out.extend_from_slice(b"],\"rows\":[");
    }

    fn row(&mut self, row: &Row<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.rows == 0 { b"\n[" } else { b",\n[" });
        self.rows += 1;
        for (at, value) in row.values().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            values::value(&value, out);
        }
        out.push(b']');
    }

    fn end(&mut self, is_truncated: bool, out: &mut Vec<u8>) {
        let end = format!("\n],\"truncated\":{is_truncated}}}\n");
        out.extend_from_slice(end.as_bytes());
    }
}

/// An object on each line; a last one, `{"$truncated":true}`, where there was more.
#[derive(Default)]
pub(crate) struct ObjectLines {
    /// What comes before each value: `{"a":`, `,"b":`.
    members: Vec<Vec<u8>>,
}

impl ObjectLines {
    pub(crate) fn new(columns: &[Column]) -> Self {
        let members = columns.iter().enumerate().map(|(at, column)| {
            let mut name = vec![if at == 0 { b'{' } else { b',' }];
            values::string(&column.name, &mut name);
            name.push(b':');
            name
        });
        Self {
            members: members.collect(),
        }
    }

    pub(crate) fn object<'a>(&self, row: impl Iterator<Item = Value<'a>>, out: &mut Vec<u8>) {
        for (name, value) in self.members.iter().zip(row) {
            out.extend_from_slice(name);
            values::value(&value, out);
        }
        out.push(b'}');
    }
}

impl Format for ObjectLines {
    fn begin(&mut self, columns: &[Column], _out: &mut Vec<u8>) {
        *self = Self::new(columns);
    }

    fn row(&mut self, row: &Row<'_>, out: &mut Vec<u8>) {
        self.object(row.values(), out);
        out.push(b'\n');
    }

    fn end(&mut self, is_truncated: bool, out: &mut Vec<u8>) {
        if is_truncated {
            out.extend_from_slice(b"{\"$truncated\":true}\n");
        }
    }
}

/// Comma-separated values with a header; bytes in Base64.
#[derive(Default)]
pub(crate) struct Fields;

impl Format for Fields {
    fn begin(&mut self, columns: &[Column], out: &mut Vec<u8>) {
        fields::header(columns.iter().map(|column| column.name.as_str()), out);
    }

    fn row(&mut self, row: &Row<'_>, out: &mut Vec<u8>) {
        for (at, value) in row.values().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            match value {
                Value::Null => {}
                Value::Integer(number) => values::integer(number, out),
                Value::Real(number) => ruby::float(number, out),
                Value::Text(text) => fields::field(Some(&text), out),
                Value::Blob(bytes) => fields::field(Some(&values::encoded(&bytes)), out),
            }
        }
        out.push(b'\n');
    }

    fn end(&mut self, _is_truncated: bool, _out: &mut Vec<u8>) {}
}
