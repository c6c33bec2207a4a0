use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use pkgindex::Cycles;

/// Short, so that the tests are.
pub(crate) const MAX_LINE_BYTES: usize = 1 << 14;

/// What a server does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    IndexesAnything,
    ChecksFirstDependency,
    RemovesAnything,
    ReverseEdgeOfFirst,
    ReverseEdgeOfLast,
    ForgetsAllDependents,
    KeepsOldList,
    KeepsOldReverseEdges,
    ClearsBeforeCheck,
    NewMayNeedItself,
    OwnEdgeBlocks,
    RemoveOfNothingFails,
    QueryChecksDependencies,
    LowerCases,
    DropsShortNames,
    CleansPaths,
    CutsNames,
    UnknownFails,
    TakesLowerCase,
    Trims,
    TakesAnyLetter,
    SkipsEmptyDependencies,
    IgnoresMorePipes,
    TakesCrlf,
    SendsCrlf,
    AnswersTwice,
    AnswersErrorTwice,
    SkipsEmptyLines,
    ClosesOnError,
    ExecutesTail,
    LosesPipelined,
    TakesSegmentsAsLines,
    SplitsLongLines,
    ClosesOnLongLine,
    ExecutesLongLines,
    ForgetsConnection,
    ChecksThenActs,
}

impl Mistake {
    pub(crate) const ALL: [Self; 37] = [
        Self::IndexesAnything,
        Self::ChecksFirstDependency,
        Self::RemovesAnything,
        Self::ReverseEdgeOfFirst,
        Self::ReverseEdgeOfLast,
        Self::ForgetsAllDependents,
        Self::KeepsOldList,
        Self::KeepsOldReverseEdges,
        Self::ClearsBeforeCheck,
        Self::NewMayNeedItself,
        Self::OwnEdgeBlocks,
        Self::RemoveOfNothingFails,
        Self::QueryChecksDependencies,
        Self::LowerCases,
        Self::DropsShortNames,
        Self::CleansPaths,
        Self::CutsNames,
        Self::UnknownFails,
        Self::TakesLowerCase,
        Self::Trims,
        Self::TakesAnyLetter,
        Self::SkipsEmptyDependencies,
        Self::IgnoresMorePipes,
        Self::TakesCrlf,
        Self::SendsCrlf,
        Self::AnswersTwice,
        Self::AnswersErrorTwice,
        Self::SkipsEmptyLines,
        Self::ClosesOnError,
        Self::ExecutesTail,
        Self::LosesPipelined,
        Self::TakesSegmentsAsLines,
        Self::SplitsLongLines,
        Self::ClosesOnLongLine,
        Self::ExecutesLongLines,
        Self::ForgetsConnection,
        Self::ChecksThenActs,
    ];
}

/// Serves on a port of its own until the test's process ends.
pub(crate) fn serve(mistake: Option<Mistake>, cycles: Cycles) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server {
        mistake,
        cycles,
        edges: Arc::default(),
    };
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut server = server.clone();
            if server.makes(Mistake::ForgetsConnection) {
                server.edges = Arc::default();
            }
            thread::spawn(move || server.talk(&stream.unwrap()));
        }
    });
    address
}

#[derive(Clone)]
struct Server {
    mistake: Option<Mistake>,
    cycles: Cycles,
    edges: Arc<Mutex<Edges>>,
}

#[derive(Default)]
struct Edges {
    needs: BTreeMap<String, Vec<String>>,
    /// Written with every command and read for REMOVE, so that mistakes in it can be made.
    needed_by: BTreeMap<String, BTreeSet<String>>,
}

