//! The same sweep on several machines at the same time, over ssh.
//!
//! The leader starts `ssh MACHINE PROGRAM ARGUMENTS` for each machine. Both sides speak lines of JSON: the leader sends
//! the [`Order`], the follower says [`Said::Ready`]; when all are ready or have failed, the leader says `go` to all of them.
//! Then the follower tells its progress and, at the end, its results. When its input ends it stops in order and
//! tells what it has measured so far: so nothing goes on where the leader is gone.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::conduct::{Progress, Watch, Workplace, conduct};
use crate::merge::OnMachine;
use crate::plan::Plan;
use crate::results::Results;

/// How machines are reached.
#[derive(Clone, Debug)]
pub struct Ssh {
    /// The program, `ssh` as a rule. It is called with options, the machine and the command, as OpenSSH takes them.
    pub program: String,
    /// Haul on the machines: a name on their path, or a path.
    pub remote_program: String,
    /// Its arguments: a command that calls [`follow`].
    pub remote_arguments: Vec<String>,
    /// The machines, as ssh knows them.
    pub machines: Vec<String>,
}

/// What the leader sends first.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    /// [`PROTOCOL`].
    protocol: u32,
    plan: Plan,
}

/// What a follower says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    /// It has understood the order.
    Ready { protocol: u32 },
    /// It has come so far.
    Progress(Progress),
    /// It is done.
    Results(Box<Results>),
}

const PROTOCOL: u32 = 1;
const GO: &str = "go";
/// A line at most: results of [`Plan::MAX_RUNS`] runs are smaller.
const MAX_LINE: u64 = 256 << 20;
/// What ssh says on stderr is kept so far, for the message when it fails.
const MAX_TALK: u64 = 4 << 10;
/// How long a machine may take to be ready.
const MAX_START: Duration = Duration::from_secs(60);
/// How long machines may take to stop, once they are told to.
const MAX_STOP: Duration = Duration::from_secs(15);
/// How long after the end of all machines something more may come.
const LAST_WORDS: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(50);
/// A follower tells its progress no more often.
const TELL: Duration = Duration::from_millis(200);

