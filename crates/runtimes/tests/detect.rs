//! What is recognised in a folder, and how it is run, on machines that are made up: interpreters are scripts that answer what real ones would.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use runtimes::{DetectError, Plan, Runtimes};
use tempfile::TempDir;

/// Folders with programs and a folder with a scraper.
struct Machine {
    folder: TempDir,
}

impl Machine {
    /// With these interpreters: name, version, whether below `/usr`.
    fn with(interpreters: &[(&str, &str, bool)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["programs", "elsewhere", "app"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let machine = Self { folder };
        for (name, version, is_below_usr) in interpreters {
            machine.install(name, version, *is_below_usr);
        }
        machine
    }

    /// With one of each language.
    fn usual() -> Self {
        let names = ["ruby", "php", "python3", "perl", "node"];
        Self::with(&names.map(|name| (name, "3.1.2", true)))
    }

    fn install(&self, name: &str, version: &str, is_below_usr: bool) {
        let prefix = if is_below_usr {
            "/usr".to_owned()
        } else {
            self.elsewhere()
        };
        let program = format!("{prefix}/bin/{name}-{version}");
        let script = format!("#!/bin/sh\necho {version}\necho {program}\necho {prefix}\n");
        let bin = self.folder.path().join("programs").join(version);
        fs::create_dir_all(&bin).unwrap();
        write_program(&bin.join(name), &script);
    }

    fn elsewhere(&self) -> String {
        self.folder
            .path()
            .join("elsewhere")
            .canonicalize()
            .unwrap()
            .display()
            .to_string()
    }

    fn app(&self) -> std::path::PathBuf {
        self.folder.path().join("app")
    }

    fn runtimes(&self) -> Runtimes {
        let folders = fs::read_dir(self.folder.path().join("programs")).unwrap();
        Runtimes::in_folders(&folders.map(|folder| folder.unwrap().path()).collect::<Vec<_>>())
    }

    /// The plan for a scraper of these files.
    fn detect(&self, files: &[(&str, &str)]) -> Result<Plan, DetectError> {
        fs::remove_dir_all(self.app()).unwrap();
        fs::create_dir(self.app()).unwrap();
        for (name, text) in files {
            let file = self.app().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        self.runtimes().detect(&self.app())
    }

    fn plan(&self, files: &[(&str, &str)]) -> Plan {
        self.detect(files).unwrap()
    }
}

fn write_program(path: &Path, script: &str) {
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn variable<'a>(plan: &'a Plan, name: &str) -> &'a str {
    let found = plan.environment.iter().find(|(variable, _)| variable == name);
    found.map_or("", |(_, value)| value)
}

#[test]
fn each_language_has_its_file_and_its_command() {
    let machine = Machine::usual();
    for (file, language, command) in [
        ("scraper.rb", "ruby", "/usr/bin/ruby-3.1.2 scraper.rb"),
        (
            "scraper.php",
            "php",
            "/usr/bin/php-3.1.2 -d include_path=.:/shims/php:/build:/usr/share/php scraper.php",
        ),
        ("scraper.py", "python", "/usr/bin/python3-3.1.2 -u scraper.py"),
        (
            "scraper.pl",
            "perl",
            "/usr/bin/perl-3.1.2 -Mlib=local/lib/perl5 scraper.pl",
        ),
        ("scraper.js", "node", "/usr/bin/node-3.1.2 scraper.js"),
    ] {
        let plan = machine.plan(&[(file, "")]);
        assert_eq!(
            (plan.language.as_str(), plan.run.join(" ").as_str()),
            (language, command)
        );
        assert!(
            plan.build.is_empty() && plan.needs.is_empty() && plan.notices.is_empty(),
            "{plan:?}"
        );
        assert!(
            plan.recognised.starts_with(file) && plan.recognised.ends_with(" 3.1.2"),
            "{plan:?}"
        );
    }
}

#[test]
fn the_first_language_of_the_list_counts() {
    let files = [
        "scraper.js",
        "scraper.pl",
        "scraper.py",
        "scraper.php",
        "scraper.rb",
    ]
    .map(|name| (name, ""));
    let machine = Machine::usual();
    for (count, language) in [(5, "ruby"), (4, "php"), (3, "python"), (2, "perl"), (1, "node")] {
        assert_eq!(machine.plan(&files[..count]).language, language);
    }
}

#[test]
fn dependency_files_make_a_build() {
    let machine = Machine::usual();
    for (scraper, dependencies, run, folder) in [
        (
            "scraper.rb",
            "Gemfile",
            "/usr/bin/ruby-3.1.2 -rbundler/setup scraper.rb",
            "",
        ),
        (
            "scraper.py",
            "requirements.txt",
            "/build/venv/bin/python -u scraper.py",
            "",
        ),
        (
            "scraper.py",
            "pyproject.toml",
            "/build/venv/bin/python -u scraper.py",
            "",
        ),
        (
            "scraper.pl",
            "cpanfile",
            "/usr/bin/perl-3.1.2 -Mlib=local/lib/perl5 scraper.pl",
            "local",
        ),
        (
            "scraper.js",
            "package.json",
            "/usr/bin/node-3.1.2 scraper.js",
            "node_modules",
        ),
    ] {
        let plan = machine.plan(&[
            (scraper, ""),
            (
                dependencies,
                if dependencies.ends_with("json") { "{}" } else { "" },
            ),
        ]);
        assert_eq!(plan.run.join(" "), run);
        assert_eq!(plan.folders.join(" "), folder);
        assert_eq!(plan.build.len(), 1, "{dependencies}");
        assert!(plan.build[0][1].starts_with("/shims/"), "{plan:?}");
    }
}

#[test]
fn a_procfile_says_how_to_start_in_the_language_of_the_folder() {
    let machine = Machine::usual();
    let procfile = ("Procfile", "web: no\nscraper:  python main.py --all \n");
    let shell = ["/bin/sh", "-c", "python main.py --all"];

    let plan = machine.plan(&[procfile, ("scraper.py", "")]);
    assert_eq!(
        (plan.language.as_str(), plan.run),
        ("python", shell.map(str::to_owned).to_vec())
    );

    let plan = machine.plan(&[procfile, ("scraper.rb", "")]);
    assert_eq!(
        plan.recognised,
        "scraper.rb, Ruby 3.1.2, started as Procfile says"
    );

    let plan = machine.plan(&[procfile, ("requirements.txt", "")]);
    assert_eq!(plan.language, "procfile");
    assert_eq!(plan.recognised, "Procfile, Python 3.1.2");
    assert_eq!(plan.build.len(), 1);
    assert_eq!(
        variable(&plan, "PATH"),
        "/build/venv/bin:/shims/bin:/usr/local/bin:/usr/bin:/bin"
    );

    let plan = machine.plan(&[procfile]);
    assert_eq!((plan.recognised.as_str(), plan.build.len()), ("Procfile", 0));
    assert_eq!(variable(&plan, "PYTHONPATH"), "/shims/python");
    assert_eq!(variable(&plan, "RUBYLIB"), "/shims/ruby");

    assert!(matches!(
        machine.detect(&[("Procfile", "web: x")]),
        Err(DetectError::Unknown)
    ));
    let error = machine.detect(&[("Procfile", "scraper:")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Procfile: there is no command behind `scraper:`"
    );
}

#[test]
fn an_executable_is_a_scraper() {
    let machine = Machine::usual();
    assert!(matches!(
        machine.detect(&[("scraper", "#!/bin/sh")]),
        Err(DetectError::Unknown)
    ));
    write_program(&machine.app().join("scraper"), "#!/bin/sh\n");
    let plan = machine.runtimes().detect(&machine.app()).unwrap();
    assert_eq!(
        (plan.language.as_str(), plan.run),
        ("executable", vec!["./scraper".to_owned()])
    );
}

#[test]
fn links_and_folders_are_no_files() {
    let machine = Machine::usual();
    assert!(matches!(
        machine.detect(&[("scraper.py/x", "")]),
        Err(DetectError::Unknown)
    ));
    machine.plan(&[("scraper.rb", ""), ("secret", "3.9")]);
    symlink("/etc/passwd", machine.app().join("scraper.py")).unwrap();
    fs::remove_file(machine.app().join("scraper.rb")).unwrap();
    assert!(matches!(
        machine.runtimes().detect(&machine.app()),
        Err(DetectError::Unknown)
    ));
}

#[test]
fn what_is_not_installed_is_said_with_what_to_do() {
    let machine = Machine::with(&[]);
    let error = machine.detect(&[("scraper.js", "")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Node is not installed on this machine; install the package nodejs"
    );
    for (language, versions) in machine.runtimes().list() {
        assert!(
            versions.unwrap_err().starts_with("install the package"),
            "{language}"
        );
    }
}

#[test]
fn programs_that_do_not_answer_are_not_there() {
    let machine = Machine::with(&[]);
    let bin = machine.folder.path().join("programs/any");
    fs::create_dir(&bin).unwrap();
    write_program(&bin.join("php"), "#!/bin/sh\nexit 1\n");
    write_program(&bin.join("perl"), "#!/bin/sh\necho what\n");
    write_program(&bin.join("ruby"), "#!/nowhere\n");
    write_program(
        &bin.join("python3.9"),
        "#!/bin/sh\necho 3.1.2; echo /usr/bin/x; echo /usr\n",
    );
    assert!(
        machine
            .runtimes()
            .list()
            .iter()
            .all(|(_, versions)| versions.is_err())
    );
}

#[test]
fn an_interpreter_with_two_names_is_listed_once() {
    let machine = Machine::with(&[("perl", "5.36.0", true)]);
    let bin = machine.folder.path().join("programs/again");
    fs::create_dir(&bin).unwrap();
    fs::copy(
        machine.folder.path().join("programs/5.36.0/perl"),
        bin.join("perl"),
    )
    .unwrap();
    let list = machine.runtimes().list();
    let perl = list.iter().find(|(language, _)| language == "Perl").unwrap();
    assert_eq!(perl.1, Ok(vec!["5.36.0".to_owned()]));
}

#[test]
fn an_interpreter_below_usr_is_taken_unless_another_comes_nearer() {
    let machine = Machine::with(&[
        ("python3", "3.11.2", true),
        ("python3", "3.11.7", false),
        ("python3", "3.12.1", false),
    ]);
    let plan = machine.plan(&[("scraper.py", "")]);
    assert_eq!(
        (plan.recognised.as_str(), plan.needs.len()),
        ("scraper.py, Python 3.11.2", 0)
    );

    let plan = machine.plan(&[("scraper.py", ""), (".python-version", "3.12\n")]);
    assert_eq!(plan.recognised, "scraper.py, Python 3.12.1");
    assert_eq!(plan.needs, [Path::new(&machine.elsewhere())]);
    assert_eq!(plan.run[0], format!("{}/bin/python3-3.12.1", machine.elsewhere()));
    assert!(
        variable(&plan, "PATH").contains(&format!("{}/bin:", machine.elsewhere())),
        "{plan:?}"
    );
}

/// Checks which of some versions a wish gets, and with what notice.
#[track_caller]
fn check_wish(file: (&str, &str), scraper: &str, program: &str, gets: &str, notice: &str) {
    let versions = ["2.7.6", "3.1.2", "3.4.1"];
    let installed = versions.map(|version| (program, version, true));
    let plan = Machine::with(&installed).plan(&[(scraper, ""), file]);
    assert!(plan.recognised.ends_with(gets), "{file:?}: {}", plan.recognised);
    assert_eq!(plan.notices.join("; "), notice, "{file:?}");
}

#[test]
fn words_about_versions_are_understood() {
    let ruby = |text, gets| check_wish(("Gemfile", text), "scraper.rb", "ruby", gets, "");
    ruby("source 'x'\nruby '2.7.6'\n", "2.7.6");
    ruby("ruby \"~> 3.0\"", "3.4.1");
    ruby("ruby('>= 2.5', '< 3')", "2.7.6");
    ruby("ruby '~> 3.1.0', engine: 'ruby'", "3.1.2");
    ruby("ruby file: '.ruby-version'", "3.4.1");
    ruby("gem 'rubyzip', '2.7.6'", "3.4.1");
    check_wish(
        (".ruby-version", "# ours\nruby-3.1.2-p20\n"),
        "scraper.rb",
        "ruby",
        "3.1.2",
        "",
    );
    check_wish(
        ("runtime.txt", "python-2.7\n"),
        "scraper.py",
        "python3",
        "2.7.6",
        "",
    );
    check_wish(
        (
            "pyproject.toml",
            "[project]\nrequires-python = '>=3.0, != 3.4.1, <3.4'",
        ),
        "scraper.py",
        "python3",
        "3.1.2",
        "",
    );

    let node = |engine: &str, gets| {
        let text = format!(r#"{{"engines": {{"node": "{engine}"}}}}"#);
        check_wish(("package.json", &text), "scraper.js", "node", gets, "");
    };
    node("2.x", "2.7.6");
    node("2 - 3.1", "3.1.2");
    node("^2.1.0 || ^3.0.0", "3.4.1");
    node(">= 2.0 <3.2", "3.1.2");
    node("~3.1", "3.1.2");
    node("*", "3.4.1");
    check_wish((".nvmrc", "v2.7.6"), "scraper.js", "node", "2.7.6", "");
    check_wish(
        ("composer.json", r#"{"require": {"php": "~3.1"}}"#),
        "scraper.php",
        "php",
        "3.4.1",
        "",
    );
    check_wish(
        ("composer.json", r#"{"require": {"php": "^2.5|^3.9"}}"#),
        "scraper.php",
        "php",
        "2.7.6",
        "",
    );
}

#[test]
fn a_wish_that_cannot_be_fulfilled_gets_the_nearest_and_a_notice() {
    let python =
        |text, gets, notice: &str| check_wish(("runtime.txt", text), "scraper.py", "python3", gets, notice);
    python(
        "python-3.2.9",
        "3.1.2",
        "runtime.txt asks for python-3.2.9; the nearest installed is 3.1.2",
    );
    python(
        "python-3.9",
        "3.4.1",
        "runtime.txt asks for python-3.9; the nearest installed is 3.4.1",
    );
    python(
        "4.0.1",
        "3.1.2",
        "runtime.txt asks for 4.0.1; the nearest installed is 3.1.2, which may not run a scraper that was written for 4",
    );
    python(
        "lts/iron",
        "3.4.1",
        "runtime.txt asks for lts/iron, which names no version by number; it runs with 3.4.1",
    );
    python(
        "99999999999999999999999.1",
        "3.4.1",
        "runtime.txt asks for 99999999999999999999999.1, which names no version by number; it runs with 3.4.1",
    );
}

#[test]
fn any_words_about_versions_get_a_version() {
    let machine = Machine::with(&[("python3", "3.11.2", true), ("node", "20.1.0", true)]);
    let runtimes = machine.runtimes();
    let check = |words: String| {
        fs::write(machine.app().join("runtime.txt"), &words).unwrap();
        fs::write(machine.app().join("scraper.py"), "").unwrap();
        assert!(runtimes.detect(&machine.app()).is_ok(), "{words:?}");
        fs::remove_file(machine.app().join("scraper.py")).unwrap();
        fs::write(machine.app().join("scraper.js"), "").unwrap();
        let package = serde_json::json!({ "engines": { "node": words } });
        fs::write(machine.app().join("package.json"), package.to_string()).unwrap();
        assert!(runtimes.detect(&machine.app()).is_ok(), "{words:?}");
    };
    let words =
        proptest::string::string_regex("([<>=~^!]{0,3} ?[v]?[0-9x*.]{0,8}[-|, é]{0,3}){0,4}").unwrap();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let checked = runner.run(&words, |words| {
        check(words);
        Ok(())
    });
    checked.unwrap();
    check("~>18446744073709551615.18446744073709551615".to_owned());
}

#[test]
fn files_that_cannot_be_understood_are_named() {
    let machine = Machine::usual();
    let error = machine
        .detect(&[("scraper.js", ""), ("package.json", "{")])
        .unwrap_err();
    assert!(
        error.to_string().starts_with("package.json: EOF while parsing"),
        "{error}"
    );
    let large = " ".repeat((16 << 20) + 1);
    let error = machine
        .detect(&[("scraper.py", ""), ("requirements.txt", &large)])
        .unwrap_err();
    assert_eq!(error.to_string(), "requirements.txt: it is larger than 16 MiB");
}

#[test]
fn a_build_is_done_again_when_what_it_depends_on_changes() {
    let machine = Machine::with(&[("python3", "3.11.2", true), ("ruby", "3.1.2", true)]);
    let key = |files: &[(&str, &str)]| machine.plan(files).build_key;
    let scraper = ("scraper.py", "print(1)");
    let first = key(&[scraper, ("requirements.txt", "lxml")]);
    assert_eq!(
        first,
        key(&[("scraper.py", "print(2)"), ("requirements.txt", "lxml")]),
        "code is no matter"
    );
    assert_ne!(first, key(&[scraper, ("requirements.txt", "lxml==5")]));
    assert_ne!(
        first,
        key(&[scraper, ("requirements.txt", "lxml"), ("uv.lock", "")])
    );
    assert_ne!(first, key(&[("scraper.rb", ""), ("requirements.txt", "lxml")]));

    for line in [".", "./lib", "-f wheels", "lxml-5.0-py3-none-any.whl"] {
        let local = ("requirements.txt", line);
        let before = key(&[scraper, local, ("setup.py", "1")]);
        assert_ne!(before, key(&[scraper, local, ("setup.py", "2")]), "{line}");
    }

    let others = ("requirements.txt", "-r more/others.txt");
    let with_others = key(&[scraper, others, ("more/others.txt", "a")]);
    assert_eq!(
        with_others,
        key(&[
            scraper,
            others,
            ("more/others.txt", "a"),
            ("data.sqlite", "x"),
            (".git/x", "")
        ])
    );
    assert_ne!(with_others, key(&[scraper, others, ("more/others.txt", "b")]));

    machine.install("python3", "3.11.3", true);
    assert_ne!(first, key(&[scraper, ("requirements.txt", "lxml")]));
}

#[test]
fn a_build_of_node_depends_on_how_it_is_installed() {
    let machine = Machine::with(&[("node", "18.1.0", true)]);
    let key = |files: &[(&str, &str)]| machine.plan(files).build_key;
    let (scraper, package) = (("scraper.js", ""), ("package.json", "{}"));
    let first = key(&[scraper, package]);
    for more in [(".npmrc", "registry=http://a"), ("npm-shrinkwrap.json", "{}")] {
        assert_ne!(first, key(&[scraper, package, more]), "{more:?}");
    }
    let plan = machine.plan(&[scraper, (".npmrc", "")]);
    assert!(plan.build.is_empty(), "settings alone are nothing to install");
}

#[test]
fn shims_are_unpacked_once_and_mended() {
    let machine = Machine::usual();
    let to = machine.folder.path().join("shims");
    machine.runtimes().unpack(&to).unwrap();
    let bundle = fs::metadata(to.join("bin/bundle")).unwrap();
    assert_eq!(bundle.permissions().mode() & 0o777, 0o755);
    let library = to.join("ruby/scraperwiki.rb");
    assert_eq!(
        fs::metadata(&library).unwrap().permissions().mode() & 0o777,
        0o644
    );

    let written = fs::metadata(&library).unwrap().modified().unwrap();
    fs::write(to.join("php/scraperwiki.php"), "half").unwrap();
    machine.runtimes().unpack(&to).unwrap();
    assert_eq!(fs::metadata(&library).unwrap().modified().unwrap(), written);
    assert!(
        fs::read_to_string(to.join("php/scraperwiki.php"))
            .unwrap()
            .contains("class scraperwiki")
    );
}
