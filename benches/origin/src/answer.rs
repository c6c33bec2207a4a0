//! From a request to an answer: status, fields, and which bytes.

use crate::content::mix;
use crate::error::S3Error;
use crate::list;
use crate::object::{ChecksumOn, ChecksumValue};
use crate::plan::Plan;
use crate::ranges::{self, Asked};
use crate::request::{Method, Request};
use crate::server::{Server, now};
use crate::stats::Kind;
use crate::store::Bucket;
use crate::times;
use crate::{Fault, Object};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

/// The bucket that is the server itself.
const OWN_BUCKET: &str = "_origin";

/// An answer before it is sent.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Complete lines, except those of the framing.
    pub(crate) fields: String,
    pub(crate) body: Body,
    pub(crate) kind: Kind,
    pub(crate) plan: Plan,
    /// What is to be overwritten when the answer was begun.
    pub(crate) overwrites: Option<(Arc<Bucket>, Object)>,
}

/// What follows the head of an answer to `GET`.
pub(crate) enum Body {
    Bytes(Vec<u8>),
    /// A range of a content.
    Content {
        seed: u64,
        range: Range<u64>,
    },
}

impl Body {
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Content { range, .. } => range.end - range.start,
        }
    }
}

impl Answer {
    fn new(status: u16, fields: String, body: Body, kind: Kind) -> Self {
        Self {
            status,
            fields,
            body,
            kind,
            plan: Plan::nothing(),
            overwrites: None,
        }
    }

    fn text(status: u16, content_type: &str, text: impl Into<Vec<u8>>, kind: Kind) -> Self {
        Self::new(
            status,
            format!("Content-Type: {content_type}\r\n"),
            Body::Bytes(text.into()),
            kind,
        )
    }

    fn error(error: S3Error, request: &Request<'_>, kind: Kind) -> Self {
        let resource = format!("/{}/{}", request.bucket, request.key);
        Self::text(error.status(), "application/xml", error.xml(&resource), kind)
    }

    /// The answer to bytes that are no request.
    pub(crate) fn bad_request() -> Self {
        let error = S3Error::BadRequest;
        Self::text(error.status(), "application/xml", error.xml("/"), Kind::Other)
    }
}

/// Answers a request.
pub(crate) fn answer(server: &Server, request: &Request<'_>) -> Answer {
    if request.bucket == OWN_BUCKET {
        return own_page(server, request);
    }
    let kind = kind(request);
    if !matches!(request.method, Method::Get | Method::Head) {
        return Answer::error(S3Error::MethodNotAllowed, request, kind);
    }
    if let Err(error) = authorize(server.access_key.as_deref(), request) {
        return Answer::error(error, request, kind);
    }
    let Some(bucket) = server.store.find(&request.bucket) else {
        let error = if request.bucket.is_empty() {
            S3Error::NotImplemented
        } else {
            S3Error::NoSuchBucket
        };
        return Answer::error(error, request, kind);
    };
    if request.key.is_empty() {
        bucket.catch_up(now(), None);
        return bucket_page(&bucket, request, kind);
    }
    bucket.catch_up(now(), Some(&request.key));
    object(server, &bucket, request, kind)
}

fn kind(request: &Request<'_>) -> Kind {
    match request.method {
        Method::Get if request.key.is_empty() && list::is_asked(request) => Kind::List,
        Method::Get if request.key.is_empty() => Kind::Other,
        Method::Get if request.range.is_some() => Kind::RangedGet,
        Method::Get => Kind::Get,
        Method::Head if !request.key.is_empty() => Kind::Head,
        _ => Kind::Other,
    }
}

