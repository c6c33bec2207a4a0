//! Builds and runs as plans say, with the real interpreters and package managers, in folders called `/app`, `/build` and `/shims`, without any network:
//! everything that is named lies beside the scraper.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use anyhow::{Context, Result, ensure};
use runtimes::{Plan, Runtimes};
use tempfile::TempDir;
use tests::{Bench, Need};

/// A folder of scrapers, one for each test.
const SCRAPERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/builds/scrapers");
const BWRAP: Need = Need::Output("bwrap", &["--ro-bind", "/", "/", "echo", "1"]);

const PYTHON: &[Need] = &[
    BWRAP,
    Need::Output("/usr/bin/python3", &["-m", "pip", "--version"]),
];
const RUBY: &[Need] = &[
    BWRAP,
    Need::Output("ruby", &["-rsqlite3", "-rbundler", "-e", "puts 1"]),
];
const NODE: &[Need] = &[BWRAP, Need::Program("npm")];
const BUILDS: [(&str, &[Need]); 6] = [
    ("python", PYTHON),
    ("ruby", RUBY),
    ("procfile", RUBY),
    ("node", NODE),
    ("modules", NODE),
    // Whose sqlite3 cannot be compiled.
    ("sqlite3", NODE),
];

fn main() -> ExitCode {
    let mut bench = Bench::default();
    for (name, needs) in BUILDS {
        bench.test(format!("build: {name}"), needs, move || prints_both(name));
    }
    for (name, interpreter, program, package) in [
        ("php", "php", "composer", "composer"),
        ("perl", "perl", "cpanm", "cpanminus"),
    ] {
        bench.test(
            format!("build: {program} is missing"),
            &[BWRAP, Need::Program(interpreter)],
            move || {
                let error = Built::without(name, program)
                    .err()
                    .context("it was built")?
                    .to_string();
                let words = format!("ask its operator for the package {package}");
                ensure!(error.contains(&words), "{error}");
                Ok(())
            },
        );
    }
    bench.run()
}

/// Every scraper uses what it depends on and Haul's library; caches and copies are gone.
fn prints_both(name: &str) -> Result<()> {
    let built = Built::new(name)?;
    let output = built.run()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{errors}");
    ensure!(printed == "the dependency, and scraperwiki\n", "{printed}");
    for passing in ["cache", "code"] {
        ensure!(!built.path("build").join(passing).exists(), "{passing} is left");
    }
    Ok(())
}

/// A scraper that was built.
struct Built {
    folder: TempDir,
    plan: Plan,
}

impl Built {
    fn new(name: &str) -> Result<Self> {
        let built = Self::prepared(name)?;
        built.build(&[])?;
        Ok(built)
    }

    /// On a machine that does not have a program, or seems to.
    fn without(name: &str, program: &str) -> Result<Self> {
        let built = Self::prepared(name)?;
        let program = format!("/usr/bin/{program}");
        let hidden = ["--ro-bind", "/dev/null", program.as_str()];
        built.build(if Path::new(&program).exists() {
            &hidden
        } else {
            &[]
        })?;
        Ok(built)
    }

    fn prepared(name: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for part in ["build", "shims"] {
            fs::create_dir(folder.path().join(part))?;
        }
        copy(&Path::new(SCRAPERS).join(name), &folder.path().join("code"))?;
        let runtimes = Runtimes::in_folders(&[PathBuf::from("/usr/bin")]);
        runtimes.unpack(&folder.path().join("shims"))?;
        let plan = runtimes.detect(&folder.path().join("code"))?;
        ensure!(plan.needs.is_empty(), "{plan:?}");
        Ok(Self { folder, plan })
    }

    /// In a copy of the code that is thrown away.
    fn build(&self, more: &[&str]) -> Result<()> {
        copy(&self.path("code"), &self.path("copy"))?;
        let build = self.path("build").display().to_string();
        let mounts = [&["--bind", build.as_str(), "/build"], more].concat();
        for command in &self.plan.build {
            let output = self.contained("copy", &mounts, command)?;
            let text = [output.stdout, output.stderr].concat();
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&text));
        }
        Ok(fs::remove_dir_all(self.path("copy"))?)
    }

    fn run(&self) -> Result<Output> {
        let build = self.path("build");
        let mut mounts = vec![
            "--ro-bind".to_owned(),
            build.display().to_string(),
            "/build".to_owned(),
        ];
        for name in &self.plan.folders {
            let (from, to) = (build.join(name).display().to_string(), format!("/app/{name}"));
            mounts.extend(["--ro-bind".to_owned(), from, to]);
        }
        let mounts: Vec<&str> = mounts.iter().map(String::as_str).collect();
        self.contained("code", &mounts, &self.plan.run)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command with `app` as `/app`, and these mounts.
    fn contained(&self, app: &str, mounts: &[&str], command: &[String]) -> Result<Output> {
        let mut bwrap = Command::new("bwrap");
        bwrap.args([
            "--unshare-all",
            "--die-with-parent",
            "--ro-bind",
            "/usr",
            "/usr",
            "--proc",
            "/proc",
        ]);
        bwrap.args([
            "--dev",
            "/dev",
            "--tmpfs",
            "/tmp",
            "--ro-bind",
            "/etc",
            "/etc",
            "--chdir",
            "/app",
        ]);
        for link in ["bin", "lib", "lib64"] {
            bwrap.args(["--symlink", &format!("usr/{link}"), &format!("/{link}")]);
        }
        bwrap.arg("--bind").arg(self.path(app)).arg("/app");
        bwrap.arg("--ro-bind").arg(self.path("shims")).arg("/shims");
        let environment = self
            .plan
            .environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let environment = environment.chain([("HOME", "/tmp"), ("LANG", "C.UTF-8")]);
        Ok(bwrap
            .args(mounts)
            .args(command)
            .env_clear()
            .envs(environment)
            .output()?)
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let status = Command::new("cp").arg("-r").args([from, to]).status()?;
    ensure!(status.success(), "cannot copy {}", from.display());
    Ok(())
}
