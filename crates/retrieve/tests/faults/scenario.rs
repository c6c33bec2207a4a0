use std::sync::Arc;
use std::time::Duration;

use origin::{Checksum, Delay, Fault, Faults, Object, Origin, Shaping};
use retrieve::{
    DownloadRequest, Entry, Files, Hooks, Location, OnChange, Options, Order, Report, Retriever, Scheme,
    Source,
};

use crate::check::{self, Ends, Read, Tally};
use crate::draw::Draw;

/// One run, as its seed has it.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) files: Vec<Wanted>,
    pub(crate) sink: Sink,
    pub(crate) faults: Vec<(Fault, f64)>,
    pub(crate) at_most: u32,
    stall: Option<Duration>,
    delay: Duration,
    /// Sizes and tags come from a listing; otherwise from the first answers.
    is_listed: bool,
    /// A hook counts how files end.
    is_hooked: bool,
    declares: Option<Checksum>,
    pub(crate) cancel_after: Option<Duration>,
    /// The reader stops after so many pieces of each file.
    pub(crate) pieces: Option<u64>,
    pub(crate) options: Options,
}

#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) key: String,
    size: u64,
    range: Option<std::ops::Range<u64>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sink {
    Save,
    Read,
    ReadAndSave,
}

impl Scenario {
    pub(crate) fn draw(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let chunk = draw.of(&[16 << 10, 64 << 10, 64 << 10, 256 << 10]);
        let is_listed = draw.once_in(2);
        let files: Vec<_> = (0..draw.within(1, 6))
            .map(|at| wanted(&mut draw, at, chunk, is_listed))
            .collect();
        let has_ranges = files.iter().any(|file| file.range.is_some());
        let declares = Some(draw.of(&[Checksum::Crc64Nvme, Checksum::Crc32c, Checksum::Crc32]));
        let declares = declares.filter(|_| draw.once_in(2) && !has_ranges);
        let faults = faults(&mut draw, declares.is_some());
        let sink = draw.of(&[Sink::Save, Sink::Save, Sink::Read, Sink::Read, Sink::ReadAndSave]);
        Self {
            seed,
            files,
            sink,
            faults,
            at_most: draw.within(1, 3) as u32,
            stall: draw.of(&[None, Some(Duration::from_millis(40))]),
            delay: Duration::from_millis(draw.of(&[0, 0, 0, 2, 10])),
            is_listed,
            is_hooked: draw.once_in(2),
            declares,
            cancel_after: draw
                .once_in(5)
                .then_some(Duration::from_micros(draw.below(40_000))),
            pieces: (sink != Sink::Save && draw.once_in(8)).then_some(draw.below(3)),
            options: options(&mut draw, chunk),
        }
    }

    pub(crate) fn run(&self, origin: &Origin, tally: &Tally) {
        let bucket = format!("run-{:016x}", self.seed);
        self.put(origin, &bucket);
        let folder = tempfile::Builder::new()
            .prefix("retrieve-faults-")
            .tempdir()
            .unwrap();
        let retriever = Retriever::new(self.options.clone()).unwrap();
        let ends = Ends::default();
        let hooks = match self.is_hooked {
            true => Hooks::default().stateful(ends.hook()),
            false => Hooks::default(),
        };
        let request = self.request(origin, &bucket);
        let (report, read) = match self.sink {
            Sink::Save => (self.save(&retriever, request, folder.path(), hooks), Vec::new()),
            Sink::Read => self.read(retriever.read(request, hooks).unwrap()),
            Sink::ReadAndSave => self.read(retriever.read_and_save(request, folder.path(), hooks).unwrap()),
        };
        let run = check::Run {
            scenario: self,
            report: &report,
            read: &read,
            ends: self.is_hooked.then_some(&ends),
            folder: folder.path(),
            versions: &|wanted| self.versions(origin, &bucket, wanted),
        };
        run.check();
        tally.count(&report);
        if self.cancel_after.is_some() && self.sink == Sink::Save {
            self.run_again(origin, &bucket, &retriever, folder.path());
        }
        origin.remove_bucket(&bucket);
    }

    fn put(&self, origin: &Origin, bucket: &str) {
        for (at, file) in self.files.iter().enumerate() {
            let object = Object::new(self.seed ^ at as u64, file.size);
            let object = match self.declares {
                Some(checksum) => object.with_checksum(checksum),
                None => object,
            };
            origin.put(bucket, &file.key, object);
        }
        let none = Faults {
            stall: self.stall,
            ..Faults::none()
        };
        let with = |faults: Faults, (fault, often): &(Fault, f64)| faults.with(*fault, *often);
        let faults = self
            .faults
            .iter()
            .fold(none, with)
            .seeded(self.seed)
            .at_most(self.at_most);
        origin.set_faults(bucket, faults);
        let shaping = Shaping {
            first_byte: Delay::Constant(self.delay),
            ..Shaping::default()
        };
        origin.set_shaping(bucket, shaping);
    }

    fn request(&self, origin: &Origin, bucket: &str) -> DownloadRequest {
        let store = [
            ("aws_endpoint", origin.url()),
            ("aws_access_key_id", "key".into()),
            ("aws_secret_access_key", "secret".into()),
            ("aws_allow_http", "true".into()),
        ];
        let request = DownloadRequest::default().options(store);
        if self.is_listed {
            return request.with(Source::Prefix(Location::object(Scheme::S3, bucket, "")));
        }
        self.files.iter().fold(request, |request, file| {
            let entry = Entry::new(Location::object(Scheme::S3, bucket, file.key.clone()));
            let range = file.range.clone();
            request.with(Source::Object(Entry { range, ..entry }))
        })
    }

