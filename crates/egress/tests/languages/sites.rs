use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::HOST;

/// A web server with and without TLS, which says what it was asked for. `/redirect` leads to a cloud's metadata.
pub(crate) struct Sites {
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    /// The authority that signed the server's certificate.
    pub(crate) root_pem: String,
}

impl Sites {
    pub(crate) fn start() -> Result<Self> {
        let (config, root_pem) = certified()?;
        let config = Arc::new(config);
        let http = listen(answer)?;
        let https = listen(move |stream| {
            let connection = ServerConnection::new(config.clone())?;
            answer(StreamOwned::new(connection, stream))
        })?;
        Ok(Self {
            http,
            https,
            root_pem,
        })
    }
}

fn certified() -> Result<(ServerConfig, String)> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "root of the test");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new([HOST.to_owned()])?.signed_by(&key, &issuer)?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())?;
    Ok((config, issuer.pem()))
}

/// Serves one connection after the other, as long as the test runs.
fn listen(serve: impl Fn(TcpStream) -> Result<()> + Send + 'static) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A client that leaves is no failure of the server.
            let _ = serve(stream);
        }
    });
    Ok(address)
}

fn answer(stream: impl Read + Write) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    stream.read_line(&mut request)?;
    while request.lines().last().is_some_and(|line| !line.is_empty()) {
        stream.read_line(&mut request)?;
    }
    let path = request.split(' ').nth(1).context("no request")?;
    let (status, body) = match path {
        "/redirect" => (
            "302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/",
            String::new(),
        ),
        _ => ("200 OK", format!("you asked for {path}\n")),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let stream = stream.get_mut();
    stream.write_all((head + &body).as_bytes())?;
    Ok(stream.flush()?)
}
