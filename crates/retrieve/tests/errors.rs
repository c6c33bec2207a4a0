//! What goes wrong, what kind of error it is, and that the message says what to do.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bucket;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bucket::request;
use origin::{Config, Object, Origin};
use retrieve::{DownloadRequest, Entry, Error, ErrorKind, Hooks, Location, Options, Retriever, Source};

/// An origin that lets in the access key `key`, with objects of 100 bytes.
fn origin_with(keys: &[&str]) -> Origin {
    let config = Config {
        access_key: Some("key".into()),
        ..Config::default()
    };
    let origin = Origin::start(config).unwrap();
    origin.create_bucket("b");
    for key in keys {
        origin.put("b", key, Object::new(1, 100));
    }
    origin
}

fn retriever() -> Retriever {
    Retriever::new(Options {
        attempts: 2,
        max_backoff: Duration::from_millis(10),
        ..Options::default()
    })
    .unwrap()
}

/// Why saving below `folder` failed: the call, the run, or its first file.
fn failure(request: DownloadRequest, folder: &Path) -> Error {
    let retriever = retriever();
    let report = match retriever.save(request, folder, Hooks::default()) {
        Ok(saving) => saving.wait(),
        Err(error) => return error,
    };
    assert!(!report.is_complete());
    let of_file = report.failed.first().map(|(_, error)| error.clone());
    of_file.or_else(|| report.error.clone()).unwrap()
}

#[track_caller]
fn check(error: &Error, kind: ErrorKind, says: &[&str]) {
    let said = error.to_string();
    assert_eq!(error.kind(), kind, "{said}");
    for part in says {
        assert!(said.contains(part), "{part:?} is not in {said:?}");
    }
    assert!(!said.contains("secret"), "{said}");
}

#[track_caller]
fn check_saving(request: DownloadRequest, kind: ErrorKind, says: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    check(&failure(request, folder.path()), kind, says);
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "something was left behind"
    );
}

fn object(bucket: &str, key: &str) -> Source {
    Source::Object(Entry::new(Location::object(retrieve::Scheme::S3, bucket, key)))
}

#[test]
fn what_a_server_refuses() {
    let origin = origin_with(&["a"]);
    let stranger = [("aws_access_key_id", "stranger")];
    for address in ["s3://b/a", "s3://b/"] {
        let asked = request(&origin, address).options(stranger);
        check_saving(
            asked,
            ErrorKind::Denied,
            &["s3://b/", "check AWS_ACCESS_KEY_ID and the endpoint"],
        );
        let unsigned = request(&origin, address).options([("aws_skip_signature", "true")]);
        check_saving(
            unsigned,
            ErrorKind::Denied,
            &["access is denied: check the credentials", "\"b\""],
        );
        let nowhere = request(&origin, &address.replace("//b", "//nowhere"));
        check_saving(
            nowhere,
            ErrorKind::NoBucket,
            &["no bucket \"nowhere\": check its name and the endpoint"],
        );
    }
    check_saving(
        request(&origin, "s3://b/none"),
        ErrorKind::NotFound,
        &["s3://b/none", "check the address"],
    );
    check_saving(
        request(&origin, "s3://b/*.none"),
        ErrorKind::NotFound,
        &["s3://b/*.none", "check the address"],
    );
    let exactly = request(&origin, "s3://b/a").with(object("b", "none"));
    let folder = tempfile::tempdir().unwrap();
    check(
        &failure(exactly, folder.path()),
        ErrorKind::NotFound,
        &["s3://b/none: there is no such object"],
    );
    assert!(
        folder.path().join("a").exists(),
        "the other file must come all the same"
    );
    let web = DownloadRequest::new(&format!("{}/b/a", origin.url())).unwrap();
    check_saving(web, ErrorKind::Denied, &["the server wants credentials"]);
}

#[test]
fn what_cannot_be_reached() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let nobody = format!("http://127.0.0.1:{port}");
    let web = DownloadRequest::new(&format!("{nobody}/a")).unwrap();
    check_saving(
        web,
        ErrorKind::Unreachable,
        &[&nobody, "check the address and the network"],
    );
    let origin = origin_with(&["a"]);
    let unknown = request(&origin, "s3://b/a").options([("aws_endpoint", "http://no-such-host.invalid")]);
    check_saving(
        unknown,
        ErrorKind::Unreachable,
        &["check the address and the network"],
    );
    let not_tls = origin.url().replace("http:", "https:");
    let wrong = request(&origin, "s3://b/a").options([("aws_endpoint", not_tls.as_str())]);
    check_saving(wrong, ErrorKind::Unreachable, &["check the address", "TLS"]);
}

