//! Kills processes in the middle of writing and looks whether everything is there that they were told is kept.
//!
//! The test binary starts itself again as the process that writes: call [`child`] first in its `main`.

use std::collections::HashMap;
use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command as Process, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use super::{Backend, Broken, Numbers, Packages, apply, ensure, packages};
use crate::change::Revision;
use crate::command::{Answer, Command};
use crate::index::{Index, Options};

/// Tells a process that it is the one that writes: the backend, a seed and the address, with spaces between them.
const ROLE: &str = "PKGINDEX_CRASH_CHILD";

/// How many times each backend is killed, unless this variable says otherwise.
const KILLS: &str = "PKGINDEX_KILLS";

/// How many threads the process has that write.
const WRITERS: u64 = 4;

/// How many packages they share.
const NAMES: u64 = 20;

/// How long the parent waits for the next word of the child.
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes until it is killed, when this process was started for that; `None` otherwise.
pub fn child<'b>(backends: impl IntoIterator<Item = &'b Backend>) -> Option<ExitCode> {
    let role = env::var(ROLE).ok()?;
    match write(backends, &role) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(error) => {
            let _ = writeln!(io::stdout(), "broken {error}");
            Some(ExitCode::FAILURE)
        }
    }
}

fn write<'b>(backends: impl IntoIterator<Item = &'b Backend>, role: &str) -> Result<(), Broken> {
    let mut parts = role.splitn(3, ' ');
    let mut part = || parts.next().ok_or_else(|| Broken(format!("{ROLE} is {role}")));
    let (name, seed, address) = (part()?, part()?, part()?);
    let seed: u64 = seed.parse().map_err(|_| Broken(format!("{seed} is no seed")))?;
    let backend = backends.into_iter().find(|backend| backend.name == name);
    let backend = backend.ok_or_else(|| Broken(format!("{name} is no backend")))?;
    let index = Index::open(backend.open(address)?, Options::default())?;
    thread::scope(|scope| {
        let writers = (0..WRITERS).map(|number| {
            let index = &index;
            scope.spawn(move || writer(index, Numbers::new(seed ^ (number << 48))))
        });
        let writers: Vec<_> = writers.collect();
        writers.into_iter().try_for_each(|writer| {
            writer
                .join()
                .unwrap_or_else(|_| Err(Broken("a writer panicked".to_owned())))
        })
    })
}

/// Says what it tries, then what was answered. A word is one write to the pipe, which comes whole or not at all.
fn writer(index: &Index, mut numbers: Numbers) -> Result<(), Broken> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    loop {
        let package = name(&mut numbers);
        let line = numbers.command(&package, name);
        say(&format!("try {line}"))?;
        let replies = runtime.block_on(index.replies(line.as_bytes()))?;
        for reply in replies {
            say(&format!(
                "done {} {} {line}",
                reply.revision,
                reply.answer.as_str()
            ))?;
        }
    }
}

fn name(numbers: &mut Numbers) -> String {
    format!("p{}", numbers.below(NAMES))
}

fn say(word: &str) -> Result<(), Broken> {
    let mut out = io::stdout().lock();
    out.write_all(word.as_bytes())?;
    Ok(out.flush()?)
}

/// What the processes said, all of them together.
#[derive(Default)]
struct Said {
    /// For each package the newest write that was acknowledged, and its revision.
    kept: HashMap<String, (Revision, String)>,
    /// Lines that were tried and not answered.
    open: Vec<String>,
}

/// Kills a process at a random moment, ten times or as often as `PKGINDEX_KILLS` says, and looks at the store after each.
pub fn kills(backend: &Backend) -> Result<(), Broken> {
    let kills = env::var(KILLS)
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(10);
    let address = (backend.fresh)()?;
    let mut said = Said::default();
    let mut acknowledged = 0;
    for seed in 0..kills {
        acknowledged += run_and_kill(backend, &address, seed, &mut said)?;
        said.judge(backend, &address)
            .map_err(|broken| Broken(format!("after kill {seed}: {broken}")))?;
    }
    ensure(acknowledged > 0 || kills == 0, || {
        "nothing was acknowledged".to_owned()
    })
}

/// Returns how many commands were acknowledged.
fn run_and_kill(backend: &Backend, address: &str, seed: u64, said: &mut Said) -> Result<u64, Broken> {
    let mut process = Process::new(env::current_exe()?)
        .env(ROLE, format!("{} {seed} {address}", backend.name))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let words = words_of(&mut process)?;
    let wanted = Numbers::new(seed).below(300);
    let mut heard = Ok(0);
    while let Ok(count) = heard
        && count < wanted
    {
        heard = said.next(&words).map(|is_done| count + u64::from(is_done));
    }
    process.kill()?;
    process.wait()?;
    // What it had said before it was killed is still in the pipe.
    while let Ok(word) = words.recv() {
        said.hear(&word)?;
    }
    heard
}

