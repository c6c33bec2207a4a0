use base64::Engine as _;

use super::*;

const SERVICE_ACCOUNT: &str =
    r#"{"private_key": "", "private_key_id": "", "client_email": "", "disable_oauth": true}"#;

/// The bytes of a request for `key`, with the endpoint that they go to.
async fn asked(scheme: Scheme, bucket: &str, key: &str, options: &[(&str, &str)]) -> (Endpoint, String) {
    let options: Vec<_> = options
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect();
    let location = Location::object(scheme, bucket, key);
    let store = Store::open(&location, &options).unwrap();
    let prepared = store
        .prepare(&Method::GET, &store.target(key), HeaderMap::new())
        .await
        .unwrap();
    (
        prepared.endpoint,
        String::from_utf8(prepared.bytes).unwrap().to_ascii_lowercase(),
    )
}

#[track_caller]
fn check(asked: &(Endpoint, String), host: &str, line: &str, headers: &[&str]) {
    let (endpoint, text) = asked;
    assert_eq!(endpoint.host, host);
    let (first, rest) = text.split_once("\r\n").unwrap();
    assert_eq!(first, line);
    for header in headers {
        assert!(
            rest.contains(&format!("\r\n{header}")) || rest.starts_with(header),
            "{header} is not in {text}"
        );
    }
}

const S3: [(&str, &str); 3] = [
    ("aws_access_key_id", "AKIA"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("aws_region", "eu-west-1"),
];

#[tokio::test]
async fn s3_is_asked_by_host_and_signed_with_version_4() {
    let plain = asked(Scheme::S3, "bucket", "a b/c", &S3).await;
    let signed = "authorization: aws4-hmac-sha256 credential=akia/";
    let host = "bucket.s3.eu-west-1.amazonaws.com";
    check(
        &plain,
        host,
        "get /a%20b/c http/1.1",
        &[
            signed,
            "x-amz-date: ",
            "host: bucket.s3.eu-west-1.amazonaws.com\r\n",
        ],
    );
    assert!(
        plain.0.tls && plain.1.contains("/eu-west-1/s3/aws4_request"),
        "{}",
        plain.1
    );
    assert!(!plain.1.contains("secret\r\n"));
    let dotted = asked(Scheme::S3, "my.bucket", "k", &S3).await;
    check(
        &dotted,
        "s3.eu-west-1.amazonaws.com",
        "get /my.bucket/k http/1.1",
        &[signed],
    );
    let options = [
        &S3[..],
        &[("aws_request_payer", "true"), ("aws_session_token", "token")],
    ]
    .concat();
    let payer = asked(Scheme::S3, "bucket", "k", &options).await;
    check(
        &payer,
        host,
        "get /k http/1.1",
        &["x-amz-request-payer: requester", "x-amz-security-token: token"],
    );
}

#[tokio::test]
async fn google_is_asked_by_path_with_a_bearer() {
    let options = [("google_service_account_key", SERVICE_ACCOUNT)];
    let signed = asked(Scheme::Gcs, "bucket", "a+b", &options).await;
    check(
        &signed,
        "storage.googleapis.com",
        "get /bucket/a%2bb http/1.1",
        &["authorization: bearer "],
    );
    assert!(signed.0.tls);
    let open = asked(Scheme::Gcs, "bucket", "k", &[("google_skip_signature", "true")]).await;
    check(
        &open,
        "storage.googleapis.com",
        "get /bucket/k http/1.1",
        &["host: storage.googleapis.com\r\n"],
    );
    assert!(!open.1.contains("authorization"), "{}", open.1);
}

#[tokio::test]
async fn azure_is_asked_by_account_with_a_shared_key() {
    let key = base64::engine::general_purpose::STANDARD.encode("not a key");
    let options = [
        ("azure_storage_account_name", "account"),
        ("azure_storage_account_key", &key),
    ];
    let signed = asked(Scheme::Azure, "container", "a b", &options).await;
    let headers = ["authorization: sharedkey account:", "x-ms-version: 20", "date: "];
    check(
        &signed,
        "account.blob.core.windows.net",
        "get /container/a%20b http/1.1",
        &headers,
    );
    assert!(signed.0.tls);
    let options = [
        ("azure_storage_account_name", "account"),
        ("azure_storage_token", "a-token"),
    ];
    let bearer = asked(Scheme::Azure, "container", "k", &options).await;
    check(
        &bearer,
        "account.blob.core.windows.net",
        "get /container/k http/1.1",
        &["authorization: bearer a-token"],
    );
}

#[tokio::test]
async fn the_web_is_asked_for_path_and_query_as_written() {
    let location = Location::parse("https://host:8443/a%20b?x=1&y=%2F#part").unwrap();
    let store = Store::open(&location, &[]).unwrap();
    let prepared = store
        .prepare(&Method::GET, &store.target(location.key()), HeaderMap::new())
        .await
        .unwrap();
    assert_eq!(
        (
            prepared.endpoint.host.as_str(),
            prepared.endpoint.port,
            prepared.endpoint.tls
        ),
        ("host", 8443, true)
    );
    let text = String::from_utf8(prepared.bytes).unwrap();
    assert!(text.starts_with("GET /a%20b?x=1&y=%2F HTTP/1.1\r\n"), "{text}");
    assert!(
        text.to_ascii_lowercase().contains("\r\nhost: host:8443\r\n"),
        "{text}"
    );
}

#[test]
fn a_store_that_cannot_work_says_what_to_set() {
    let open = |scheme, options: &[(&str, &str)]| {
        let options: Vec<_> = options
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        Store::open(&Location::object(scheme, "b", "k"), &options)
            .err()
            .map(|error| error.to_string())
    };
    let account = open(Scheme::Azure, &[]).unwrap();
    assert!(account.contains("AZURE_STORAGE_ACCOUNT_NAME"), "{account}");
    let endpoint = open(Scheme::S3, &[("aws_endpoint", "ftp://x")]).unwrap();
    assert!(endpoint.contains("use http://host:port"), "{endpoint}");
    assert_eq!(
        open(
            Scheme::S3,
            &[("path", "/bin"), ("aws_endpoint", "http://127.0.0.1:1")]
        ),
        None
    );
}
