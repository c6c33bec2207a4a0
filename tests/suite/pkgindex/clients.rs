//! Clients that know what they must be answered, because nobody else changes their packages.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::mpsc::Sender;

use anyhow::{Context, Result, ensure};
use tests::{Numbers, Talk};

const PACKAGES: u64 = 12;
const LINES_AT_ONCE: u64 = 8;

/// Packages and what they depend on.
pub(super) type Graph = BTreeMap<String, BTreeSet<String>>;

/// The graph that INDEX lines tell.
pub(super) fn graph(lines: &[String]) -> Result<Graph> {
    let mut graph = Graph::new();
    for line in lines {
        ensure!(
            apply(&mut graph, line, Trust::Told) == "OK",
            "{line} is no INDEX line"
        );
    }
    Ok(graph)
}

/// Whether a line still has to be judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// It comes from a client.
    Asked,
    /// It is what became of one.
    Told,
}

/// What a line is answered, and what it does.
pub(super) fn apply(graph: &mut Graph, line: &str, trust: Trust) -> &'static str {
    let mut parts = line.split('|');
    let (verb, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let dependencies = parts
        .next()
        .unwrap_or_default()
        .split(',')
        .filter(|name| !name.is_empty());
    let dependencies: BTreeSet<String> = dependencies.map(str::to_owned).collect();
    let is_ok = match verb {
        "INDEX" => trust == Trust::Told || dependencies.iter().all(|name| graph.contains_key(name)),
        "REMOVE" => trust == Trust::Told || !is_needed(graph, name),
        _ => graph.contains_key(name),
    };
    match verb {
        "INDEX" if is_ok => _ = graph.insert(name.to_owned(), dependencies),
        "REMOVE" if is_ok => _ = graph.remove(name),
        _ => {}
    }
    if is_ok { "OK" } else { "FAIL" }
}

fn is_needed(graph: &Graph, name: &str) -> bool {
    let mut others = graph.iter().filter(|(package, _)| *package != name);
    others.any(|(_, dependencies)| dependencies.contains(name))
}

/// A client with packages of its own.
pub(super) struct Client {
    name: String,
    numbers: Numbers,
    /// Its packages, as far as it was answered.
    known: Graph,
    /// What it has sent and was not answered, oldest first.
    unanswered: Vec<String>,
}

impl Client {
    pub(super) fn new(name: String, seed: u64) -> Self {
        Self {
            name,
            numbers: Numbers(seed),
            known: Graph::new(),
            unanswered: Vec::new(),
        }
    }

    /// Some clients that have nothing in common.
    pub(super) fn several(count: u64, seed: u64) -> Vec<Self> {
        (0..count)
            .map(|number| Self::new(format!("client{number}"), seed + number))
            .collect()
    }

    /// Talks with a server until it goes away or nobody listens to `answered` any more; an error when it answers something wrong.
    pub(super) fn work(&mut self, server: SocketAddr, answered: &Sender<()>) -> Result<()> {
        let Ok(mut talk) = Talk::open(server) else {
            return Ok(());
        };
        loop {
            let many = 1 + self.numbers.below(LINES_AT_ONCE);
            self.unanswered = (0..many).map(|_| self.line()).collect();
            let lines: String = self.unanswered.iter().map(|line| format!("{line}\n")).collect();
            if talk.send(lines.as_bytes()).is_err() {
                return Ok(());
            }
            while !self.unanswered.is_empty() {
                let Ok(answer) = talk.answer() else {
                    return Ok(());
                };
                self.hear(&answer)?;
            }
            if answered.send(()).is_err() {
                return Ok(());
            }
        }
    }

    fn hear(&mut self, answer: &str) -> Result<()> {
        let line = self.unanswered.remove(0);
        let before = self.known.clone();
        let right = apply(&mut self.known, &line, Trust::Asked);
        ensure!(
            answer == right,
            "{line} was answered {answer:?}, not {right}, by who has {before:?}"
        );
        Ok(())
    }

    fn line(&mut self) -> String {
        let package = self.package();
        match self.numbers.below(10) {
            0..5 => {
                let many = self.numbers.below(4);
                let dependencies: Vec<_> = (0..many).map(|_| self.package()).collect();
                format!("INDEX|{package}|{}", dependencies.join(","))
            }
            5..8 => format!("REMOVE|{package}|"),
            _ => format!("QUERY|{package}|"),
        }
    }

    fn package(&mut self) -> String {
        format!("{}/{}", self.name, self.numbers.below(PACKAGES))
    }

    /// Finds out what became of what was not answered. Lines of one connection are done in order, so what is kept must be what
    /// was answered and none, some or all of the rest, without a gap. Returns how many were not answered.
    pub(super) fn settle(&mut self, kept: &Graph) -> Result<usize> {
        let prefix = format!("{}/", self.name);
        let own = kept.iter().filter(|(name, _)| name.starts_with(&prefix));
        let own: Graph = own.map(|(name, needs)| (name.clone(), needs.clone())).collect();
        let unanswered = std::mem::take(&mut self.unanswered);
        let mut possible = self.known.clone();
        let mut lines = unanswered.iter();
        while possible != own {
            let line = lines.next().with_context(|| {
                format!(
                    "{} has lost something: answered were {:#?}, then it sent {unanswered:#?}, and kept is {own:#?}",
                    self.name, self.known
                )
            })?;
            apply(&mut possible, line, Trust::Asked);
        }
        self.known = own;
        Ok(unanswered.len())
    }
}
