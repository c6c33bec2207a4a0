//! `haul bench retrieve`: small sweeps against a server in this process, here and over an ssh that is none.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use origin::{Config, Delay, Object, Origin, Shaping};
use serde_json::Value;
use tests::{Bench, Haul, wait};

pub(crate) fn add(bench: &mut Bench) {
    bench.test("bench: a matrix is measured and reported", &[], a_matrix);
    bench.test("bench: a bucket, some of its files, credentials", &[], a_bucket);
    bench.test("bench: a run that takes too long", &[], too_slow);
    bench.test("bench: what fails is told and left out", &[], failing);
    bench.test("bench: Ctrl-C leaves a report", &[], interrupted);
    bench.test("bench: no run outlives who started it", &[], killed);
    bench.test("bench: machines are driven and merged", &[], machines);
    bench.test("bench: Ctrl-C ends all machines", &[], interrupted_machines);
    bench.test("bench: what cannot be asked", &[], wrong_usage);
}

const MIB: u64 = 1 << 20;

fn origin() -> Result<Origin> {
    let origin = Origin::start(Config::default())?;
    origin.put("b", "one", Object::new(1, 3 * MIB + 17));
    Ok(origin)
}

fn one(origin: &Origin) -> String {
    format!("{}/b/one", origin.url())
}

fn document(folder: &Path) -> Result<Value> {
    let path = folder.join("results.json");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(serde_json::from_str(&text)?)
}

fn page(folder: &Path) -> Result<String> {
    let page = fs::read_to_string(folder.join("report.html"))?;
    ensure!(
        page.ends_with("</html>") && !page.contains("<script"),
        "no whole page"
    );
    Ok(page)
}

fn array<'a>(value: &'a Value, name: &str) -> Result<&'a Vec<Value>> {
    value[name].as_array().with_context(|| format!("no array {name}"))
}

fn a_matrix() -> Result<()> {
    let (haul, origin) = (Haul::new()?, origin()?);
    let address = format!("{}?signature=secret", one(&origin));
    let words = [
        "bench",
        "retrieve",
        &address,
        "--chunk",
        "1MiB,auto",
        "--connections",
        "2",
    ];
    let more = ["--sink", "null,file,memory", "--rounds", "2", "-o", "out"];
    let ended = haul.expect(0, &[&words[..], &more].concat())?;
    ensure!(ended.stdout.lines().count() == 6, "a line each: {ended:#?}");

    let folder = haul.folder().join("out");
    let results = document(&folder)?;
    ensure!(results["schema"] == "haul.bench.retrieve" && results["version"] == 1);
    ensure!(results["complete"] == true && results["rounds"] == 2, "{results}");
    ensure!(!results.to_string().contains("secret"), "queries are not shown");
    let configurations = array(&results, "configurations")?;
    ensure!(configurations.len() == 6);
    for (number, measured) in configurations.iter().enumerate() {
        check_measured(&folder, measured, number == 0)?;
    }
    let page = page(&folder)?;
    ensure!(!page.contains("secret"));
    for measured in configurations {
        let label = measured["label"].as_str().context("no label")?;
        ensure!(page.contains(label), "{label}");
    }
    let left: Vec<_> = fs::read_dir(&folder)?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<_>>()?;
    ensure!(left.len() == 3, "files that were saved are gone: {left:?}");
    Ok(())
}

fn check_measured(folder: &Path, measured: &Value, is_first: bool) -> Result<()> {
    let (summary, runs) = (&measured["summary"], array(measured, "runs")?);
    ensure!(summary["done"] == 2 && summary["failed"] == 0, "{measured}");
    ensure!(summary["throughput_mb_per_second"]["median"].as_f64() > Some(0.0));
    ensure!(summary["cpu_seconds_per_gb"]["median"].as_f64() > Some(0.0));
    ensure!(summary["first_byte_ms"]["median"].as_f64() > Some(0.0));
    ensure!(measured["versus_first"].is_null() == is_first);
    for run in runs {
        ensure!(
            run["outcome"] == "done" && run["bytes"] == 3 * MIB + 17 && run["files"] == 1,
            "{run}"
        );
        let profile = run["profile"].as_str().context("no profile")?;
        let lines = fs::read_to_string(folder.join(profile))?;
        ensure!(
            lines.starts_with("{\"profile\":\"start\"") && lines.contains("\"summary\""),
            "{profile}"
        );
    }
    Ok(())
}

