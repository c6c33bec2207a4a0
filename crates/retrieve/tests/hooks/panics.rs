//! A panic ends the file that it was about, and nothing else.

use std::path::Path;

use ::bytes::Bytes;
use retrieve::hooks::*;
use retrieve::{Control, Done, Entry, ErrorKind, FileMeta, Hooks, Stats};

use crate::*;

/// Panics at one place, about the file `bad`.
#[derive(Clone, Copy)]
struct Clumsy {
    at: &'static str,
}

impl Clumsy {
    fn pass(&self, at: &str, name: &str) {
        assert!(self.at != at || name != "bad", "stumbled at {at}");
    }
}

impl StatefulHook for Clumsy {
    fn name(&self) -> &str {
        "clumsy"
    }

    fn select(&mut self, entry: &mut Entry) -> Select {
        self.pass("select", &entry.name);
        Select::Keep
    }

    fn on_file_start(&mut self, meta: &FileMeta) -> FileStart {
        self.pass("file start", &meta.name);
        FileStart::Fetch
    }

    fn plan_chunks(&mut self, meta: &FileMeta, _default: &Plan) -> Option<Plan> {
        self.pass("plan", &meta.name);
        None
    }

    fn ordered(&mut self, meta: &FileMeta) -> Option<Box<dyn OrderedHook>> {
        self.pass("ordered", &meta.name);
        (self.at == "ordered bytes" && meta.name == "bad").then(|| Box::new(*self) as _)
    }

    fn verify(&mut self, meta: &FileMeta, _done: &Done, _path: Option<&Path>) -> Result<(), String> {
        self.pass("verify", &meta.name);
        Ok(())
    }

    fn commit(&mut self, meta: &FileMeta, _temporary: &Path, _path: &Path) -> Result<(), String> {
        self.pass("commit", &meta.name);
        Ok(())
    }
}

impl OrderedHook for Clumsy {
    fn on_ordered(&mut self, _bytes: Bytes) -> Result<Bytes, String> {
        panic!("stumbled at ordered bytes")
    }
}

impl FunctionalHook for Clumsy {
    fn name(&self) -> &str {
        "clumsy"
    }

    fn on_request(&self, request: &mut RequestHead<'_>) {
        self.pass("request", &request.meta.name);
    }

    fn on_response(&self, response: &ResponseHead<'_>) -> Result<(), String> {
        self.pass("response", &response.meta.name);
        Ok(())
    }

    fn on_bytes(&self, meta: &FileMeta, _offset: u64, _bytes: &[u8]) -> Result<(), String> {
        self.pass("bytes", &meta.name);
        Ok(())
    }

    fn on_chunk(&self, chunk: &ChunkTiming<'_>) -> Result<(), String> {
        self.pass("chunk", &chunk.meta.name);
        Ok(())
    }

    fn verify(&self, meta: &FileMeta, _done: &Done, _path: Option<&Path>) -> Result<(), String> {
        self.pass("parallel verify", &meta.name);
        Ok(())
    }
}

#[test]
fn a_panic_about_a_file_ends_that_file() {
    // The plan of a file of one range is never asked for.
    let origin = origin_with(&[("bad", 3 * CHUNK), ("good", 3 * CHUNK)]);
    let serial = [
        "select",
        "file start",
        "plan",
        "ordered",
        "ordered bytes",
        "verify",
        "commit",
    ];
    let parallel = ["request", "response", "bytes", "chunk", "parallel verify"];
    for at in serial.into_iter().chain(parallel) {
        let clumsy = Clumsy { at };
        let hooks = Hooks::default().stateful(clumsy).functional(clumsy);
        let folder = tempfile::tempdir().unwrap();
        let report = save(&origin, "s3://b/", folder.path(), hooks);
        check_failed(&report, "bad", ErrorKind::Hook);
        let said = report.failed[0].1.to_string();
        assert!(
            said.contains(&format!("hook clumsy panicked: stumbled at {at}")),
            "{said}"
        );
        assert_eq!(saved(folder.path()), ["good"], "{at}");
        check_saved(folder.path(), "good", 1, 3 * CHUNK);
    }
}

/// Panics where no file is concerned.
struct Shaky {
    at: &'static str,
}

impl StatefulHook for Shaky {
    fn name(&self) -> &str {
        "shaky"
    }

    fn on_run_start(&mut self, _start: &RunStart, _control: &Control) {
        assert!(self.at != "run start");
    }

    fn on_list_page(&mut self, _page: &ListPage<'_>) {
        assert!(self.at != "list page");
    }

    fn on_tick(&mut self, _stats: &Stats, _control: &Control) {
        assert!(self.at != "tick");
    }

    fn on_file_end(&mut self, _meta: &FileMeta, _outcome: &Outcome) {
        assert!(self.at != "file end");
    }
}

#[test]
fn a_panic_about_no_file_is_in_the_report() {
    for at in ["run start", "list page", "file end"] {
        let origin = origin_with(&[("one", 100)]);
        let folder = tempfile::tempdir().unwrap();
        let report = save(
            &origin,
            "s3://b/one",
            folder.path(),
            Hooks::default().stateful(Shaky { at }),
        );
        check_saved(folder.path(), "one", 0, 100);
        assert!(
            report.hooks[0]
                .failure
                .as_deref()
                .is_some_and(|said| said.contains("panicked")),
            "{at}: {report:?}"
        );
        assert!(!report.is_complete() && report.stats.files_done == 1);
    }
}