    /// What a file may be: the wanted bytes of each version of its object.
    fn versions(&self, origin: &Origin, bucket: &str, wanted: &Wanted) -> Vec<Vec<u8>> {
        let cut = |object: &Object| {
            let range = wanted.range.clone().unwrap_or(0..u64::MAX);
            origin::content(
                object.seed,
                range.start.min(object.size)..range.end.min(object.size),
            )
        };
        origin.versions(bucket, &wanted.key).iter().map(cut).collect()
    }

    fn save(
        &self,
        retriever: &Retriever,
        request: DownloadRequest,
        folder: &std::path::Path,
        hooks: Hooks,
    ) -> Arc<Report> {
        let saving = retriever.save(request, folder, hooks).unwrap();
        if let Some(after) = self.cancel_after {
            std::thread::sleep(after);
            saving.control().cancel();
        }
        saving.wait()
    }

    fn read(&self, mut files: Files) -> (Arc<Report>, Vec<Read>) {
        let control = files.control();
        let canceller = self.cancel_after.map(|after| {
            std::thread::spawn(move || {
                std::thread::sleep(after);
                control.cancel();
            })
        });
        let mut read = Vec::new();
        for file in &mut files {
            read.push(match file {
                Ok(file) => self.read_file(file),
                Err((meta, error)) => Read::failed(meta.name, error),
            });
        }
        // A run that was cancelled lets go of what it holds when it ends, a little later.
        let stats = files.stats();
        let is_even = stats.window_bytes == 0 || self.cancel_after.is_some();
        assert!(
            is_even,
            "seed {}: bytes of the budget are lost: {stats:?}",
            self.seed
        );
        let report = futures::executor::block_on(files.report());
        if let Some(canceller) = canceller {
            canceller.join().unwrap();
        }
        (report, read)
    }

    fn read_file(&self, mut file: retrieve::FileReader) -> Read {
        let mut read = Read::begun(file.meta().name);
        let most = self.pieces.unwrap_or(u64::MAX);
        let mut count = 0;
        while count < most {
            match file.next() {
                Some(Ok(piece)) => read.bytes.extend_from_slice(&piece),
                Some(Err(error)) => {
                    read.error = Some(error);
                    return read;
                }
                None => {
                    read.is_whole = true;
                    return read;
                }
            }
            count += 1;
        }
        read
    }

    /// The next run uses what the cancelled one has left.
    fn run_again(&self, origin: &Origin, bucket: &str, retriever: &Retriever, folder: &std::path::Path) {
        origin.set_faults(bucket, Faults::none());
        let saving = retriever
            .save(self.request(origin, bucket), folder, Hooks::default())
            .unwrap();
        let report = saving.wait();
        assert!(report.is_complete(), "seed {}: resumed: {report:?}", self.seed);
        for wanted in &self.files {
            let versions = self.versions(origin, bucket, wanted);
            let bytes = std::fs::read(folder.join(&wanted.key)).unwrap();
            assert!(
                versions.last() == Some(&bytes),
                "seed {}: {} is wrong after a resume",
                self.seed,
                wanted.key
            );
        }
        check::nothing_is_left(folder, self.seed);
    }
}

fn wanted(draw: &mut Draw, at: u64, chunk: u64, is_listed: bool) -> Wanted {
    let sizes = [
        0,
        1,
        chunk - 1,
        chunk,
        chunk + 1,
        2 * chunk,
        3 * chunk,
        5 * chunk + 7,
        draw_size(draw),
        draw_size(draw),
    ];
    // Where one range in three stalls, more of them than this take a minute.
    let size = draw.of(&sizes).min(40 * chunk);
    let range = (!is_listed && draw.once_in(8)).then(|| {
        let start = draw.below(size + 10);
        start..start + draw.below(size + 10)
    });
    Wanted {
        key: format!("file-{at}"),
        size,
        range,
    }
}

fn draw_size(draw: &mut Draw) -> u64 {
    let most = draw.of(&[10_000, 300_000, 1_500_000, 5_000_000]);
    draw.below(most)
}

/// Up to four kinds of faults. Corrupt bytes are asked for only where a checksum can tell.
fn faults(draw: &mut Draw, has_checksum: bool) -> Vec<(Fault, f64)> {
    let kinds: Vec<_> = Fault::all()
        .filter(|fault| has_checksum || *fault != Fault::Corrupt)
        .collect();
    let mut faults: Vec<_> = (0..draw.below(5))
        .map(|_| (draw.of(&kinds), draw.of(&[0.02, 0.1, 0.3])))
        .collect();
    // Nobody can ask any more for the checksum of what was overwritten.
    if faults.iter().any(|(fault, _)| *fault == Fault::Overwrite) {
        faults.retain(|(fault, _)| *fault != Fault::Corrupt);
    }
    faults
}

fn options(draw: &mut Draw, chunk: u64) -> Options {
    Options {
        memory_bytes: draw.of(&[1 << 20, 2 << 20, 8 << 20]),
        max_connections: draw.of(&[1, 2, 4, 16, 64]),
        start_connections: draw.of(&[None, Some(1), Some(4)]),
        chunk_bytes: Some(chunk),
        open_files: draw.of(&[1, 2, 8]),
        order: draw.of(&[Order::Request, Order::Completion]),
        stall: Duration::from_millis(300),
        max_backoff: Duration::from_millis(20),
        on_change: draw.of(&[OnChange::Fail, OnChange::Restart]),
        hedge: !draw.once_in(4),
        resume: !draw.once_in(4),
        threads: Some(2),
        seed: draw.next(),
        ..Options::default()
    }
}
