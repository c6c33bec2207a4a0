use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::{http, trials, wait};

/// A real Prometheus on a free port of 127.0.0.1 that asks one server every second; ends when dropped.
pub struct Prometheus {
    process: Child,
    address: String,
    folder: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes `target` (`host:port`) as the job `haul` and follows `rules`.
    pub fn watch(target: &str, rules: &str) -> Result<Self> {
        let folder = TempDir::with_prefix("haul-prometheus-")?;
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\nrule_files: [rules.yml]\n\
             scrape_configs: [{{job_name: haul, static_configs: [{{targets: [\"{target}\"]}}]}}]\n"
        );
        fs::write(folder.path().join("prometheus.yml"), config)?;
        fs::write(folder.path().join("rules.yml"), rules)?;
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.to_string();
        let process = spawn(folder.path(), &address)?;
        let server = Self {
            process,
            address,
            folder,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// The one value that `expression` has now, where it has one.
    pub fn value(&self, expression: &str) -> Result<Option<f64>> {
        let path = format!("/api/v1/query?query={}", encoded(expression));
        let answer = http::get_json(&self.address, &path)?;
        match answer["data"]["result"].as_array().map(Vec::as_slice) {
            Some([one]) => Ok(one["value"][1].as_str().map(str::parse).transpose()?),
            _ => Ok(None),
        }
    }

    /// Waits until the alert fires; its annotations.
    pub fn fires(&self, alert: &str) -> Result<Value> {
        wait::until(&format!("the alert {alert}"), Duration::from_secs(90), || {
            let answer = http::get_json(&self.address, "/api/v1/alerts")?;
            let alerts = answer["data"]["alerts"].as_array().context("no alerts")?;
            let firing = alerts
                .iter()
                .find(|one| one["labels"]["alertname"] == alert && one["state"] == "firing");
            Ok(firing.map(|one| one["annotations"].clone()))
        })
    }

    fn wait_until_ready(&self) -> Result<()> {
        let ready = wait::until("Prometheus", Duration::from_secs(60), || {
            Ok(http::get(&self.address, "/-/ready").ok())
        });
        let said = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        ready.map(drop).with_context(said)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(folder: &Path, address: &str) -> Result<Child> {
    let log = File::create(folder.join("log"))?;
    let mut command = Command::new(trials::program("prometheus")?);
    command
        .arg(format!("--web.listen-address={address}"))
        .arg(format!(
            "--config.file={}",
            folder.join("prometheus.yml").display()
        ))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    command.spawn().context("cannot start Prometheus")
}

/// For a query of a URL.
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}