fn a_bucket() -> Result<()> {
    let origin = Origin::start(Config {
        access_key: Some("AKIATEST".to_owned()),
        ..Config::default()
    })?;
    for number in 0..5_u64 {
        origin.put("b", &format!("many/{number}"), Object::new(number, 1000));
    }
    let haul = Haul::new()?
        .with("AWS_ACCESS_KEY_ID", "AKIATEST")
        .with("AWS_SECRET_ACCESS_KEY", "never-shown")
        .with("AWS_REGION", "us-east-1");
    let url = origin.url();
    let words = [
        "bench",
        "retrieve",
        "s3://b/many/",
        "--endpoint",
        &url,
        "--files",
        "3,7,all",
    ];
    haul.expect(
        0,
        &[&words[..], &["--rounds", "1", "--no-warm-up", "-o", "out"]].concat(),
    )?;
    let results = document(&haul.folder().join("out"))?;
    let files = |number: usize| results["configurations"][number]["runs"][0]["files"].as_u64();
    ensure!(
        [files(0), files(1), files(2)] == [Some(3), Some(7), Some(5)],
        "{results}"
    );
    ensure!(!results.to_string().contains("never-shown"));
    Ok(())
}

fn too_slow() -> Result<()> {
    let (haul, origin) = (Haul::new()?, origin()?);
    origin.set_shaping(
        "b",
        Shaping {
            first_byte: Delay::Constant(Duration::from_secs(60)),
            ..Shaping::default()
        },
    );
    let address = one(&origin);
    let words = [
        "bench",
        "retrieve",
        &address,
        "--limit",
        "0.3",
        "--rounds",
        "1",
        "--no-warm-up",
    ];
    let ended = haul.expect(1, &words)?;
    ended.says(&["report: bench-retrieve/report.html"])?;
    let folder = haul.folder().join("bench-retrieve");
    ensure!(document(&folder)?["configurations"][0]["runs"][0]["outcome"] == "timed_out");
    ensure!(page(&folder)?.contains("it took longer than 0.30 s"));
    Ok(())
}

fn failing() -> Result<()> {
    let (haul, origin) = (Haul::new()?, origin()?);
    let address = format!("{}/b/none", origin.url());
    haul.expect(
        1,
        &[
            "bench",
            "retrieve",
            &address,
            "--rounds",
            "2",
            "--no-warm-up",
            "-o",
            "out",
        ],
    )?;
    let results = document(&haul.folder().join("out"))?;
    let measured = &results["configurations"][0];
    ensure!(measured["summary"]["failed"] == 2 && measured["summary"]["throughput_mb_per_second"].is_null());
    ensure!(
        measured["runs"][0]["error"]
            .as_str()
            .is_some_and(|error| error.contains("/b/none")),
        "{measured}"
    );
    Ok(())
}

fn interrupted() -> Result<()> {
    let (haul, origin) = (Haul::new()?, origin()?);
    let address = one(&origin);
    let folder = haul.folder().join("out");
    let running = haul.start(&[
        "bench",
        "retrieve",
        &address,
        "--rounds",
        "500",
        "--no-warm-up",
        "-o",
        "out",
    ])?;
    let third = folder.join("profiles/c1-r3.jsonl");
    wait::until("the third run", Duration::from_secs(60), || {
        Ok(third.exists().then_some(()))
    })?;
    let ended = running.interrupt()?;
    ensure!(ended.code == Some(130), "{ended:#?}");
    let results = document(&folder)?;
    ensure!(results["complete"] == false);
    ensure!(
        array(&results["configurations"][0], "runs")?.len() >= 2,
        "what was measured is kept"
    );
    ensure!(page(&folder)?.contains("Incomplete"));
    Ok(())
}

fn killed() -> Result<()> {
    let (haul, origin) = (Haul::new()?, origin()?);
    let slow = Shaping {
        first_byte: Delay::Constant(Duration::from_secs(60)),
        ..Shaping::default()
    };
    origin.set_shaping("b", slow);
    let running = haul.start(&["bench", "retrieve", &one(&origin)])?;
    let limit = Duration::from_secs(30);
    wait::until("the run", limit, || {
        Ok((origin.stats().requests_open > 0).then_some(()))
    })?;
    running.kill()?;
    wait::until("the end of the run", limit, || {
        Ok((origin.stats().connections_open == 0).then_some(()))
    })
}

/// A program that takes ssh's arguments and runs the command on this machine. It refuses one name.
fn ssh(haul: &Haul) -> Result<String> {
    let path = haul.folder().join("ssh");
    fs::write(
        &path,
        "#!/bin/sh\nwhile [ \"$1\" = -o ]; do shift 2; done\nhost=$1; shift\n\
         if [ \"$host\" = gone ]; then echo \"ssh: gone: no route to host\" >&2; exit 255; fi\n\
         echo 'a banner' >&2\nexec sh -c \"$*\"\n",
    )?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path.display().to_string())
}

