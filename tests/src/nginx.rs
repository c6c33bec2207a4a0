use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{trials, wait};

/// A real nginx that serves a folder on a free port of 127.0.0.1; ends when dropped.
pub struct Nginx {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl Nginx {
    /// Serves `documents`.
    pub fn serve(documents: &Path) -> Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let folder = TempDir::with_prefix("haul-nginx-")?;
        let file = folder.path().join("nginx.conf");
        fs::write(&file, configuration(documents, folder.path(), port))?;
        let mut command = Command::new(trials::program("nginx")?);
        command
            .arg("-c")
            .arg(&file)
            .arg("-e")
            .arg(folder.path().join("error.log"));
        let process = command
            .stdin(Stdio::null())
            .spawn()
            .context("cannot start nginx")?;
        let nginx = Self {
            process,
            port,
            folder,
        };
        wait::until("nginx", Duration::from_secs(10), || {
            Ok(TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(()))
        })?;
        Ok(nginx)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `status path` of every request so far.
    pub fn requests(&self) -> Result<Vec<String>> {
        let log = fs::read_to_string(self.folder.path().join("access.log"))?;
        Ok(log.lines().map(str::to_owned).collect())
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
events {{ worker_connections 256; }}
http {{
  types {{ text/html html; text/plain txt; application/pdf pdf; }}
  log_format requests '$status $request_uri';
  access_log {folder}/access.log requests;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; root {documents}; }}
}}
"
    )
}
