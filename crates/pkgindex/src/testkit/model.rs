//! The protocol, as simply as it can be said. Slow, and obviously right.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Answer, Cycles};

/// What letters a name may have.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-_.@/:";

/// The packages that are indexed, each with what it depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Model(BTreeMap<String, BTreeSet<String>>);

/// A line of the protocol that is a command.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// `INDEX`, `REMOVE` or `QUERY`.
    pub verb: String,
    /// Its subject.
    pub package: String,
    /// Each name once.
    pub dependencies: BTreeSet<String>,
}

impl Request {
    /// Reads a line, which comes without its newline; `None` when the answer is ERROR.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let text = str::from_utf8(line).ok()?;
        let fields: Vec<&str> = text.split('|').collect();
        let &[verb, package, list] = fields.as_slice() else {
            return None;
        };
        let dependencies = match list {
            "" => BTreeSet::new(),
            list => list.split(',').map(str::to_owned).collect(),
        };
        let is_verb = ["INDEX", "REMOVE", "QUERY"].contains(&verb);
        let is_right = is_verb && is_name(package) && dependencies.iter().all(|name| is_name(name));
        is_right.then(|| Self {
            verb: verb.to_owned(),
            package: package.to_owned(),
            dependencies,
        })
    }
}

fn is_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && name.chars().all(|letter| LETTERS.contains(letter))
}

impl Model {
    /// Nothing is indexed.
    pub fn new() -> Self {
        Self::default()
    }

    /// The packages, each with what it depends on.
    pub fn packages(&self) -> &BTreeMap<String, BTreeSet<String>> {
        &self.0
    }

    /// What depends on `package`; itself among them when it depends on itself.
    pub fn dependents(&self, package: &str) -> BTreeSet<String> {
        let edges = self.0.iter();
        let found = edges.filter(|(_, dependencies)| dependencies.contains(package));
        found.map(|(name, _)| name.clone()).collect()
    }

    /// Those of `names` that are not indexed.
    pub fn missing(&self, names: &BTreeSet<String>) -> BTreeSet<String> {
        let missing = names.iter().filter(|name| !self.0.contains_key(*name));
        missing.cloned().collect()
    }

    /// Executes a line, which comes without its newline.
    pub fn answer(&mut self, line: &[u8], cycles: Cycles) -> Answer {
        let Some(request) = Request::parse(line) else {
            return Answer::Error;
        };
        let is_ok = match request.verb.as_str() {
            "INDEX" => self.index(request, cycles),
            "REMOVE" => self.remove(&request.package),
            _ => self.0.contains_key(&request.package),
        };
        match is_ok {
            true => Answer::Ok,
            false => Answer::Fail,
        }
    }

    fn index(&mut self, request: Request, cycles: Cycles) -> bool {
        let Request {
            package,
            dependencies,
            ..
        } = request;
        if !self.missing(&dependencies).is_empty() {
            return false;
        }
        if self.0.get(&package) == Some(&dependencies) {
            return true;
        }
        let before = self.0.insert(package.clone(), dependencies);
        let is_rejected = cycles == Cycles::Reject && self.is_on_cycle(&package);
        if let Some(before) = before.filter(|_| is_rejected) {
            self.0.insert(package, before);
        }
        !is_rejected
    }

    fn remove(&mut self, package: &str) -> bool {
        let mut others = self.dependents(package);
        others.remove(package);
        if others.is_empty() {
            self.0.remove(package);
        }
        others.is_empty()
    }

    /// Whether it depends on itself, directly or not.
    pub fn is_on_cycle(&self, package: &str) -> bool {
        let mut reached = BTreeSet::new();
        let mut open = vec![package];
        while let Some(next) = open.pop() {
            for dependency in self.0.get(next).into_iter().flatten() {
                if reached.insert(dependency.as_str()) {
                    open.push(dependency);
                }
            }
        }
        reached.contains(package)
    }

    /// Executes a stream of bytes to its end and returns the stream of answers: a line ends with its newline, what stands behind the
    /// last one is nothing, and a line of more than `max_line_bytes` is no command.
    pub fn stream(&mut self, bytes: &[u8], cycles: Cycles, max_line_bytes: usize) -> Vec<u8> {
        let mut answers = Vec::new();
        let mut lines: Vec<_> = bytes.split(|&byte| byte == b'\n').collect();
        lines.pop();
        for line in lines {
            let answer = match line.len() > max_line_bytes {
                true => Answer::Error,
                false => self.answer(line, cycles),
            };
            answers.extend(format!("{}\n", word(answer)).bytes());
        }
        answers
    }

    /// Puts all INDEX and REMOVE lines into force when the state after them is a good one, and otherwise none. Returns whether it did.
    pub fn batch(&mut self, lines: &[u8], cycles: Cycles) -> bool {
        let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
        let lines = lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let Some(requests) = lines.map(Request::parse).collect::<Option<Vec<_>>>() else {
            return false;
        };
        let mut after = self.clone();
        let mut named = BTreeSet::new();
        for request in requests.iter().cloned() {
            named.insert(request.package.clone());
            match request.verb.as_str() {
                "INDEX" => after.0.insert(request.package, request.dependencies),
                _ => after.0.remove(&request.package),
            };
        }
        let closes_cycle = cycles == Cycles::Reject && named.iter().any(|name| after.is_on_cycle(name));
        let is_good = named.len() == requests.len() && after.is_whole() && !closes_cycle;
        if is_good {
            *self = after;
        }
        is_good
    }

    /// Whether every dependency is indexed.
    fn is_whole(&self) -> bool {
        self.0.values().all(|names| self.missing(names).is_empty())
    }
}

fn word(answer: Answer) -> &'static str {
    match answer {
        Answer::Ok => "OK",
        Answer::Fail => "FAIL",
        Answer::Error => "ERROR",
    }
}