fn own_page(server: &Server, request: &Request<'_>) -> Answer {
    match (request.method, request.key.as_ref()) {
        (Method::Get, "stats") => {
            let json = serde_json::to_vec(&server.counters.read()).unwrap_or_default();
            Answer::text(200, "application/json", json, Kind::Own)
        }
        (Method::Post, "reset") => {
            server.counters.reset();
            Answer::text(200, "application/json", "{}", Kind::Own)
        }
        _ => Answer::error(S3Error::NoSuchKey, request, Kind::Own),
    }
}

/// Looks for the access key of a signed request (Signature Version 4, in the field or in the query), and whether there
/// is something that could be a signature.
fn authorize(access_key: Option<&str>, request: &Request<'_>) -> Result<(), S3Error> {
    let Some(access_key) = access_key else {
        return Ok(());
    };
    let named = |name: &str| {
        request
            .parameters()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value)
    };
    let (credential, signature) = match request.authorization {
        Some(field) => (part_of(field, "Credential="), part_of(field, "Signature=")),
        None => (named("X-Amz-Credential"), named("X-Amz-Signature")),
    };
    let credential = credential.ok_or(S3Error::AccessDenied)?;
    if credential.split('/').next() != Some(access_key) {
        return Err(S3Error::InvalidAccessKeyId);
    }
    let is_signature = |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    signature
        .filter(is_signature)
        .map(|_| ())
        .ok_or(S3Error::SignatureDoesNotMatch)
}

/// The value of `name` in an `Authorization` field.
fn part_of(field: &str, name: &str) -> Option<String> {
    let (_, value) = field.split_once(name)?;
    value.split([',', ' ']).next().map(str::to_owned)
}

/// An answer about the bucket itself: a page of its list, where it is, or that it is there.
fn bucket_page(bucket: &Bucket, request: &Request<'_>, kind: Kind) -> Answer {
    let xml = "application/xml";
    if request.method == Method::Head {
        return Answer::text(200, xml, "", kind);
    }
    if request.parameters().any(|(name, _)| name == "location") {
        let location = r#"<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>"#;
        return Answer::text(200, xml, location, kind);
    }
    if kind != Kind::List {
        return Answer::error(S3Error::NotImplemented, request, kind);
    }
    let plan = bucket.plan_list(request.query);
    let mut answer = match (refusal(&plan), list::page(&bucket.objects(), request)) {
        (Some(error), _) | (None, Err(error)) => refused(error, bucket, request, kind),
        (None, Ok(page)) => Answer::text(200, xml, page, kind),
    };
    answer.plan = plan;
    answer
}

/// An answer to `GET` or `HEAD` of an object.
fn object(server: &Server, bucket: &Arc<Bucket>, request: &Request<'_>, kind: Kind) -> Answer {
    let plan = bucket.plan(&request.key, ranges::identity(request.range));
    let mut answer = match (refusal(&plan), bucket.object(&request.key)) {
        (Some(error), _) => refused(error, bucket, request, kind),
        (None, None) => Answer::error(S3Error::NoSuchKey, request, kind),
        (None, Some(object)) => {
            let mut answer = of_object(server, &object, request, kind, plan.fault);
            answer.overwrites = (plan.fault == Some(Fault::Overwrite)).then(|| (bucket.clone(), object));
            answer
        }
    };
    answer.plan = plan;
    answer
}

/// The error that a plan turns the answer into.
fn refusal(plan: &Plan) -> Option<S3Error> {
    match plan.fault {
        Some(Fault::SlowDown) => Some(S3Error::SlowDown),
        Some(Fault::ServerError) => Some(S3Error::InternalError),
        _ => None,
    }
}

fn refused(error: S3Error, bucket: &Bucket, request: &Request<'_>, kind: Kind) -> Answer {
    let mut answer = Answer::error(error, request, kind);
    let retry_after = bucket
        .settings()
        .faults
        .retry_after_s
        .filter(|_| error == S3Error::SlowDown);
    if let Some(seconds) = retry_after {
        answer.field("Retry-After", seconds);
    }
    answer
}