fn words_of(process: &mut Child) -> Result<Receiver<String>, Broken> {
    let out = process
        .stdout
        .take()
        .ok_or_else(|| Broken("the child has no output".to_owned()))?;
    let (sender, words) = channel();
    thread::spawn(move || {
        for word in BufReader::new(out).lines().map_while(Result::ok) {
            if sender.send(word).is_err() {
                return;
            }
        }
    });
    Ok(words)
}

impl Said {
    /// Waits for a word. Returns whether it was an answer.
    fn next(&mut self, words: &Receiver<String>) -> Result<bool, Broken> {
        let word = words.recv_timeout(PATIENCE).map_err(|error| {
            Broken(match error {
                RecvTimeoutError::Timeout => "the child says nothing any more".to_owned(),
                RecvTimeoutError::Disconnected => "the child has ended by itself".to_owned(),
            })
        })?;
        self.hear(&word)
    }

    fn hear(&mut self, word: &str) -> Result<bool, Broken> {
        if let Some(line) = word.strip_prefix("try ") {
            self.open.push(line.to_owned());
            return Ok(false);
        }
        let not_understood = || Broken(format!("the child says: {word}"));
        let mut parts = word
            .strip_prefix("done ")
            .ok_or_else(not_understood)?
            .splitn(3, ' ');
        let (Some(revision), Some(answer), Some(line)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(not_understood());
        };
        let revision = Revision(revision.parse().map_err(|_| not_understood())?);
        let tried = self
            .open
            .iter()
            .position(|open| open == line)
            .ok_or_else(not_understood)?;
        self.open.swap_remove(tried);
        if answer == Answer::Ok.as_str() && !line.starts_with("QUERY") {
            self.acknowledge(revision, line)?;
        }
        Ok(true)
    }

    fn acknowledge(&mut self, revision: Revision, line: &str) -> Result<(), Broken> {
        let kept = self.kept.entry(package_of(line)?).or_default();
        // Of two answers with one revision one had nothing to change, so both say the same.
        if revision >= kept.0 {
            *kept = (revision, line.to_owned());
        }
        Ok(())
    }

    /// Each package must be as the newest acknowledged write left it, or as one that was not answered would have; what is there then
    /// is what the next process begins with.
    fn judge(&mut self, backend: &Backend, address: &str) -> Result<(), Broken> {
        settle(backend, address)?;
        backend.must_be_whole(address)?;
        let (revision, now) = packages(&mut *backend.open(address)?)?;
        for number in 0..NAMES {
            let package = format!("p{number}");
            let possible = self.possible(&package)?;
            let is = format!("{:?}", now.get(&package));
            ensure(possible.contains(&is), || {
                format!("{package} is {is} at revision {revision}, should be one of {possible:?}")
            })?;
        }
        self.begin_anew(revision, &now);
        Ok(())
    }

    fn possible(&self, package: &str) -> Result<Vec<String>, Broken> {
        let kept = self.kept.get(package).map(|(_, line)| line);
        let mut possible = Vec::new();
        match kept {
            Some(line) => possible.push(outcome(line, package)),
            None => possible.push(outcome("", package)),
        }
        for line in &self.open {
            if !line.starts_with("QUERY") && package_of(line)? == package {
                possible.push(outcome(line, package));
            }
        }
        Ok(possible)
    }

    fn begin_anew(&mut self, revision: Revision, now: &Packages) {
        self.open.clear();
        let line = |name: &String| match now.get(name) {
            Some(list) => format!(
                "INDEX|{name}|{}",
                list.iter().cloned().collect::<Vec<_>>().join(",")
            ),
            None => format!("REMOVE|{name}|"),
        };
        let names = (0..NAMES).map(|number| format!("p{number}"));
        self.kept = names
            .map(|name| (name.clone(), (revision, line(&name))))
            .collect();
    }
}

/// Writes something, so that a commit of the killed process that a server still works on either has happened or never will.
fn settle(backend: &Backend, address: &str) -> Result<(), Broken> {
    let index = Index::open(backend.open(address)?, Options::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(index.replies(b"INDEX|settled|\n"))?;
    runtime.block_on(index.replies(b"REMOVE|settled|\n"))?;
    Ok(())
}

/// What `line` makes of `package`, as text.
fn outcome(line: &str, package: &str) -> String {
    let mut packages = Packages::new();
    apply(&mut packages, format!("{line}\n").as_bytes());
    format!("{:?}", packages.get(package))
}

fn package_of(line: &str) -> Result<String, Broken> {
    let command =
        Command::parse(line.as_bytes()).map_err(|malformed| Broken(format!("{line}: {malformed}")))?;
    Ok(command.package.to_owned())
}
