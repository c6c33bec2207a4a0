//! Answers over HTTP: ten results with snippets, best first, from `haul up` and from Datasette on a pack of the same
//! pages. No query is asked twice, so that no cache answers for the engine.

use super::Bench;
use super::http::{Client, escaped};
use super::measure::{cost_of, percentile};
use super::nginx::{Nginx, free_port};
use super::running::Running;
use super::table::{self, Row};
use anyhow::Result;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// What Datasette runs for each query.
const SQL: &str = "select pages.url, pages.title, passages.heading, snippet(search, 2, '<b>', '</b>', '...', 30) as snippet \
                   from search join passages on passages.id = search.rowid join pages on pages.id = passages.page_id \
                   where search match :q order by search.rank limit 10";

/// Words of the Python documentation, common ones and rare ones.
const WORDS: &str = "list dictionary generator import module package class method function argument return value string \
    bytes file path socket thread process queue lock event loop async await task timeout exception error warning \
    traceback iterator sequence tuple integer float decimal complex number random datetime calendar locale encoding \
    unicode regular expression pattern match group json csv xml parser sqlite database cursor logging handler \
    formatter test mock debugger profile memory garbage reference weak descriptor property decorator context manager \
    abstract inheritance attribute metaclass annotation typing protocol compile bytecode interpreter";

/// A server and the client's figures about it.
struct Answered {
    latencies_ms: Vec<f64>,
    wall_s: f64,
    memory_mib: f64,
}

pub(super) fn compare(bench: &Bench) -> Result<()> {
    let scratch = tempfile::tempdir_in(&bench.material.scratch)?;
    let (data, pack) = (scratch.path().join("data"), scratch.path().join("pack.sqlite"));
    crawl_and_pack(bench, &data, &pack)?;

    let queries = queries(bench.extent.queries);
    let mut haul = Command::new(&bench.haul);
    haul.arg("up").arg("--data").arg(&data).arg("--listen");
    let ours = ask(haul, &|port| format!("127.0.0.1:{port}"), &queries, &|query| {
        format!("/api/v1/search?q={}&per_page=10", escaped(query))
    })?;
    let mut datasette = Command::new(bench.material.peers.join("datasette"));
    datasette.args([
        "serve",
        "--host",
        "127.0.0.1",
        "--setting",
        "sql_time_limit_ms",
        "30000",
        "-i",
    ]);
    datasette.arg(&pack).arg("--port");
    let theirs = ask(datasette, &|port| port.to_string(), &queries, &|query| {
        format!(
            "/pack.json?_shape=array&sql={}&q={}",
            escaped(SQL),
            escaped(query)
        )
    })?;
    print(queries.len(), &ours, &theirs);
    Ok(())
}

/// The same site for both: into a data folder for `haul up`, into one file for Datasette.
fn crawl_and_pack(bench: &Bench, data: &Path, pack: &Path) -> Result<()> {
    let log = bench.material.scratch.join("serve.log");
    let nginx = Nginx::serve(&bench.material.python)?;
    let url = nginx.url();
    let site = [
        "--allow-private",
        "--delay-ms",
        "0",
        "--concurrency",
        super::crawling::CONCURRENCY,
    ];
    cost_of(
        Command::new(&bench.haul)
            .args(["crawl", &url])
            .args(site)
            .arg("--data")
            .arg(data),
        &log,
    )?;
    cost_of(
        Command::new(&bench.haul)
            .args(["pack", &url])
            .args(site)
            .arg("-o")
            .arg(pack),
        &log,
    )?;
    Ok(())
}

fn print(asked: usize, ours: &Answered, theirs: &Answered) {
    let per_second = |answered: &Answered| asked as f64 / answered.wall_s;
    let latency = |answered: &Answered, percent| percentile(answered.latencies_ms.clone(), percent);
    let rows = [
        Row::more("answers/s", per_second(ours), per_second(theirs)),
        Row::less("p50, ms", latency(ours, 50), latency(theirs, 50)),
        Row::less("p99, ms", latency(ours, 99), latency(theirs, 99)),
        Row::less("memory, MiB", ours.memory_mib, theirs.memory_mib),
    ];
    table::print(
        &format!("Answers with snippets: python3.11-doc, {asked} queries"),
        "datasette",
        &rows,
    );
}

/// Different queries of one to three words, the same in every run.
fn queries(count: usize) -> Vec<String> {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let word = |number: usize| words[number % words.len()];
    let query = |number: usize| match number / words.len() {
        0 => word(number).to_owned(),
        round if round % 2 == 1 => format!("{} {}", word(number), word(number + round * 7)),
        round => format!(
            "{} {} {}",
            word(number),
            word(number + round * 5),
            word(number + round * 11)
        ),
    };
    (0..count).map(query).collect()
}

/// Starts a server whose last argument says where it listens, and asks it everything.
fn ask(
    mut server: Command,
    listen: &dyn Fn(u16) -> String,
    queries: &[String],
    target: &dyn Fn(&str) -> String,
) -> Result<Answered> {
    let port = free_port()?;
    let mut running = Running::start(server.arg(listen(port)), Path::new("/dev/null"))?;
    let mut client = Client::over(running.connect(port)?)?;
    wait_for_answers(&mut client, &target("warm"))?;
    let mut latencies_ms = Vec::with_capacity(queries.len());
    let started = Instant::now();
    for query in queries {
        let asked = Instant::now();
        client.get(&target(query))?;
        latencies_ms.push(asked.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(Answered {
        latencies_ms,
        wall_s: started.elapsed().as_secs_f64(),
        memory_mib: running.memory_mib()?,
    })
}

/// A server that has just started may need a moment until it has something to search.
fn wait_for_answers(client: &mut Client, target: &str) -> Result<()> {
    let started = Instant::now();
    while let Err(error) = client.get(target) {
        if started.elapsed() > Duration::from_secs(30) {
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn no_query_is_asked_twice() {
        let queries = super::queries(1000);
        assert_eq!(queries.iter().collect::<HashSet<_>>().len(), 1000);
    }
}
