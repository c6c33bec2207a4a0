use pdf_extract::content::{Content, Operation};
use pdf_extract::{Document, Error, ObjectId, Stream, dictionary};

/// Spells out the operators `'` and `"` (ISO 32000-1, table 109) in the content of a page: `pdf-extract` knows only
/// those that they stand for, and drops their text.
pub(super) fn spell_out(document: &mut Document, page: ObjectId) -> Result<(), Error> {
    let bytes = document.get_page_content(page)?;
    if memchr::memchr2(b'\'', b'"', &bytes).is_none() {
        return Ok(());
    }
    let content = Content::decode(&bytes)?;
    let operations: Vec<Operation> = content.operations.into_iter().flat_map(spelled_out).collect();
    let bytes = Content { operations }.encode()?;
    let stream = document.add_object(Stream::new(dictionary! {}, bytes));
    document.get_dictionary_mut(page)?.set("Contents", stream);
    Ok(())
}

fn spelled_out(operation: Operation) -> Vec<Operation> {
    let Operation {
        operator,
        mut operands,
    } = operation;
    let next_line = Operation::new("T*", Vec::new());
    match (operator.as_str(), operands.len()) {
        ("'", _) => vec![next_line, Operation::new("Tj", operands)],
        ("\"", 3) => {
            let text = operands.split_off(2);
            let letter_space = operands.split_off(1);
            let spacing = [Operation::new("Tw", operands), Operation::new("Tc", letter_space)];
            spacing
                .into_iter()
                .chain([next_line, Operation::new("Tj", text)])
                .collect()
        }
        _ => vec![Operation { operator, operands }],
    }
}