#[test]
fn what_is_not_understood() {
    let invalid = |address: &str, says: &str| {
        let error = DownloadRequest::new(address).unwrap_err();
        check(&error, ErrorKind::Invalid, &[says]);
    };
    invalid("ftp://host/a", "use s3://, gs://, az://, https://");
    invalid("s3:///a", "name a bucket, as in s3://bucket/key");
    invalid("https://user:secret@host/a", "give it in a header by a hook");
    invalid("", "name a file or a folder");
    let origin = origin_with(&["a"]);
    let listed = DownloadRequest::default().with(Source::Prefix(Location::parse(&origin.url()).unwrap()));
    check_saving(
        listed,
        ErrorKind::Invalid,
        &["cannot be listed: name its files, or list them in a manifest"],
    );
    let endpoint = request(&origin, "s3://b/a").options([("aws_endpoint", "nonsense")]);
    check_saving(
        endpoint,
        ErrorKind::Invalid,
        &["use http://host:port or https://host"],
    );
    let dots = request(&origin, "s3://b/a").with(object("b", "x/../z"));
    let folder = tempfile::tempdir().unwrap();
    check(
        &failure(dots, folder.path()),
        ErrorKind::Invalid,
        &["a part \".\" or \"..\" cannot be asked for"],
    );
    let manifest = DownloadRequest::default().with(Source::Manifest("/no/such/list".into()));
    check_saving(
        manifest,
        ErrorKind::Invalid,
        &["the manifest /no/such/list cannot be read"],
    );
    let azure = DownloadRequest::new("az://container/a").unwrap();
    check_saving(azure, ErrorKind::Invalid, &["set AZURE_STORAGE_ACCOUNT_NAME"]);
    let options = Options {
        memory_bytes: 5,
        ..Options::default()
    };
    check(
        &Retriever::new(options).err().unwrap(),
        ErrorKind::Invalid,
        &["give the budget at least that"],
    );
}

#[test]
fn names_that_do_not_fit_together() {
    let origin = origin_with(&["a", "a/b", "c"]);
    let folder = tempfile::tempdir().unwrap();
    check(
        &failure(request(&origin, "s3://b/"), folder.path()),
        ErrorKind::Collision,
        &["a/b"],
    );
    assert!(folder.path().join("c").exists() && folder.path().join("a").is_file());

    let twice = request(&origin, "s3://b/c").with(object("b", "c"));
    let folder = tempfile::tempdir().unwrap();
    check(&failure(twice, folder.path()), ErrorKind::Collision, &["c"]);

    for name in ["../out", "/etc/out", "a/../../out"] {
        let mut entry = Entry::new(Location::object(retrieve::Scheme::S3, "b", "c"));
        entry.name = name.into();
        let asked = DownloadRequest::default().with(Source::Object(entry));
        let asked = asked.options([
            ("aws_endpoint", origin.url().as_str()),
            ("aws_skip_signature", "true"),
        ]);
        check_saving(asked, ErrorKind::Escape, &[name]);
    }
}

#[test]
fn folders_that_cannot_be_written() {
    let origin = origin_with(&["a"]);
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("file");
    fs::write(&file, "text").unwrap();
    let error = failure(request(&origin, "s3://b/a"), &file);
    assert!(
        matches!(error.kind(), ErrorKind::Collision | ErrorKind::Disk),
        "{error}"
    );
    let closed = scratch.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
    // The root user may write there all the same.
    if fs::write(closed.join("probe"), "").is_err() {
        let error = failure(request(&origin, "s3://b/a"), &closed);
        check(
            &error,
            ErrorKind::Permission,
            &["choose a folder that you may write to"],
        );
    }
    // Not even root may make a file there.
    let error = failure(request(&origin, "s3://b/a"), Path::new("/proc"));
    assert!(
        matches!(
            error.kind(),
            ErrorKind::Permission | ErrorKind::Disk | ErrorKind::NotFound
        ),
        "{error:?}"
    );
}

const LIMITED: &str = "RETRIEVE_TEST_LIMITED_FOLDER";
const ENDPOINT: &str = "RETRIEVE_TEST_ENDPOINT";

/// In a process of its own whose files may not be longer than 64 KiB, which is told as if the disk were full.
#[test]
fn a_full_disk() {
    if let Some(folder) = std::env::var_os(LIMITED) {
        return on_a_full_disk(Path::new(&folder), &std::env::var(ENDPOINT).unwrap());
    }
    let origin = origin_with(&["small"]);
    origin.put("b", "large", Object::new(1, 1 << 20));
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 128; exec \"$0\" --exact a_full_disk",
        ])
        .arg(std::env::current_exe().unwrap())
        .env(LIMITED, folder.path())
        .env(ENDPOINT, origin.url())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn on_a_full_disk(folder: &Path, endpoint: &str) {
    let keys = [("aws_access_key_id", "key"), ("aws_secret_access_key", "secret")];
    let asked = DownloadRequest::new("s3://b/")
        .unwrap()
        .options([("aws_endpoint", endpoint)])
        .options(keys);
    let error = failure(asked, folder);
    check(
        &error,
        ErrorKind::DiskFull,
        &["large", "longer than the file system or ulimit allows"],
    );
    assert!(folder.join("small").exists() && !folder.join("large").exists());
}
