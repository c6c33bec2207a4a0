#[cfg(test)]
mod tests;

use std::str::FromStr;

use http::header::{HOST, HeaderMap, HeaderValue};
use http::{Method, Uri};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsAuthorizer, AwsCredentialProvider};
use object_store::azure::{AzureAuthorizer, AzureConfigKey, AzureCredentialProvider, MicrosoftAzureBuilder};
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::gcp::{GcpCredentialProvider, GoogleCloudStorageBuilder, GoogleConfigKey};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::error::{Error, ErrorKind};
use crate::location::{Location, Scheme};
use crate::wire::{Endpoint, write_request};

/// What RFC 3986 leaves as it is, and `/`: what the signatures of S3 expect of a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// A bucket, a web server or the disk: makes signed requests.
pub(crate) struct Store {
    scheme: Scheme,
    endpoint: Endpoint,
    /// Before every key: empty, `/bucket` or `/account/container`.
    base: String,
    signer: Signer,
    /// The same store for what only `object_store` does.
    pub(crate) object_store: Option<std::sync::Arc<dyn object_store::ObjectStore>>,
}

enum Signer {
    Anonymous,
    S3 {
        credentials: AwsCredentialProvider,
        region: String,
        request_payer: bool,
    },
    Gcs(GcpCredentialProvider),
    Azure {
        credentials: AzureCredentialProvider,
        account: String,
    },
}

/// A request that can be sent: it holds a signature, so it is not shown anywhere.
pub(crate) struct Prepared {
    pub(crate) endpoint: Endpoint,
    pub(crate) bytes: Vec<u8>,
}

impl Store {
    /// The store in which `location` lies. `options` have the names that `object_store` gives them
    /// (`aws_endpoint`, `aws_access_key_id`, `google_service_account`, `azure_storage_account_name`, ...) in any case;
    /// those of other stores are ignored.
    pub(crate) fn open(location: &Location, options: &[(String, String)]) -> Result<Self, Error> {
        match location.scheme() {
            Scheme::S3 => s3(location, options),
            Scheme::Gcs => gcs(location, options),
            Scheme::Azure => azure(location, options),
            Scheme::Http => web(location),
            Scheme::File => Ok(Self {
                scheme: Scheme::File,
                endpoint: Endpoint {
                    tls: false,
                    host: String::new(),
                    port: 0,
                },
                base: String::new(),
                signer: Signer::Anonymous,
                object_store: None,
            }),
        }
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Path and query of an object.
    pub(crate) fn target(&self, key: &str) -> String {
        match self.scheme {
            Scheme::Http => key.to_owned(),
            _ => format!("{}/{}", self.base, utf8_percent_encode(key, PATH)),
        }
    }

    /// Path and query of a listing.
    pub(crate) fn list_target(&self, query: &str) -> String {
        let base = if self.base.is_empty() { "/" } else { &self.base };
        format!("{base}?{query}")
    }

    /// Signs a request.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`] where there are no credentials, [`ErrorKind::Invalid`] for a key that cannot be asked for.
    pub(crate) async fn prepare(
        &self,
        method: &Method,
        target: &str,
        headers: HeaderMap,
    ) -> Result<Prepared, Error> {
        let authority = self.endpoint.authority();
        let scheme = if self.endpoint.tls { "https" } else { "http" };
        let uri = Uri::from_str(&format!("{scheme}://{authority}{target}")).map_err(|error| {
            Error::new(
                ErrorKind::Invalid,
                format!("{target:?} cannot be asked for: {error}"),
            )
        })?;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        self.sign(&mut request).await?;
        request.headers_mut().remove(HOST);
        let target = request
            .uri()
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let bytes = write_request(method, &authority, target, request.headers());
        Ok(Prepared {
            endpoint: self.endpoint.clone(),
            bytes,
        })
    }

    async fn sign(&self, request: &mut HttpRequest) -> Result<(), Error> {
        let unsigned = |error| no_credentials(self.scheme).caused_by(error);
        match &self.signer {
            Signer::Anonymous => Ok(()),
            Signer::S3 {
                credentials,
                region,
                request_payer,
            } => {
                refuse_dots(request.uri().path())?;
                let credential = credentials.get_credential().await.map_err(unsigned)?;
                AwsAuthorizer::new(&credential, "s3", region)
                    .with_request_payer(*request_payer)
                    .try_authorize(request, None)
                    .map_err(unsigned)
            }
            Signer::Gcs(credentials) => {
                let credential = credentials.get_credential().await.map_err(unsigned)?;
                let bearer = HeaderValue::from_str(&format!("Bearer {}", credential.bearer));
                let mut bearer = bearer.map_err(|_| {
                    Error::new(
                        ErrorKind::Denied,
                        "the token for Google Cloud Storage is not text",
                    )
                })?;
                bearer.set_sensitive(true);
                request.headers_mut().insert(http::header::AUTHORIZATION, bearer);
                Ok(())
            }
            Signer::Azure { credentials, account } => {
                let credential = credentials.get_credential().await.map_err(unsigned)?;
                AzureAuthorizer::new(&credential, account)
                    .try_authorize(request)
                    .map_err(unsigned)
            }
        }
    }
}

/// The signature is made over a path without `.` and `..`, so a key with such a part would be refused by the server with
/// a message that helps nobody.
fn refuse_dots(path: &str) -> Result<(), Error> {
    match path.split('/').any(|part| part == "." || part == "..") {
        true => Err(Error::new(
            ErrorKind::Invalid,
            "a key with a part \".\" or \"..\" cannot be asked for: its signature would be of another key",
        )),
        false => Ok(()),
    }
}

fn no_credentials(scheme: Scheme) -> Error {
    let advice = match scheme {
        Scheme::S3 => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or aws_skip_signature=true for a public bucket"
        }
        Scheme::Gcs => {
            "set GOOGLE_SERVICE_ACCOUNT to a key file, or google_skip_signature=true for a public bucket"
        }
        _ => "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or azure_skip_signature=true",
    };
    Error::new(ErrorKind::Denied, format!("no credentials were found: {advice}"))
}

