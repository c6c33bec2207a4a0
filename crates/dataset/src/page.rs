use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value as Json, json};

use crate::open::quoted;
use crate::reader::{Column, Question, Reader};
use crate::schema::Shape;
use crate::value::{QueryError, Value};

/// Some rows of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The table's columns.
    pub columns: Vec<Column>,
    /// The rows, each with as many values as columns.
    pub rows: Vec<Vec<Value<'static>>>,
    /// The place after the last of them, where there are more: letters, digits, `-` and `_`.
    pub next: Option<String>,
}

impl Reader {
    /// Rows of one table after a place, without SQL: in the order of their rowids, or of the primary key where they have none. However far in the table,
    /// a page takes as long as the first one.
    ///
    /// # Errors
    ///
    /// [`QueryError::NotFound`] for what is no table, or no place in it.
    pub fn page(&self, table: &str, after: Option<&str>, limit: u64) -> Result<Page, QueryError> {
        let shapes = self.shapes()?;
        let shape = shapes.iter().find(|shape| shape.name.eq_ignore_ascii_case(table));
        let shape = shape.ok_or_else(|| QueryError::NotFound(format!("no such table: {table}")))?;
        let order = order(shape);
        let place = after.map(|after| place(after, order.len())).transpose()?;
        let question = question(shape, &order, place.as_deref(), limit);
        self.ask(&question, |rows| {
            let mut page = Page {
                columns: rows.columns().iter().skip(order.len()).cloned().collect(),
                rows: Vec::new(),
                next: None,
            };
            let mut last = None;
            while let Some(row) = rows.next_row()? {
                if page.rows.len() as u64 == limit {
                    page.next = last;
                    return Ok(page);
                }
                let mut values = row.values().map(Value::into_owned);
                last = Some(token(values.by_ref().take(order.len())));
                page.rows.push(values.collect());
            }
            page.next = last.filter(|_| rows.is_truncated());
            Ok(page)
        })
    }
}

/// What says where a row is: one name that has no equal, or several that have none together.
fn order(shape: &Shape) -> Vec<String> {
    match shape.rowid() {
        Some(rowid) => vec![rowid.to_owned()],
        None if shape.key.is_empty() => shape.columns.iter().map(|name| quoted(name)).collect(),
        None => shape.key.iter().map(|name| quoted(name)).collect(),
    }
}

fn question(shape: &Shape, order: &[String], place: Option<&[Value<'static>]>, limit: u64) -> Question {
    let names = order.join(", ");
    let marks: Vec<String> = (0..order.len()).map(|at| format!(":{at}")).collect();
    let after = match place {
        Some(_) => format!("WHERE ({names}) > ({})", marks.join(", ")),
        None => String::new(),
    };
    let more = limit.saturating_add(1).min(i64::MAX as u64);
    let table = quoted(&shape.name);
    let sql = format!("SELECT {names}, * FROM main.{table} {after} ORDER BY {names} LIMIT {more}");
    let values = place.unwrap_or_default().iter().cloned();
    Question {
        sql,
        parameters: values
            .enumerate()
            .map(|(at, value)| (at.to_string(), value))
            .collect(),
    }
}

fn token(values: impl Iterator<Item = Value<'static>>) -> String {
    let values: Vec<Json> = values
        .map(|value| match value {
            Value::Null => Json::Null,
            Value::Integer(number) => json!(number),
            // The bits, because not every number has a short text that is read back as itself.
            Value::Real(number) => json!({ "real": number.to_bits() }),
            Value::Text(text) => json!(text),
            Value::Blob(bytes) => json!({ "blob": URL_SAFE_NO_PAD.encode(bytes) }),
        })
        .collect();
    URL_SAFE_NO_PAD.encode(Json::from(values).to_string())
}

fn place(token: &str, length: usize) -> Result<Vec<Value<'static>>, QueryError> {
    let values = URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|text| serde_json::from_slice::<Vec<Json>>(&text).ok())
        .and_then(|values| values.iter().map(value).collect::<Option<Vec<_>>>());
    let values = values.filter(|values| values.len() == length);
    let said = || QueryError::NotFound("this is no place in the table; begin without one".into());
    values.ok_or_else(said)
}

fn value(json: &Json) -> Option<Value<'static>> {
    match json {
        Json::Null => Some(Value::Null),
        Json::Number(number) => number.as_i64().map(Value::Integer),
        Json::String(text) => Some(Value::Text(text.clone().into())),
        Json::Object(members) => match (members.get("real"), members.get("blob")) {
            (Some(bits), _) => Some(Value::Real(f64::from_bits(bits.as_u64()?))),
            (_, Some(text)) => Some(Value::Blob(URL_SAFE_NO_PAD.decode(text.as_str()?).ok()?.into())),
            _ => None,
        },
        _ => None,
    }
}
