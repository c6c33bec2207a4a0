//! Letters about runs, to a mail server that is slow.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use tests::{Bench, Haul, wait};

use super::SANDBOX;
use super::server::{ask, over, up};

const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn add(bench: &mut Bench) {
    bench.test(
        "scrapers: a server that is stopped sends the letter under way",
        &[SANDBOX],
        stopped,
    );
}

fn stopped() -> Result<()> {
    let post = Post::open()?;
    let haul = Haul::new()?
        .with("HAUL_MAIL_HOST", "127.0.0.1")
        .with("HAUL_MAIL_PORT", post.port.to_string())
        .with("HAUL_MAIL_TLS", "none")
        .with("HAUL_MAIL_FROM", "Haul <haul@example.gov>");
    let mut account = Command::new("sh");
    account.args([
        "-c",
        "echo a long password | \"$0\" account add o --email o@example.org",
    ]);
    account.arg(haul.binary());
    ensure!(haul.start_as(account)?.wait()?.code == Some(0));
    let folder = haul.folder().join("empty");
    fs::create_dir_all(&folder)?;
    haul.expect(0, &["scraper", "add", "o/empty", &folder.display().to_string()])?;

    let (running, address) = up(&haul)?;
    let run = over(&address, &ask(&haul, "o/empty")?)?;
    ensure!(run["ending"]["outcome"] != "succeeded", "{run:#}");
    wait::until("a letter to be on its way", LIMIT, || {
        Ok(post.has_heard("RCPT").then_some(()))
    })?;
    let stopping = thread::spawn(move || running.interrupt());
    wait::until("the server to take no more visitors", LIMIT, || {
        Ok(TcpStream::connect(&address).is_err().then_some(()))
    })?;
    post.is_open.store(true, Ordering::Relaxed);
    let ended = stopping.join().map_err(|_| anyhow!("nobody waited"))??;
    ensure!(ended.code == Some(0), "{ended:#?}");
    ensure!(
        post.has_heard("Subject: o/empty failed"),
        "the letter is lost: {ended:#?}"
    );
    Ok(())
}

/// A mail server that asks for patience before it takes a recipient, until it is open.
struct Post {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
    is_open: Arc<AtomicBool>,
}

impl Post {
    fn open() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let post = Self {
            port: listener.local_addr()?.port(),
            heard: Arc::default(),
            is_open: Arc::default(),
        };
        let (heard, is_open) = (Arc::clone(&post.heard), Arc::clone(&post.is_open));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Whoever hangs up has said what there was to say.
                let _ = serve(client, &heard, &is_open);
            }
        });
        Ok(post)
    }

    fn has_heard(&self, words: &str) -> bool {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.iter().any(|line| line.starts_with(words))
    }
}

fn serve(mut client: TcpStream, heard: &Mutex<Vec<String>>, is_open: &AtomicBool) -> Result<()> {
    let lines = BufReader::new(client.try_clone()?).lines();
    client.write_all(b"220 mail.example.org\r\n")?;
    let mut is_letter = false;
    for line in lines {
        let line = line?;
        heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line.clone());
        let answer: &[u8] = match line.split(' ').next().unwrap_or_default() {
            "." => b"250 taken\r\n",
            _ if is_letter => b"",
            "DATA" => b"354 go on\r\n",
            "RCPT" => {
                wait::until("the post to open", LIMIT, || {
                    Ok(is_open.load(Ordering::Relaxed).then_some(()))
                })?;
                b"250 well\r\n"
            }
            _ => b"250 well\r\n",
        };
        is_letter = (is_letter || line == "DATA") && line != ".";
        client.write_all(answer)?;
    }
    Ok(())
}
