//! The profiles of `~/.aws/credentials` and `~/.aws/config`.
//!
//! Their format is documented in the AWS CLI's user guide, "Configuration and credential file settings": sections in
//! brackets, `name = value`, `#` and `;` at the beginning of comments. Lines that begin with white space belong to the
//! setting above them and name nothing that is needed here.

use std::collections::BTreeMap;

/// The settings of a profile, by their names in lower case.
pub(crate) type Settings = BTreeMap<String, String>;

/// How a file names its sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `[name]`
    Credentials,
    /// `[profile name]`, and `[default]`
    Config,
}

/// The settings of the profile `name` in a file's text; none where it has no such section.
pub(crate) fn find(text: &str, form: Form, name: &str) -> Option<Settings> {
    let mut found: Option<Settings> = None;
    let mut is_inside = false;
    for line in text.trim_start_matches('\u{feff}').lines() {
        if line.starts_with(char::is_whitespace) || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = section(line) {
            is_inside = profile(section, form) == Some(name);
            if is_inside {
                found.get_or_insert_default();
            }
            continue;
        }
        if is_inside && let Some((key, value)) = line.split_once('=') {
            let key = key.trim().to_ascii_lowercase();
            found
                .get_or_insert_default()
                .insert(key, without_comment(value).to_owned());
        }
    }
    found
}

fn section(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix('[')?.split_once(']')?;
    Some(name.trim())
}

fn profile(section: &str, form: Form) -> Option<&str> {
    match (form, section) {
        (Form::Credentials, name) | (Form::Config, name @ "default") => Some(name),
        (Form::Config, section) => {
            let name = section.strip_prefix("profile")?;
            let named = name.starts_with(char::is_whitespace).then(|| name.trim())?;
            Some(named.trim_matches(['"', '\'']))
        }
    }
}

/// A comment after a value begins with white space.
fn without_comment(value: &str) -> &str {
    let marks = [" #", " ;", "\t#", "\t;"];
    let end = marks.iter().filter_map(|mark| value.find(mark)).min();
    value.get(..end.unwrap_or(value.len())).unwrap_or(value).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, form: Form, name: &str, expected: Option<&[(&str, &str)]>) {
        let expected = expected.map(|pairs| {
            let owned = pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            owned.collect::<Settings>()
        });
        assert_eq!(find(text, form, name), expected, "{name} in {text:?}");
    }

    #[test]
    fn credentials_name_their_sections() {
        let text = "[default]\naws_access_key_id = AKIA1\naws_secret_access_key=a/b+c=\n\n[work]\naws_access_key_id=AKIA2\n";
        let keys = [
            ("aws_access_key_id", "AKIA1"),
            ("aws_secret_access_key", "a/b+c="),
        ];
        check(text, Form::Credentials, "default", Some(&keys));
        check(
            text,
            Form::Credentials,
            "work",
            Some(&[("aws_access_key_id", "AKIA2")]),
        );
        check(text, Form::Credentials, "home", None);
    }

    #[test]
    fn config_says_profile() {
        let text = "[default]\nregion=eu-west-1\n[profile work]\nREGION = us-east-2\n[sso-session work]\nregion=x\n[work]\nregion=y";
        check(text, Form::Config, "default", Some(&[("region", "eu-west-1")]));
        check(text, Form::Config, "work", Some(&[("region", "us-east-2")]));
        check("[profile \"two words\"]\n", Form::Config, "two words", Some(&[]));
        check("[profilework]\n", Form::Config, "work", None);
    }

    #[test]
    fn comments_and_nested_settings_are_passed_over() {
        let text = "# all\n[default] # mine\n; not this\ns3 =\n  endpoint_url = http://nested\n\taddressing_style = path\nregion = a # b\noutput = x#y\r\n";
        let settings = [("s3", ""), ("region", "a"), ("output", "x#y")];
        check(text, Form::Config, "default", Some(&settings));
    }

    #[test]
    fn a_section_may_come_twice_and_text_may_be_anything() {
        check(
            "[a]\nx=1\n[b]\n[a]\ny=2\nx=3",
            Form::Credentials,
            "a",
            Some(&[("x", "3"), ("y", "2")]),
        );
        for text in ["", "x=1", "[", "[]", "[a", "= =", "[a]\n=\nnonsense\n\u{0}"] {
            let _ = find(text, Form::Credentials, "a");
            let _ = find(text, Form::Config, "a");
        }
    }
}
