//! An nginx of our own that serves a folder on the loopback interface, and its log: the one account of who fetched what.

use anyhow::{Context, Result, bail};
use std::collections::HashSet;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// The ports for servers: some thousand below 32768, where Linux begins to give them away.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 10_000;

/// A running nginx; it ends when this is dropped.
pub(super) struct Nginx {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Nginx {
    /// Serves `documents`.
    pub(super) fn serve(documents: &Path) -> Result<Self> {
        let port = free_port()?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("nginx.conf");
        fs::write(&file, configuration(documents, folder.path(), port))?;
        let program = if Path::new("/usr/sbin/nginx").exists() {
            "/usr/sbin/nginx"
        } else {
            "nginx"
        };
        let process = Command::new(program)
            .arg("-c")
            .arg(&file)
            .spawn()
            .context("cannot start nginx: install it")?;
        let nginx = Self {
            process,
            port,
            folder,
        };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if started.elapsed() > Duration::from_secs(10) {
                bail!("nginx does not answer on port {port}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(nginx)
    }

    /// Where a crawl begins.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Different HTML pages that were answered in full since the last call.
    pub(super) fn take_pages(&self) -> Result<usize> {
        let log = self.folder.path().join("access.log");
        let text = fs::read_to_string(&log)?;
        fs::write(&log, "")?;
        let pages: HashSet<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("200 text/html "))
            .collect();
        Ok(pages.len())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One process without workers, so that ending it ends all of it.
fn configuration(documents: &Path, folder: &Path, port: u16) -> String {
    let (documents, folder) = (documents.display(), folder.display());
    format!(
        "daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  types {{ text/html html htm; text/css css; text/plain txt; application/pdf pdf; }}
  log_format pages '$status $sent_http_content_type $uri';
  access_log {folder}/access.log pages;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; root {documents}; autoindex on; }}
}}
"
    )
}

/// A port that was free a moment ago, another one each time. It is below those that the system gives to whoever asks for any, so that
/// no other program has it before the server that it is meant for.
pub(super) fn free_port() -> Result<u16> {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() % u32::from(PORTS);
    for _ in 0..PORTS {
        let next = (first + u32::from(TRIED.fetch_add(1, Ordering::Relaxed))) % u32::from(PORTS);
        let port = FIRST_PORT + u16::try_from(next)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free")
}
