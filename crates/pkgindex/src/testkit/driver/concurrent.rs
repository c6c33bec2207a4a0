//! Clients at the same time.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::thread;

use crate::Answer;
use crate::testkit::driver::conversation::Conversation;
use crate::testkit::driver::{Finding, Options};
use crate::testkit::histories::{Recorder, linearize};
use crate::testkit::model::Model;
use crate::testkit::random::Random;

/// How many pairs of commands compete on two connections.
const PAIRS: usize = 200;

/// One client indexes what depends on a package while another removes that package: exactly one of the two may be told OK. Both send
/// all their lines at once, so that they meet somewhere.
pub(super) fn either_or(
    address: SocketAddr,
    options: &Options,
    round: usize,
    _: &mut Random,
) -> Result<(), Finding> {
    let finding = |what| Finding {
        case: "check and act are one step".to_owned(),
        what,
    };
    let of_all = |line: &dyn Fn(usize) -> String| (0..PAIRS).map(line).collect::<String>();
    let base = of_all(&|at| format!("INDEX|pair:{round}/{at}|\n"));
    let index = of_all(&|at| format!("INDEX|needs:{round}/{at}|pair:{round}/{at}\n"));
    let remove = of_all(&|at| format!("REMOVE|pair:{round}/{at}|\n"));
    let talk = |lines: &str| -> Result<Vec<bool>, String> {
        Conversation::open(address, options.patience)?.are_ok(lines)
    };
    talk(&base).map_err(finding)?;
    let start = Barrier::new(2);
    let begin = |lines: &str| {
        start.wait();
        talk(lines)
    };
    let (indexed, removed) = thread::scope(|scope| {
        let indexing = scope.spawn(|| begin(&index));
        let removed = begin(&remove);
        (indexing.join(), removed)
    });
    let Ok(indexed) = indexed else {
        return Err(finding("the driver's own thread panicked".to_owned()));
    };
    let pairs = indexed
        .map_err(finding)?
        .into_iter()
        .zip(removed.map_err(finding)?);
    match pairs
        .enumerate()
        .find(|(_, (indexed, removed))| indexed == removed)
    {
        None => Ok(()),
        Some((at, (indexed, _))) => Err(finding(format!(
            "at the same time INDEX|needs:{round}/{at}|pair:{round}/{at} and REMOVE|pair:{round}/{at}| were both told {}",
            if indexed { "OK" } else { "FAIL" }
        ))),
    }
}

/// Four clients share five packages; all that they are told must have an order.
pub(super) fn share(
    address: SocketAddr,
    options: &Options,
    round: usize,
    random: &mut Random,
) -> Result<(), Finding> {
    let finding = |what| Finding {
        case: "clients at the same time".to_owned(),
        what,
    };
    let packages = [0, 1, 2, 3, 4].map(|at| format!("shared:{round}/{at}"));
    let recorder = Recorder::new();
    let start = Barrier::new(4);
    let lines_of = |client| {
        let lines: Vec<_> = (0..15).map(|_| random.line(&packages)).collect();
        (client, lines)
    };
    let clients: Vec<_> = (0..4).map(lines_of).collect();
    let talked: Vec<_> = thread::scope(|scope| {
        let (recorder, start) = (&recorder, &start);
        let begin = |(client, lines): &'_ (usize, Vec<String>)| {
            let (client, lines) = (*client, lines.clone());
            scope.spawn(move || {
                let conversation = Conversation::open(address, options.patience);
                start.wait();
                ask(&mut conversation?, client, &lines, recorder)
            })
        };
        let clients: Vec<_> = clients.iter().map(begin).collect();
        clients.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    for talked in talked.into_iter().flatten() {
        talked.map_err(finding)?;
    }
    // What is left shows in what can be removed.
    let all = packages.iter().chain(packages.iter().rev());
    let lines: Vec<_> = all.map(|package| format!("REMOVE|{package}|")).collect();
    let conversation = Conversation::open(address, options.patience);
    conversation
        .and_then(|mut conversation| ask(&mut conversation, 4, &lines, &recorder))
        .map_err(finding)?;
    let history = recorder.into_history();
    linearize(&Model::new(), &history, options.cycles).map_err(|bad| finding(bad.to_string()))
}

/// Asks line by line and writes down what came.
fn ask(
    conversation: &mut Conversation,
    client: usize,
    lines: &[String],
    recorder: &Recorder,
) -> Result<(), String> {
    for line in lines {
        let invoked = recorder.now();
        let answer = match conversation.answer(line)?.as_str() {
            "OK" => Answer::Ok,
            "FAIL" => Answer::Fail,
            "ERROR" => Answer::Error,
            other => return Err(format!("sent {line:?}, and {other:?} came, which is no answer")),
        };
        recorder.record(client, line, invoked, Some((answer, None)));
    }
    Ok(())
}