fn of_object(
    server: &Server,
    object: &Object,
    request: &Request<'_>,
    kind: Kind,
    fault: Option<Fault>,
) -> Answer {
    let etag = object.etag();
    if request.if_match.is_some_and(|wanted| !names(wanted, &etag)) {
        return Answer::error(S3Error::PreconditionFailed, request, kind);
    }
    let told = if fault == Some(Fault::ChangedEtag) {
        Object::etag(&object.next_version())
    } else {
        etag.clone()
    };
    if request.if_none_match.is_some_and(|known| names(known, &etag)) {
        let mut answer = Answer::new(304, String::new(), Body::Bytes(Vec::new()), kind);
        answer.describe(object, &told);
        return answer;
    }
    let range = match ranges::asked(request.range, object.size) {
        Asked::Unsatisfiable => {
            let mut answer = Answer::error(S3Error::InvalidRange, request, kind);
            answer.field("Content-Range", format_args!("bytes */{}", object.size));
            return answer;
        }
        Asked::Part(range) if fault == Some(Fault::WrongRange) => Some(another_range(range, object.size)),
        Asked::Part(range) if fault != Some(Fault::WholeBody) => Some(range),
        _ => None,
    };
    let mut answer = with_content(object, range, kind, fault);
    answer.describe(object, &told);
    answer.field("Content-Type", "application/octet-stream");
    if request.wants_checksum {
        answer.declare_checksum(server, object);
    }
    answer
}

/// Whether a list of entity tags names this one. S3 takes a tag without quotes too.
fn names(list: &str, etag: &str) -> bool {
    let mut tags = list
        .split(',')
        .map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'));
    tags.any(|tag| tag == "*" || tag == etag)
}

/// A range that is not the one asked for: its neighbour, or a shorter one. There is none beside a single byte.
fn another_range(asked: Range<u64>, size: u64) -> Range<u64> {
    if asked.end < size {
        asked.start + 1..asked.end + 1
    } else if asked.start > 0 {
        asked.start - 1..asked.end - 1
    } else {
        0..(size - 1).max(1)
    }
}

fn with_content(object: &Object, range: Option<Range<u64>>, kind: Kind, fault: Option<Fault>) -> Answer {
    let status = if range.is_some() { 206 } else { 200 };
    let (seed, sent) = (object.seed, range.clone().unwrap_or(0..object.size));
    let mut answer = Answer::new(
        status,
        String::with_capacity(512),
        Body::Content { seed, range: sent },
        kind,
    );
    if let Some(range) = range {
        let size = object.size + u64::from(fault == Some(Fault::WrongTotal));
        answer.field(
            "Content-Range",
            format_args!("bytes {}-{}/{size}", range.start, range.end - 1),
        );
    }
    answer
}

impl Answer {
    fn field(&mut self, name: &str, value: impl std::fmt::Display) {
        // Writing to a string does not fail.
        _ = write!(self.fields, "{name}: {value}\r\n");
    }

    fn describe(&mut self, object: &Object, etag: &str) {
        self.field("ETag", format_args!("\"{etag}\""));
        self.field("Last-Modified", times::http(object.modified));
        self.field("Accept-Ranges", "bytes");
    }

    fn declare_checksum(&mut self, server: &Server, object: &Object) {
        let Some(declared) = object.checksum else { return };
        if declared.on == ChecksumOn::Whole && self.status == 206 {
            return;
        }
        let right = server
            .checksums
            .get_or_compute((object.seed, object.size, declared.algorithm));
        let value = match declared.value {
            ChecksumValue::Right => right,
            ChecksumValue::Wrong => right ^ mix(right) | 1,
        };
        let bytes = &value.to_be_bytes()[8 - declared.algorithm.width_bytes()..];
        let name = declared.algorithm.name();
        self.field(&format!("x-amz-checksum-{name}"), STANDARD.encode(bytes));
        self.field("x-amz-checksum-type", "FULL_OBJECT");
    }
}
