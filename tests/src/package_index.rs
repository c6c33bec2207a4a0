use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{Ended, Haul, Running, wait};

const LIMIT: Duration = Duration::from_secs(60);
const BUFFER_BYTES: usize = 256;

/// A running `haul pkgindex serve`; killed when dropped.
pub struct PackageIndex {
    running: Running,
    commands: SocketAddr,
    questions: SocketAddr,
}

/// A client of its three commands.
pub struct Talk {
    stream: BufReader<TcpStream>,
}

impl PackageIndex {
    /// Starts it on free ports of 127.0.0.1, and waits until it listens.
    pub fn start(haul: &Haul, store: &str) -> Result<Self> {
        Self::start_with(haul, &["--store", store])
    }

    /// As [`Self::start`], with `options` that may leave the store to the environment.
    pub fn start_with(haul: &Haul, options: &[&str]) -> Result<Self> {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::start_at(haul, free, free, options)
    }

    /// As [`Self::start_with`], on ports that are known.
    pub fn start_at(
        haul: &Haul,
        commands: SocketAddr,
        questions: SocketAddr,
        options: &[&str],
    ) -> Result<Self> {
        let (commands, questions) = (commands.to_string(), questions.to_string());
        let mut words = vec![
            "pkgindex", "serve", "--json", "--tcp", &commands, "--http", &questions,
        ];
        words.extend(options);
        let mut running = haul.start(&words)?;
        let ready = wait::until("the package index", LIMIT, || ready(&mut running))?;
        let address = |name: &str| -> Result<SocketAddr> {
            let first = ready[name][0].as_str();
            Ok(first.with_context(|| format!("no {name} in {ready}"))?.parse()?)
        };
        let (commands, questions) = (address("listening")?, address("http")?);
        Ok(Self {
            running,
            commands,
            questions,
        })
    }

    /// The port of commands.
    pub fn commands(&self) -> SocketAddr {
        self.commands
    }

    /// The port of questions.
    pub fn questions(&self) -> SocketAddr {
        self.questions
    }

    /// The address of questions, as `--at` and `replica:` take it.
    pub fn url(&self) -> String {
        format!("http://{}", self.questions)
    }

    /// The process.
    pub fn process(&self) -> &Running {
        &self.running
    }

    /// A new client.
    pub fn connect(&self) -> Result<Talk> {
        Talk::open(self.commands)
    }

    /// What the lines are answered on a connection of their own.
    pub fn tell(&self, lines: &str) -> Result<Vec<String>> {
        self.connect()?.tell(lines)
    }

    /// The body of a path of the second port.
    pub fn get(&self, path: &str) -> Result<String> {
        let mut connection = TcpStream::connect(self.questions)?;
        connection.set_read_timeout(Some(LIMIT))?;
        // To HTTP/1.0 everything is sent as it is, up to the end of the connection.
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.questions);
        connection.write_all(request.as_bytes())?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        let is_good = head.split_whitespace().nth(1) == Some("200");
        ensure!(is_good, "{path}: {answer}");
        Ok(body.to_owned())
    }

    /// The body of a path, as JSON.
    pub fn ask(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.get(path)?)?)
    }

    /// The INDEX lines of everything, by name.
    pub fn lines(&self) -> Result<Vec<String>> {
        let dump = self.get("/v1/dump")?;
        let lines = dump.lines().filter(|line| line.starts_with("INDEX|"));
        ensure!(
            dump.lines().last().is_some_and(|end| end.starts_with("end ")),
            "a dump is cut off"
        );
        Ok(lines.map(str::to_owned).collect())
    }

    /// `kill -9`.
    pub fn kill(self) -> Result<Ended> {
        self.running.kill()
    }

    /// Stops it as Ctrl-C does; it must end well.
    pub fn stop(self) -> Result<()> {
        let ended = self.running.interrupt()?;
        ensure!(ended.code == Some(0), "{ended:#?}");
        Ok(())
    }
}

fn ready(running: &mut Running) -> Result<Option<Value>> {
    let written = running.written()?;
    if let Some((line, _)) = written.split_once('\n') {
        return Ok(Some(serde_json::from_str(line)?));
    }
    ensure!(!running.is_over()?, "it ended at once: {}", running.said()?);
    Ok(None)
}

impl Talk {
    /// Connects to the port of commands.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        // Small, because a test may have thousands of clients.
        let stream = BufReader::with_capacity(BUFFER_BYTES, stream);
        Ok(Self { stream })
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.get_mut().write_all(bytes)?)
    }

    /// The next answer.
    pub fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let answer = line.strip_suffix('\n').context("the server hung up")?;
        Ok(answer.to_owned())
    }

    /// Sends lines at once; their answers.
    pub fn tell(&mut self, lines: &str) -> Result<Vec<String>> {
        self.send(lines.as_bytes())?;
        lines.lines().map(|_| self.answer()).collect()
    }
}
