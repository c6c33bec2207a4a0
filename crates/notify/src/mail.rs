use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use registry::Secret;
use thiserror::Error;

use crate::letter::Text;

/// From the connection to the server's last word.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// TLS from the first byte.
    Implicit,
    /// STARTTLS, required.
    StartTls,
    /// None: for a server on this machine.
    None,
}

/// How mail is sent (SMTP, RFC 5321).
#[derive(Clone, Debug)]
pub struct MailOptions {
    /// The server. Its certificate is verified for this name, with the system's authorities.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Protection.
    pub tls: MailTls,
    /// Name and password, where the server wants them.
    pub credentials: Option<(String, Secret)>,
    /// Who writes: `Haul <haul@example.gov>`.
    pub from: String,
}

/// Why a letter was not sent.
#[derive(Debug, Error)]
pub(crate) enum MailError {
    #[error("{0} is no mail address")]
    Address(String, #[source] lettre::address::AddressError),
    #[error("the letter cannot be written: {0}")]
    Letter(#[from] lettre::error::Error),
    #[error("the mail server did not take it: {0}")]
    Server(#[from] lettre::transport::smtp::Error),
    #[error("the mail server did not answer within a minute")]
    TimedOut,
}

/// Sends letters.
pub(crate) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mailer {
    pub(crate) fn new(options: &MailOptions) -> Result<Self, MailError> {
        let protection = match options.tls {
            MailTls::Implicit => Tls::Wrapper(TlsParameters::new(options.host.clone())?),
            MailTls::StartTls => Tls::Required(TlsParameters::new(options.host.clone())?),
            MailTls::None => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&options.host)
            .port(options.port)
            .tls(protection)
            .timeout(Some(TIME_LIMIT));
        if let Some((name, password)) = &options.credentials {
            builder = builder.credentials(Credentials::new(name.clone(), password.reveal().to_owned()));
        }
        Ok(Self {
            transport: builder.build(),
            from: mailbox(&options.from)?,
        })
    }

    pub(crate) async fn send(&self, to: &str, text: Text) -> Result<(), MailError> {
        let message = self.message(to, text)?;
        let sent = tokio::time::timeout(TIME_LIMIT, self.transport.send(message)).await;
        sent.map_err(|_| MailError::TimedOut)??;
        Ok(())
    }

    fn message(&self, to: &str, text: Text) -> Result<Message, MailError> {
        let message = Message::builder()
            .from(self.from.clone())
            .to(mailbox(to)?)
            .subject(text.subject)
            .message_id(Some(self.message_id()))
            .raw_header(by_a_program())
            .header(ContentType::TEXT_PLAIN)
            .body(text.body)?;
        Ok(message)
    }

    fn message_id(&self) -> String {
        let mut random = [0; 16];
        // Without it, mail servers give letters an id.
        let _ = aws_lc_rs::rand::fill(&mut random);
        format!("<{:x}@{}>", u128::from_be_bytes(random), self.from.email.domain())
    }
}

/// Keeps holiday notices from answering (RFC 3834).
fn by_a_program() -> HeaderValue {
    let name = HeaderName::new_from_ascii_str("Auto-Submitted");
    HeaderValue::new(name, "auto-generated".to_owned())
}

fn mailbox(text: &str) -> Result<Mailbox, MailError> {
    text.parse()
        .map_err(|error| MailError::Address(text.to_owned(), error))
}