/// What asks for credentials must not hold up a person for long: the metadata service of a cloud answers at once or is
/// not there. Requests for objects are repeated by the engine.
fn impatient() -> object_store::RetryConfig {
    object_store::RetryConfig {
        max_retries: 2,
        retry_timeout: std::time::Duration::from_secs(5),
        ..object_store::RetryConfig::default()
    }
}

fn misconfigured(error: object_store::Error) -> Error {
    let cause = error.to_string();
    Error::new(
        ErrorKind::Invalid,
        format!("the store cannot be used as it is configured: {cause}"),
    )
    .caused_by(error)
}

fn is_true(value: Option<String>) -> bool {
    value.is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on"))
}

fn endpoint(address: &str) -> Result<(Endpoint, String), Error> {
    let invalid = || {
        Error::new(
            ErrorKind::Invalid,
            format!("{address:?} is not the address of a server: use http://host:port or https://host"),
        )
    };
    let url = Url::parse(address).map_err(|_| invalid())?;
    let endpoint = Endpoint::of(&url)
        .filter(|_| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(invalid)?;
    Ok((endpoint, url.path().trim_end_matches('/').to_owned()))
}

fn s3(location: &Location, options: &[(String, String)]) -> Result<Store, Error> {
    use AmazonS3ConfigKey as Key;
    let mut builder = AmazonS3Builder::new().with_bucket_name(location.bucket());
    for (name, value) in options {
        if let Ok(key) = Key::from_str(&name.to_ascii_lowercase()) {
            builder = builder.with_config(key, value);
        }
    }
    builder = builder.with_retry(impatient());
    // Whether plain HTTP is wanted is said by the address itself.
    builder = builder.with_allow_http(true);
    let value = |key: Key| builder.get_config_value(&key).filter(|value| !value.is_empty());
    let region = value(Key::Region)
        .or_else(|| value(Key::DefaultRegion))
        .unwrap_or_else(|| "us-east-1".into());
    let bucket = location.bucket();
    let address = value(Key::S3Endpoint).or_else(|| value(Key::Endpoint));
    let hosted = is_true(value(Key::VirtualHostedStyleRequest));
    let anonymous = is_true(value(Key::SkipSignature));
    let request_payer = is_true(value(Key::RequestPayer));
    let has_source = [
        Key::AccessKeyId,
        Key::WebIdentityTokenFile,
        Key::ContainerCredentialsRelativeUri,
        Key::ContainerCredentialsFullUri,
    ];
    let has_source = has_source.into_iter().any(|key| value(key).is_some());
    if !anonymous
        && !has_source
        && is_true(option(options, "aws_ec2_metadata_disabled").map(ToOwned::to_owned))
    {
        return Err(no_credentials(Scheme::S3));
    }
    let (endpoint, base) = match &address {
        Some(address) if hosted => endpoint(address)?,
        Some(address) => {
            let (endpoint, base) = endpoint(address)?;
            (endpoint, format!("{base}/{bucket}"))
        }
        // A certificate for *.s3.amazonaws.com does not cover names with dots.
        None if bucket.contains('.') => {
            let (endpoint, _) = endpoint(&format!("https://s3.{region}.amazonaws.com"))?;
            (endpoint, format!("/{bucket}"))
        }
        None => endpoint(&format!("https://{bucket}.s3.{region}.amazonaws.com"))?,
    };
    let store = std::sync::Arc::new(builder.build().map_err(misconfigured)?);
    let signer = match anonymous {
        true => Signer::Anonymous,
        false => Signer::S3 {
            credentials: store.credentials().clone(),
            region,
            request_payer,
        },
    };
    Ok(Store {
        scheme: Scheme::S3,
        endpoint,
        base,
        signer,
        object_store: None,
    })
}

fn gcs(location: &Location, options: &[(String, String)]) -> Result<Store, Error> {
    let mut builder = GoogleCloudStorageBuilder::new().with_bucket_name(location.bucket());
    for (name, value) in options {
        if let Ok(key) = GoogleConfigKey::from_str(&name.to_ascii_lowercase()) {
            builder = builder.with_config(key, value);
        }
    }
    builder = builder.with_retry(impatient());
    let anonymous = is_true(builder.get_config_value(&GoogleConfigKey::SkipSignature));
    let store = std::sync::Arc::new(builder.build().map_err(misconfigured)?);
    let signer = match anonymous {
        true => Signer::Anonymous,
        false => Signer::Gcs(store.credentials().clone()),
    };
    let (endpoint, base) =
        endpoint(option(options, "google_endpoint").unwrap_or("https://storage.googleapis.com"))?;
    Ok(Store {
        scheme: Scheme::Gcs,
        endpoint,
        base: format!("{base}/{}", location.bucket()),
        signer,
        object_store: None,
    })
}

/// An option of ours, for servers that speak the protocol elsewhere.
fn option<'a>(options: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = options
        .iter()
        .find(|(option, _)| option.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

fn azure(location: &Location, options: &[(String, String)]) -> Result<Store, Error> {
    let mut builder = MicrosoftAzureBuilder::new()
        .with_container_name(location.bucket())
        .with_allow_http(true);
    for (name, value) in options {
        if let Ok(key) = AzureConfigKey::from_str(&name.to_ascii_lowercase()) {
            builder = builder.with_config(key, value);
        }
    }
    builder = builder.with_retry(impatient());
    let value = |key| builder.get_config_value(&key).filter(|value| !value.is_empty());
    let account = value(AzureConfigKey::AccountName).ok_or_else(|| {
        Error::new(
            ErrorKind::Invalid,
            "name the storage account: set AZURE_STORAGE_ACCOUNT_NAME",
        )
    })?;
    let address =
        value(AzureConfigKey::Endpoint).unwrap_or_else(|| format!("https://{account}.blob.core.windows.net"));
    let anonymous = is_true(value(AzureConfigKey::SkipSignature));
    let (endpoint, base) = endpoint(&address)?;
    let store = std::sync::Arc::new(builder.build().map_err(misconfigured)?);
    let signer = match anonymous {
        true => Signer::Anonymous,
        false => Signer::Azure {
            credentials: store.credentials().clone(),
            account,
        },
    };
    Ok(Store {
        scheme: Scheme::Azure,
        endpoint,
        base: format!("{base}/{}", location.bucket()),
        signer,
        object_store: Some(store),
    })
}

fn web(location: &Location) -> Result<Store, Error> {
    let (endpoint, _) = endpoint(location.bucket())?;
    Ok(Store {
        scheme: Scheme::Http,
        endpoint,
        base: String::new(),
        signer: Signer::Anonymous,
        object_store: None,
    })
}