/// Follows a plan that a leader sends over `input`, and answers on `output`.
///
/// # Errors
///
/// When the leader cannot be understood or reached.
pub fn follow(
    input: impl Read + Send + 'static,
    mut output: impl Write,
    workplace: &Workplace,
) -> io::Result<()> {
    let mut input = BufReader::new(input);
    let order: Order = serde_json::from_str(&line(&mut input)?)?;
    order.plan.check().map_err(io::Error::other)?;
    say(&mut output, &Said::Ready { protocol: PROTOCOL })?;
    if order.protocol != PROTOCOL || line(&mut input)?.trim() != GO {
        return Ok(());
    }
    let is_left = Arc::new(AtomicBool::new(false));
    let left = Arc::clone(&is_left);
    thread::spawn(move || {
        let _ = io::copy(&mut input, &mut io::sink());
        left.store(true, Ordering::Relaxed);
    });
    let mut told: Option<(Instant, Progress)> = None;
    let results = conduct(&order.plan, workplace, &mut |progress| {
        let is_news = told
            .as_ref()
            .is_none_or(|(at, told)| at.elapsed() > TELL && told != progress);
        // The end of the input says whether somebody listens.
        if is_news && say(&mut output, &Said::Progress(progress.clone())).is_ok() {
            told = Some((Instant::now(), progress.clone()));
        }
        if is_left.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    say(&mut output, &Said::Results(Box::new(results)))
}

fn say(output: &mut impl Write, said: &Said) -> io::Result<()> {
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    output.write_all(&line)?;
    output.flush()
}

fn line(input: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    input.take(MAX_LINE).read_line(&mut line)?;
    Ok(line)
}

/// Has all machines follow `plan`. `watch` sees the sum of their progress. A machine that fails is named; the others go on.
pub fn lead(plan: &Plan, ssh: &Ssh, watch: Watch<'_>) -> Vec<OnMachine> {
    let (sender, heard) = mpsc::channel();
    let start = |(number, name): (usize, &String)| Machine::start(number, name, plan, ssh, &sender);
    let machines = ssh.machines.iter().enumerate().map(start).collect();
    drop(sender);
    let mut leader = Leader {
        machines,
        heard,
        has_gone: false,
        started: Instant::now(),
        stopped: None,
    };
    leader.listen(watch);
    leader.machines.into_iter().map(Machine::end).collect()
}

struct Leader {
    machines: Vec<Machine>,
    heard: Receiver<(usize, Heard)>,
    has_gone: bool,
    started: Instant,
    /// When the machines were told to stop.
    stopped: Option<Instant>,
}

/// What comes from one machine.
enum Heard {
    Said(Said),
    /// A line that was not understood.
    Noise(String),
    /// The last words on stderr.
    Talk(String),
    End,
}

impl Leader {
    fn listen(&mut self, watch: Watch<'_>) {
        while self.machines.iter().any(Machine::is_open) {
            match self.heard.recv_timeout(LOOK) {
                Ok((number, heard)) => self.machines[number].hear(heard),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            if self.stopped.is_none() && watch(&self.progress()).is_break() {
                self.stopped = Some(Instant::now());
                self.machines.iter_mut().for_each(|machine| machine.input = None);
            }
            self.go_when_ready();
            if self.stopped.is_some_and(|at| at.elapsed() > MAX_STOP) {
                let late = self.machines.iter_mut().filter(|machine| machine.is_open());
                late.for_each(|machine| machine.give_up("it did not stop in time"));
            }
        }
        self.hear_last_words();
    }

    /// Why a machine failed may arrive after its end: the two come over different pipes.
    fn hear_last_words(&mut self) {
        while let Ok((number, heard)) = self.heard.recv_timeout(LAST_WORDS) {
            self.machines[number].hear(heard);
        }
    }

    fn go_when_ready(&mut self) {
        if self.has_gone || self.stopped.is_some() {
            return;
        }
        if self.started.elapsed() > MAX_START {
            let late = self.machines.iter_mut().filter(|machine| !machine.is_ready);
            late.for_each(|machine| machine.give_up("it was not ready in time"));
        }
        if self
            .machines
            .iter()
            .all(|machine| machine.is_ready || !machine.is_open())
        {
            self.has_gone = true;
            self.machines.iter_mut().for_each(Machine::go);
        }
    }

    fn progress(&self) -> Progress {
        let sum = |count: fn(&Progress) -> usize| {
            self.machines.iter().map(|machine| count(&machine.progress)).sum()
        };
        let of_each = |machine: &Machine| {
            format!(
                "{} {}/{}",
                machine.name, machine.progress.done, machine.progress.total
            )
        };
        Progress {
            done: sum(|progress| progress.done),
            total: sum(|progress| progress.total),
            label: self.machines.iter().map(of_each).collect::<Vec<_>>().join(", "),
        }
    }
}

/// One machine, as the leader sees it.
struct Machine {
    name: String,
    child: Option<Child>,
    input: Option<ChildStdin>,
    is_ready: bool,
    has_ended: bool,
    progress: Progress,
    results: Option<Box<Results>>,
    talk: String,
    failure: Option<String>,
}

impl Machine {
    fn start(number: usize, name: &str, plan: &Plan, ssh: &Ssh, heard: &Sender<(usize, Heard)>) -> Self {
        let mut machine = Self {
            name: name.to_owned(),
            child: None,
            input: None,
            is_ready: false,
            has_ended: false,
            progress: Progress {
                total: plan.runs(),
                ..Progress::default()
            },
            results: None,
            talk: String::new(),
            failure: None,
        };
        if let Err(error) = machine.connect(number, plan, ssh, heard) {
            machine.failure = Some(format!("{} cannot be started: {error}", ssh.program));
            machine.has_ended = true;
        }
        machine
    }

    fn connect(
        &mut self,
        number: usize,
        plan: &Plan,
        ssh: &Ssh,
        heard: &Sender<(usize, Heard)>,
    ) -> io::Result<()> {
        let mut command = Command::new(&ssh.program);
        command.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=20", &self.name]);
        let words = std::iter::once(&ssh.remote_program).chain(&ssh.remote_arguments);
        command.arg(words.map(|word| quoted(word)).collect::<Vec<_>>().join(" "));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // As in `conduct`: Ctrl-C is for the leader, who ends the others in order.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn()?;
        self.input = child.stdin.take();
        listen(number, child.stdout.take(), heard.clone());
        overhear(number, child.stderr.take(), heard.clone());
        self.child = Some(child);
        let order = Order {
            protocol: PROTOCOL,
            plan: plan.clone(),
        };
        self.tell(&serde_json::to_string(&order)?);
        Ok(())
    }

    /// Why it did not arrive is told by the end of its output.
    fn tell(&mut self, text: &str) {
        if let Some(input) = &mut self.input {
            let _ = writeln!(input, "{text}").and_then(|()| input.flush());
        }
    }

    fn go(&mut self) {
        self.tell(GO);
    }

    fn is_open(&self) -> bool {
        !self.has_ended
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Said(Said::Ready { protocol: PROTOCOL }) => self.is_ready = true,
            Heard::Said(Said::Ready { .. }) => {
                self.give_up("it has another version of haul: install the same one");
            }
            Heard::Said(Said::Progress(progress)) => self.progress = progress,
            Heard::Said(Said::Results(results)) => self.results = Some(results),
            Heard::Noise(line) => self.talk = line,
            Heard::Talk(talk) => self.talk = talk,
            Heard::End => self.has_ended = true,
        }
    }

    fn give_up(&mut self, why: &str) {
        self.failure.get_or_insert_with(|| why.to_owned());
        self.has_ended = true;
        self.input = None;
        if let Some(child) = &mut self.child {
            // It may have ended just now.
            let _ = child.kill();
        }
    }

    fn end(mut self) -> OnMachine {
        self.input = None;
        let status = self.child.and_then(|mut child| child.wait().ok());
        if self.results.is_none() && self.failure.is_none() {
            let status = status.map_or_else(|| "no status".to_owned(), |status| status.to_string());
            let said = self
                .talk
                .trim()
                .lines()
                .last()
                .unwrap_or("it said nothing")
                .to_owned();
            self.failure = Some(format!("no results came ({status}): {said}"));
        }
        let is_whole = self.results.as_ref().is_none_or(|results| results.complete);
        if !is_whole {
            self.failure
                .get_or_insert_with(|| "it was stopped before its last run".to_owned());
        }
        OnMachine {
            name: self.name,
            failure: self.failure,
            results: self.results.map(|results| *results),
        }
    }
}

fn listen(number: usize, output: Option<impl Read + Send + 'static>, heard: Sender<(usize, Heard)>) {
    thread::spawn(move || {
        let mut output = output.map(BufReader::new);
        while let Some(Ok(text)) = output
            .as_mut()
            .map(line)
            .filter(|line| !matches!(line, Ok(text) if text.is_empty()))
        {
            let noise = |_| Heard::Noise(text.chars().take(200).collect());
            let said = serde_json::from_str(&text).map_or_else(noise, Heard::Said);
            if heard.send((number, said)).is_err() {
                return;
            }
        }
        let _ = heard.send((number, Heard::End));
    });
}

/// The last words are told, because they say why; the beginning may be a banner.
fn overhear(number: usize, talk: Option<impl Read + Send + 'static>, heard: Sender<(usize, Heard)>) {
    thread::spawn(move || {
        let Some(talk) = talk else { return };
        for line in BufReader::new(talk).lines().map_while(Result::ok) {
            let line: String = line.chars().take(MAX_TALK as usize).collect();
            if !line.trim().is_empty() && heard.send((number, Heard::Talk(line))).is_err() {
                return;
            }
        }
    });
}

/// As one word of a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        let configuration = crate::Configuration {
            chunk_bytes: None,
            connections: None,
            files: None,
            sink: crate::Sink::Null,
            memory_bytes: 64 << 20,
        };
        let plan = Plan {
            addresses: vec!["http://127.0.0.1:9/one".to_owned()],
            configurations: vec![configuration],
            rounds: 1,
            warm_up: false,
            limit_ms: 1_000,
            seed: 1,
            scratch: None,
        };
        Order {
            protocol: PROTOCOL,
            plan,
        }
    }

    /// What a follower says that hears `order` and then `rest`, and whose program is not there.
    fn check_follow(order: &Order, rest: &str) -> Vec<Said> {
        let input = format!("{}\n{rest}", serde_json::to_string(order).unwrap());
        let workplace = Workplace {
            program: "/nonexistent/haul".into(),
            arguments: Vec::new(),
            version: "1.2.3".to_owned(),
            profiles: None,
            scratch: "/nonexistent".into(),
        };
        let mut output = Vec::new();
        follow(io::Cursor::new(input), &mut output, &workplace).unwrap();
        let text = String::from_utf8(output).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn a_follower_waits_for_the_word() {
        let ready = |said: &[Said]| matches!(said, [Said::Ready { protocol: PROTOCOL }]);
        assert!(ready(&check_follow(&order(), "")));
        assert!(ready(&check_follow(&order(), "stay\n")));
        let later = Order {
            protocol: PROTOCOL + 1,
            ..order()
        };
        assert!(
            ready(&check_follow(&later, "go\n")),
            "it says what it speaks, and no more"
        );
    }

    #[test]
    fn a_follower_tells_its_results_even_where_nothing_could_be_measured() {
        let said = check_follow(&order(), "go\n");
        let Some(Said::Results(results)) = said.last() else {
            panic!("{said:?}");
        };
        assert_eq!((results.program.as_str(), results.done()), ("1.2.3", 0));
    }

    #[test]
    fn a_path_is_one_word_of_the_shell() {
        assert_eq!(quoted("/opt/my haul/bin's"), r"'/opt/my haul/bin'\''s'");
    }
}
