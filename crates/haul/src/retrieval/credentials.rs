//! With what stores are reached: the command line beats the environment, the environment beats the profile.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::profile::{self, Form, Settings};
use crate::cli::Reach;
use crate::exit::Usage;

/// The variables of this process that are text.
pub(crate) type Environment = BTreeMap<String, String>;

/// Options of stores by their names.
pub(crate) type StoreOptions = BTreeMap<String, String>;

/// The files of profiles hold some kilobytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Variables that say who asks; a profile that was named takes the place of all of them.
const WHO: [&str; 8] = [
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "aws_web_identity_token_file",
    "aws_role_arn",
    "aws_container_credentials_relative_uri",
    "aws_container_credentials_full_uri",
    "aws_container_authorization_token_file",
];

/// Any one of these means that the environment says who asks.
const BEGINS_WHO: [&str; 4] = [
    "aws_access_key_id",
    "aws_web_identity_token_file",
    "aws_container_credentials_relative_uri",
    "aws_container_credentials_full_uri",
];

/// Profile settings with which the AWS CLI gets credentials in ways that are not known here.
const ELSEWHERE: [&str; 5] = [
    "sso_session",
    "sso_start_url",
    "role_arn",
    "credential_process",
    "login_session",
];

/// The process's variables; those that are not UTF-8 mean nothing to stores.
pub(crate) fn environment() -> Environment {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// The options for stores; profiles are only read where `with_s3`.
pub(crate) fn store_options(reach: &Reach, environment: &Environment, with_s3: bool) -> Result<StoreOptions> {
    let mut options = of_environment(environment);
    if with_s3 && !reach.anonymous {
        let settings = settings(reach, environment)?;
        add_profile(&mut options, settings, reach.profile.is_some());
    }
    add_flags(&mut options, reach);
    Ok(options)
}

fn of_environment(environment: &Environment) -> StoreOptions {
    let is_ours = |name: &str| {
        ["AWS_", "GOOGLE_", "AZURE_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    let ours = environment
        .iter()
        .filter(|(name, value)| is_ours(name) && !value.is_empty());
    ours.map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .collect()
}

fn add_profile(options: &mut StoreOptions, mut settings: Settings, is_named: bool) {
    let has = |options: &StoreOptions, names: &[&str]| names.iter().any(|name| options.contains_key(*name));
    let says_who = settings.contains_key("aws_access_key_id");
    if says_who && (is_named || !has(options, &BEGINS_WHO)) {
        options.retain(|name, _| !WHO.contains(&name.as_str()));
        for name in ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"] {
            options.extend(settings.remove(name).map(|value| (name.to_owned(), value)));
        }
    }
    if !has(options, &["aws_region", "aws_default_region"]) {
        options.extend(
            settings
                .remove("region")
                .map(|region| ("aws_region".to_owned(), region)),
        );
    }
    if !has(
        options,
        &["aws_endpoint", "aws_endpoint_url", "aws_endpoint_url_s3"],
    ) {
        let address = settings.remove("endpoint_url");
        options.extend(address.map(|address| ("aws_endpoint_url".to_owned(), address)));
    }
}

fn add_flags(options: &mut StoreOptions, reach: &Reach) {
    let mut set = |names: &[&str], value: &str| {
        options.extend(names.iter().map(|name| ((*name).to_owned(), value.to_owned())));
    };
    if let Some(region) = &reach.region {
        set(&["aws_region"], region);
    }
    if let Some(address) = &reach.endpoint {
        set(
            &["aws_endpoint_url_s3", "google_endpoint", "azure_storage_endpoint"],
            address,
        );
    }
    if reach.anonymous {
        set(
            &[
                "aws_skip_signature",
                "google_skip_signature",
                "azure_skip_signature",
            ],
            "true",
        );
    }
}

/// What the two files say of the profile, which must be there when it was asked for.
fn settings(reach: &Reach, environment: &Environment) -> Result<Settings> {
    let of_variable = environment.get("AWS_PROFILE").filter(|name| !name.is_empty());
    let asked = reach.profile.as_ref().or(of_variable);
    let name = asked.map_or("default", String::as_str);
    let home = environment.get("HOME").map(PathBuf::from);
    let file = |variable: &str, usual: &str| {
        let named = environment
            .get(variable)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from);
        named.or_else(|| Some(home.as_ref()?.join(usual)))
    };
    let config = read(file("AWS_CONFIG_FILE", ".aws/config").as_deref())?;
    let credentials = read(file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials").as_deref())?;
    let parts = [
        profile::find(&config, Form::Config, name),
        profile::find(&credentials, Form::Credentials, name),
    ];
    if asked.is_some() && parts.iter().all(Option::is_none) {
        bail!(Usage(format!(
            "there is no profile {name:?} in ~/.aws/credentials or ~/.aws/config: name another one, or set it up there"
        )));
    }
    let mut settings: Settings = parts.into_iter().flatten().flatten().collect();
    settings.retain(|_, value| !value.is_empty());
    let has_own = BEGINS_WHO
        .iter()
        .any(|name| environment.contains_key(&name.to_ascii_uppercase()));
    if !has_own || reach.profile.is_some() {
        refuse_elsewhere(name, &settings)?;
    }
    Ok(settings)
}

fn refuse_elsewhere(name: &str, settings: &Settings) -> Result<()> {
    if settings.contains_key("aws_access_key_id") {
        return Ok(());
    }
    let Some(way) = ELSEWHERE.iter().find(|way| settings.contains_key(**way)) else {
        return Ok(());
    };
    bail!(Usage(format!(
        "the profile {name:?} gets its credentials by {way}, which haul does not do: let the AWS CLI do it, with \
         eval \"$(aws configure export-credentials --profile {name} --format env)\", or use --anonymous"
    )))
}

/// A file's text; nothing where there is no file.
fn read(path: Option<&Path>) -> Result<String> {
    use std::io::Read as _;
    let Some(path) = path else {
        return Ok(String::new());
    };
    let mut text = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut text));
    match read {
        Err(error) if !is_absence(&error) => bail!("{} cannot be read: {error}", path.display()),
        _ => Ok(String::from_utf8_lossy(&text).into_owned()),
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "[default]\naws_access_key_id=AKDEFAULT\naws_secret_access_key=s1\n\
                               [work]\naws_access_key_id=AKWORK\naws_secret_access_key=s2\naws_session_token=t2\n";
    const CONFIG: &str = "[default]\nregion=eu-west-1\n[profile work]\nregion=us-east-2\nendpoint_url=http://nas:9000\n\
                          [profile sso]\nsso_session=corp\n";

    /// What is handed to the stores, with the two files above in place.
    fn options(reach: &Reach, variables: &[(&str, &str)]) -> Result<StoreOptions> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("credentials"), CREDENTIALS).unwrap();
        std::fs::write(path("config"), CONFIG).unwrap();
        let files = [
            ("AWS_SHARED_CREDENTIALS_FILE".to_owned(), path("credentials")),
            ("AWS_CONFIG_FILE".to_owned(), path("config")),
        ];
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        store_options(reach, &files.into_iter().chain(variables).collect(), true)
    }

    fn check(reach: &Reach, variables: &[(&str, &str)], expected: &[(&str, Option<&str>)]) {
        let options = options(reach, variables).unwrap();
        for (name, value) in expected {
            assert_eq!(
                options.get(*name).map(String::as_str),
                *value,
                "{name} with {variables:?}"
            );
        }
    }

    fn named(profile: &str) -> Reach {
        Reach {
            profile: Some(profile.to_owned()),
            ..Reach::default()
        }
    }

    #[test]
    fn the_default_profile_is_what_there_is_without_variables() {
        let expected = [
            ("aws_access_key_id", Some("AKDEFAULT")),
            ("aws_secret_access_key", Some("s1")),
            ("aws_session_token", None),
            ("aws_region", Some("eu-west-1")),
        ];
        check(&Reach::default(), &[], &expected);
    }

    #[test]
    fn variables_beat_the_default_profile_but_not_the_named_one() {
        let variables = [
            ("AWS_ACCESS_KEY_ID", "AKENV"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("AWS_SESSION_TOKEN", "t"),
        ];
        let whole = [
            ("aws_access_key_id", Some("AKENV")),
            ("aws_session_token", Some("t")),
        ];
        check(&Reach::default(), &variables, &whole);
        let profile = [
            ("aws_access_key_id", Some("AKWORK")),
            ("aws_session_token", Some("t2")),
            ("aws_endpoint_url", Some("http://nas:9000")),
        ];
        check(&named("work"), &variables, &profile);
        // A profile without a token must not get that of the environment.
        let other = [
            ("aws_access_key_id", Some("AKDEFAULT")),
            ("aws_session_token", None),
        ];
        check(&named("default"), &variables, &other);
    }

    #[test]
    fn a_variable_names_the_profile() {
        let expected = [
            ("aws_access_key_id", Some("AKWORK")),
            ("aws_region", Some("us-east-2")),
        ];
        check(&Reach::default(), &[("AWS_PROFILE", "work")], &expected);
        let regions = [("aws_region", None), ("aws_default_region", Some("r"))];
        check(&Reach::default(), &[("AWS_DEFAULT_REGION", "r")], &regions);
    }

    #[test]
    fn flags_beat_everything() {
        let reach = Reach {
            region: Some("r".into()),
            endpoint: Some("http://here".into()),
            ..Reach::default()
        };
        let variables = [("AWS_REGION", "x"), ("AWS_ENDPOINT_URL_S3", "http://there")];
        let expected = [
            ("aws_region", Some("r")),
            ("aws_endpoint_url_s3", Some("http://here")),
        ];
        check(&reach, &variables, &expected);
        let anonymous = Reach {
            anonymous: true,
            ..Reach::default()
        };
        let expected = [("aws_skip_signature", Some("true")), ("aws_access_key_id", None)];
        check(&anonymous, &[], &expected);
    }

    #[test]
    fn what_cannot_be_had_is_said() {
        let said = |reach: &Reach| options(reach, &[]).unwrap_err().to_string();
        assert!(said(&named("home")).contains("no profile \"home\""));
        assert!(said(&named("sso")).contains("export-credentials --profile sso"));
        assert!(!said(&named("sso")).contains("s1"));
    }

    #[test]
    fn foreign_variables_are_not_options() {
        let expected = [("token", None), ("region", None), ("path", None)];
        check(
            &Reach::default(),
            &[("TOKEN", "x"), ("REGION", "y"), ("PATH", "/bin")],
            &expected,
        );
    }
}
