//! What containing costs: medians of interleaved runs of `/bin/true`, bare and contained.
//!
//! `cargo run --release -p sandbox --example overhead [ROUNDS [SOCKET OF A CONTAINER ENGINE]]`

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use sandbox::{Ability, Container, Ended, Job, JobLimits, Network, Sandbox, SandboxOptions};

fn main() -> ExitCode {
    if std::env::args_os().nth(1).as_deref() == Some(OsStr::new("contain")) {
        return sandbox::contain();
    }
    let rounds = std::env::args()
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or(40);
    let engine = std::env::args_os().nth(2);
    let container = engine.map_or(Container::Bubblewrap, |socket| Container::Engine {
        socket: socket.into(),
    });
    match measure(container, rounds) {
        Ok(line) => say(&line),
        Err(error) => say(&error.to_string()),
    }
}

#[expect(clippy::print_stdout, reason = "a program that reports")]
fn say(line: &str) -> ExitCode {
    println!("{line}");
    ExitCode::SUCCESS
}

fn measure(container: Container, rounds: usize) -> Result<String, Box<dyn std::error::Error>> {
    let contain = vec![std::env::current_exe()?.into(), "contain".into()];
    let accept_lacks = vec![Ability::Memory, Ability::Processes, Ability::Cpu];
    let sandbox = Sandbox::detect(SandboxOptions {
        container,
        contain,
        first_uid: 700_000,
        accept_lacks,
    });
    let folder = tempfile::tempdir()?;
    let (mut bare, mut contained, mut started) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let start = Instant::now();
        Command::new("/bin/true").status()?;
        bare.push(start.elapsed());
        let start = Instant::now();
        let running = sandbox.start(job(folder.path()))?;
        started.push(start.elapsed());
        let (ended, _) = running.wait();
        contained.push(start.elapsed());
        if ended != Ended::Exited(0) {
            return Err(format!("the job ended {ended:?}").into());
        }
    }
    let [bare, started, contained] = [bare, started, contained].map(median_ms);
    let overhead = contained - bare;
    Ok(format!(
        "| /bin/true, {rounds} rounds | ms |\n|---|---:|\n| bare | {bare:.1} |\n| until the sandbox is made | {started:.1} |\n\
        | contained, to its end | {contained:.1} |\n| overhead | {overhead:.1} |"
    ))
}

fn median_ms(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times
        .get(times.len() / 2)
        .map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}

fn job(folder: &Path) -> Job {
    Job {
        name: "overhead".to_owned(),
        command: vec!["/bin/true".to_owned()],
        environment: Vec::new(),
        folder: folder.to_owned(),
        mounts: Vec::new(),
        network: Network::Gateway,
        limits: JobLimits {
            memory_bytes: 512 << 20,
            processes: 256,
            cpu_weight: 100,
            disk_bytes: 1 << 30,
            files: 10_000,
            tmp_bytes: 64 << 20,
            time: Duration::from_secs(60),
            grace: Duration::from_secs(1),
        },
    }
}
