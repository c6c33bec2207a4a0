use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// Pragmas that only tell of tables and of the file, and have no setting.
const TELLING: [&str; 10] = [
    "table_info",
    "table_xinfo",
    "table_list",
    "index_list",
    "index_info",
    "index_xinfo",
    "foreign_key_list",
    "collation_list",
    "function_list",
    "compile_options",
];

/// Pragmas that tell as long as they are given no value.
const SETTINGS: [&str; 6] = [
    "page_count",
    "page_size",
    "freelist_count",
    "encoding",
    "user_version",
    "application_id",
];

/// What a question may do: read, and nothing else.
pub(crate) fn permit(context: AuthContext<'_>) -> Authorization {
    let is_permitted = match context.action {
        AuthAction::Select | AuthAction::Recursive | AuthAction::Read { .. } => true,
        AuthAction::Function { function_name } => !function_name.eq_ignore_ascii_case("load_extension"),
        AuthAction::Pragma {
            pragma_name,
            pragma_value,
        } => {
            let is_among = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(pragma_name));
            is_among(&TELLING) || (pragma_value.is_none() && is_among(&SETTINGS))
        }
        _ => false,
    };
    if is_permitted {
        Authorization::Allow
    } else {
        Authorization::Deny
    }
}
