//! A mail server that notes what it is sent and refuses what it is told to.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

/// When TLS begins.
#[derive(Clone, Copy)]
pub(crate) enum Begin {
    AtOnce,
    WhenAsked,
}

#[derive(Clone, Default)]
pub(crate) struct Manners {
    /// What it says it can, beside the least: `AUTH PLAIN`.
    pub(crate) abilities: &'static [&'static str],
    /// A command that it refuses: `RCPT`.
    pub(crate) refused: &'static str,
    pub(crate) tls: Option<(TlsAcceptor, Begin)>,
    /// Before it says that it has a letter, it takes a permit.
    pub(crate) gate: Option<Arc<Semaphore>>,
}

/// What was said to it: commands, and letters as one line each with everything in it.
pub(crate) struct Server {
    pub(crate) port: u16,
    said: Arc<watch::Sender<Vec<String>>>,
}

impl Server {
    pub(crate) async fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let said = Arc::new(watch::Sender::new(Vec::new()));
        let notes = Arc::clone(&said);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, manners.clone(), Arc::clone(&notes)));
            }
        });
        Self { port, said }
    }

    pub(crate) fn said(&self) -> Vec<String> {
        self.said.borrow().clone()
    }

    /// Returns when there is a letter.
    pub(crate) async fn first_letter(&self) {
        let mut said = self.said.subscribe();
        said.wait_for(|said| said.iter().any(|line| line.contains('\n')))
            .await
            .unwrap();
    }

    pub(crate) fn letters(&self) -> Vec<String> {
        let said = self.said();
        said.into_iter().filter(|line| line.contains('\n')).collect()
    }
}

/// Ends with the connection.
async fn serve(stream: TcpStream, manners: Manners, said: Arc<watch::Sender<Vec<String>>>) -> Option<()> {
    match manners.tls.clone() {
        Some((acceptor, Begin::AtOnce)) => {
            let stream = acceptor.accept(stream).await.ok()?;
            talk(&mut greeted(stream).await?, &manners, &said).await
        }
        Some((acceptor, Begin::WhenAsked)) => {
            let mut stream = greeted(stream).await?;
            talk(&mut stream, &manners, &said).await?;
            let stream = acceptor.accept(stream.into_inner()).await.ok()?;
            talk(&mut BufReader::new(stream), &manners, &said).await
        }
        None => talk(&mut greeted(stream).await?, &manners, &said).await,
    }
}

async fn greeted<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Option<BufReader<S>> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 mail.example.org\r\n").await.ok()?;
    Some(stream)
}

/// Until the other one wants to go on in TLS.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    manners: &Manners,
    said: &watch::Sender<Vec<String>>,
) -> Option<()> {
    loop {
        let command = read_line(stream).await?;
        said.send_modify(|said| said.push(command.trim_end().to_owned()));
        let verb = command.split([' ', '\r']).next().unwrap_or_default();
        let answer = match verb {
            refused if refused == manners.refused => "550 no\r\n".to_owned(),
            "EHLO" => {
                let abilities = manners
                    .abilities
                    .iter()
                    .map(|ability| format!("250-{ability}\r\n"));
                format!(
                    "250-mail.example.org\r\n{}250 HELP\r\n",
                    abilities.collect::<String>()
                )
            }
            "AUTH" => "235 welcome\r\n".to_owned(),
            "STARTTLS" => "220 go on\r\n".to_owned(),
            "DATA" => "354 go on\r\n".to_owned(),
            _ => "250 well\r\n".to_owned(),
        };
        stream.write_all(answer.as_bytes()).await.ok()?;
        match verb {
            "STARTTLS" => return Some(()),
            "DATA" => {
                let letter = read_letter(stream).await?;
                said.send_modify(|said| said.push(letter));
                if let Some(gate) = &manners.gate {
                    gate.acquire().await.ok()?.forget();
                }
                stream.write_all(b"250 taken\r\n").await.ok()?;
            }
            _ => {}
        }
    }
}

async fn read_letter<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut letter = String::new();
    loop {
        match read_line(stream).await?.as_str() {
            ".\r\n" => return Some(letter),
            line => letter.push_str(line),
        }
    }
}

async fn read_line<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await.ok()?;
    (read > 0).then_some(line)
}