impl Server {
    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    fn talk(&self, mut stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut pending: Vec<u8> = Vec::new();
        let mut is_too_long = false;
        let mut segment = vec![0; 1 << 12];
        loop {
            let length = stream.read(&mut segment)?;
            if length == 0 {
                break;
            }
            pending.extend_from_slice(&segment[..length]);
            if self.makes(Mistake::TakesSegmentsAsLines) && !pending.ends_with(b"\n") {
                pending.push(b'\n');
            }
            while let Some(end) = pending.iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = pending.drain(..=end).collect();
                line.pop();
                is_too_long |= line.len() > MAX_LINE_BYTES && !self.makes(Mistake::ExecutesLongLines);
                let answer = match std::mem::take(&mut is_too_long) {
                    true => "ERROR",
                    false => self.answer(&line),
                };
                self.send(stream, answer)?;
                if self.makes(Mistake::ClosesOnError) && answer == "ERROR" {
                    return Ok(());
                }
                if self.makes(Mistake::LosesPipelined) {
                    pending.clear();
                }
            }
            if pending.len() > MAX_LINE_BYTES && !self.makes(Mistake::ExecutesLongLines) {
                pending.clear();
                is_too_long = true;
                if self.makes(Mistake::SplitsLongLines) {
                    is_too_long = false;
                    self.send(stream, "ERROR")?;
                }
                if self.makes(Mistake::ClosesOnLongLine) {
                    return Ok(());
                }
            }
        }
        if self.makes(Mistake::ExecutesTail) && !pending.is_empty() {
            self.answer(&pending);
        }
        Ok(())
    }

    fn send(&self, mut stream: &TcpStream, answer: &str) -> io::Result<()> {
        let is_twice = self.makes(Mistake::AnswersTwice)
            || (self.makes(Mistake::AnswersErrorTwice) && answer == "ERROR");
        let mut line = match self.makes(Mistake::SendsCrlf) {
            true => format!("{answer}\r\n"),
            false => format!("{answer}\n"),
        };
        if is_twice {
            line = line.repeat(2);
        }
        if answer.is_empty() {
            return Ok(());
        }
        stream.write_all(line.as_bytes())
    }

    fn answer(&self, line: &[u8]) -> &'static str {
        if line.is_empty() && self.makes(Mistake::SkipsEmptyLines) {
            return "";
        }
        let Some((verb, package, needs)) = self.parse(line) else {
            return "ERROR";
        };
        let is_ok = match verb.as_str() {
            "INDEX" => self.index(&package, needs),
            "REMOVE" => self.remove(&package),
            "QUERY" => self.query(&package, &needs),
            _ => false,
        };
        if is_ok { "OK" } else { "FAIL" }
    }

    fn parse(&self, line: &[u8]) -> Option<(String, String, Vec<String>)> {
        let mut text = match self.makes(Mistake::TakesAnyLetter) {
            true => String::from_utf8_lossy(line).into_owned(),
            false => String::from_utf8(line.to_vec()).ok()?,
        };
        if self.makes(Mistake::Trims) {
            text = text.trim().to_owned();
        }
        if self.makes(Mistake::TakesCrlf) {
            text = text.trim_end_matches('\r').to_owned();
        }
        let mut fields: Vec<_> = text.split('|').collect();
        if self.makes(Mistake::IgnoresMorePipes) {
            fields.truncate(3);
        }
        let [verb, package, needs] = fields[..] else {
            return None;
        };
        let mut verb = verb.to_owned();
        if self.makes(Mistake::TakesLowerCase) {
            verb.make_ascii_uppercase();
        }
        let is_known = ["INDEX", "REMOVE", "QUERY"].contains(&verb.as_str());
        if !is_known && !self.makes(Mistake::UnknownFails) {
            return None;
        }
        let needs: Vec<_> = match needs {
            "" => Vec::new(),
            needs => needs.split(',').collect(),
        };
        let is_kept = |name: &&str| !(self.makes(Mistake::SkipsEmptyDependencies) && name.is_empty());
        let needs: Option<_> = needs
            .into_iter()
            .filter(is_kept)
            .map(|name| self.name(name))
            .collect();
        Some((verb, self.name(package)?, needs?))
    }

    fn name(&self, name: &str) -> Option<String> {
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "+-_.@/:".contains(letter);
        let is_name = !name.is_empty() && name.chars().all(is_letter) && name.len() <= 255;
        if !is_name && !self.makes(Mistake::TakesAnyLetter) {
            return None;
        }
        Some(match self.mistake {
            Some(Mistake::LowerCases) => name.to_lowercase(),
            Some(Mistake::CutsNames) => name.chars().take(254).collect(),
            Some(Mistake::CleansPaths) => cleaned(name),
            _ => name.to_owned(),
        })
    }

    fn index(&self, package: &str, needs: Vec<String>) -> bool {
        let mut edges = self.edges.lock().unwrap();
        if self.makes(Mistake::DropsShortNames) && package.len() == 1 {
            return true;
        }
        if self.makes(Mistake::ClearsBeforeCheck) {
            edges.forget(package, false);
        }
        let is_there = |name: &String| {
            edges.needs.contains_key(name) || (self.makes(Mistake::NewMayNeedItself) && name == package)
        };
        let is_right = match self.mistake {
            Some(Mistake::IndexesAnything) => true,
            Some(Mistake::ChecksFirstDependency) => needs.iter().take(1).all(is_there),
            _ => needs.iter().all(is_there),
        };
        if !is_right || self.closes_cycle(&edges, package, &needs) {
            return false;
        }
        if self.makes(Mistake::ChecksThenActs) {
            drop(edges);
            thread::yield_now();
            edges = self.edges.lock().unwrap();
        }
        let is_known = edges.needs.contains_key(package);
        if is_known && self.makes(Mistake::KeepsOldList) {
            return true;
        }
        if !self.makes(Mistake::KeepsOldReverseEdges) {
            edges.forget(package, false);
        }
        let reverse: Vec<_> = match self.mistake {
            Some(Mistake::ReverseEdgeOfFirst) => needs.iter().take(1).collect(),
            Some(Mistake::ReverseEdgeOfLast) => needs.iter().rev().take(1).collect(),
            _ => needs.iter().collect(),
        };
        for name in reverse {
            edges
                .needed_by
                .entry(name.clone())
                .or_default()
                .insert(package.to_owned());
        }
        edges.needs.insert(package.to_owned(), needs);
        true
    }

    fn closes_cycle(&self, edges: &Edges, package: &str, needs: &[String]) -> bool {
        let is_same = |old: &Vec<String>| BTreeSet::from_iter(old) == BTreeSet::from_iter(needs);
        if self.cycles != Cycles::Reject || edges.needs.get(package).is_some_and(is_same) {
            return false;
        }
        let mut open = needs.to_vec();
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            if name == package {
                return true;
            }
            if seen.insert(name.clone()) {
                open.extend(edges.needs.get(&name).into_iter().flatten().cloned());
            }
        }
        false
    }

    fn remove(&self, package: &str) -> bool {
        let mut edges = self.edges.lock().unwrap();
        if !edges.needs.contains_key(package) {
            return !self.makes(Mistake::RemoveOfNothingFails);
        }
        let blockers = edges.needed_by.get(package);
        let is_needed = blockers.is_some_and(|names| {
            let counts = |name: &String| name != package || self.makes(Mistake::OwnEdgeBlocks);
            names.iter().any(counts)
        });
        if is_needed && !self.makes(Mistake::RemovesAnything) {
            return false;
        }
        edges.forget(package, self.makes(Mistake::ForgetsAllDependents));
        true
    }

    fn query(&self, package: &str, needs: &[String]) -> bool {
        let edges = self.edges.lock().unwrap();
        let is_there = |name: &String| edges.needs.contains_key(name);
        edges.needs.contains_key(package)
            && (!self.makes(Mistake::QueryChecksDependencies) || needs.iter().all(is_there))
    }
}

impl Edges {
    fn forget(&mut self, package: &str, forgets_all: bool) {
        for name in self.needs.remove(package).unwrap_or_default() {
            let dependents = self.needed_by.entry(name).or_default();
            dependents.remove(package);
            if forgets_all {
                dependents.clear();
            }
        }
    }
}

/// As a path that somebody opens.
fn cleaned(name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