fn machines() -> Result<()> {
    let (haul, origin) = (Haul::new()?, origin()?);
    let (address, ssh, binary) = (one(&origin), ssh(&haul)?, haul.binary().display().to_string());
    let words = [
        "bench",
        "retrieve",
        &address,
        "--chunk",
        "1MiB,auto",
        "--rounds",
        "1",
    ];
    let there = [
        "--on",
        "left,gone,right",
        "--ssh",
        &ssh,
        "--remote-program",
        &binary,
        "-o",
        "out",
    ];
    let ended = haul.expect(1, &[&words[..], &there].concat())?;
    ended.says(&["gone", "no route to host"])?;

    let folder = haul.folder().join("out");
    let merged = document(&folder)?;
    ensure!(merged["schema"] == "haul.bench.retrieve.merged", "{merged}");
    let machines = array(&merged, "machines")?;
    ensure!(
        machines[0]["failure"].is_null() && machines[2]["failure"].is_null(),
        "{merged}"
    );
    ensure!(machines[0]["results"]["complete"] == true && machines[1]["results"].is_null());
    for together in array(&merged, "configurations")? {
        let of = |number: usize| together["machines"][number].as_f64().unwrap_or(0.0);
        let sum = together["throughput_mb_per_second"].as_f64().context("no sum")?;
        ensure!(
            of(0) > 0.0 && of(2) > 0.0 && (of(0) + of(2) - sum).abs() < 1e-6,
            "{together}"
        );
    }
    let shown = page(&folder)?;
    for word in ["left", "right", "no route to host", "chunk 1 MiB"] {
        ensure!(shown.contains(word), "{word}");
    }

    let merge = [
        "bench",
        "merge",
        "out/machine-1.json",
        "out/machine-2.json",
        "-o",
        "again.html",
    ];
    let ended = haul.expect(0, &merge)?;
    ensure!(ended.stdout.lines().count() == 2, "{ended:#?}");
    ensure!(fs::read_to_string(haul.folder().join("again.html"))?.contains("on 2 machines"));
    haul.expect(2, &merge)?.says(&["again.html is there already"])?;
    Ok(())
}

fn interrupted_machines() -> Result<()> {
    let (haul, origin) = (Haul::new()?, origin()?);
    let (address, ssh, binary) = (one(&origin), ssh(&haul)?, haul.binary().display().to_string());
    let words = [
        "bench",
        "retrieve",
        &address,
        "--rounds",
        "500",
        "--no-warm-up",
        "-o",
        "out",
    ];
    let there = ["--on", "left,right", "--ssh", &ssh, "--remote-program", &binary];
    let running = haul.start(&[&words[..], &there].concat())?;
    let enough = || Ok((origin.stats().requests.get > 12).then_some(()));
    wait::until("some runs", Duration::from_secs(60), enough)?;
    let ended = running.interrupt()?;
    ensure!(ended.code == Some(130), "{ended:#?}");
    let merged = document(&haul.folder().join("out"))?;
    let machines = array(&merged, "machines")?;
    let measured = |machine: &Value| machine["results"]["configurations"][0]["summary"]["done"].as_u64();
    ensure!(
        machines.iter().any(|machine| measured(machine) > Some(0)),
        "{merged}"
    );
    ensure!(
        machines.iter().all(|machine| machine["failure"].is_string()),
        "they say that they were stopped"
    );
    Ok(())
}

fn wrong_usage() -> Result<()> {
    let haul = Haul::new()?;
    let address = "http://127.0.0.1:9/b/one";
    for wrong in [
        &["ftp://host/file"][..],
        &[address, "--chunk", "0"],
        &[address, "--connections", "0"],
        &[address, "--sink", "drain"],
        &[address, "--rounds", "0"],
        &[address, "--rounds", "1000", "--files", "1,2,3,4,5,6,7,8,9,10,11"],
        &[address, "--on", "-oProxyCommand=x"],
        &[address, "--ssh", "ssh"],
    ] {
        haul.expect(2, &[&["bench", "retrieve"], wrong].concat())?;
    }
    fs::write(
        haul.folder().join("other.json"),
        "{\"schema\":\"other\",\"version\":1}",
    )?;
    haul.expect(1, &["bench", "merge", "other.json"])?
        .says(&["other.json", "schema"])?;
    ensure!(!haul.folder().join("bench-retrieve").exists(), "nothing was made");
    Ok(())
}
