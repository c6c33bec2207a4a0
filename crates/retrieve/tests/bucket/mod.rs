//! An origin on loopback as a bucket.

use origin::Origin;
use retrieve::DownloadRequest;

/// Asks `origin` for what `address` means.
pub(crate) fn request(origin: &Origin, address: &str) -> DownloadRequest {
    DownloadRequest::new(address).unwrap().options([
        ("aws_endpoint", origin.url().as_str()),
        ("aws_access_key_id", "key"),
        ("aws_secret_access_key", "secret"),
    ])
}
