use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use crate::testkit::driver::Segments;
use crate::testkit::random::Random;

/// How long to wait for an answer too many, once all that are due have come and the stream has ended.
const AFTERTHOUGHT: Duration = Duration::from_millis(200);

/// The most bytes of a line that a finding shows.
const SHOWN: usize = 120;

/// One connection.
pub(super) struct Conversation {
    stream: TcpStream,
    patience: Duration,
}

impl Conversation {
    pub(super) fn open(address: SocketAddr, patience: Duration) -> Result<Self, String> {
        let connect = || -> std::io::Result<TcpStream> {
            let stream = TcpStream::connect_timeout(&address, patience)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(patience))?;
            stream.set_write_timeout(Some(patience))?;
            Ok(stream)
        };
        let stream = connect().map_err(|error| format!("cannot connect to {address}: {error}"))?;
        Ok(Self { stream, patience })
    }

    /// Sends `bytes` and reads answers at the same time, until there are as many as are expected.
    pub(super) fn exchange(
        &mut self,
        bytes: &[u8],
        expected: &[u8],
        segments: Segments,
        random: &mut Random,
    ) -> Result<(), String> {
        if segments == Segments::Lines {
            return self.line_by_line(bytes, expected);
        }
        let pieces = segments.cut(bytes, random);
        let (mut writer, mut reader) = (&self.stream, &self.stream);
        let (sent, received) = thread::scope(|scope| {
            let sending = scope.spawn(move || pieces.iter().try_for_each(|piece| writer.write_all(piece)));
            let received = read_until(&mut reader, expected.len());
            (sending.join(), received)
        });
        compare(bytes, &received, expected)?;
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("the server did not take {}: {error}", shown(bytes))),
            Err(_) => Err("the driver's own thread panicked".to_owned()),
        }
    }

    fn line_by_line(&mut self, bytes: &[u8], expected: &[u8]) -> Result<(), String> {
        let mut due = expected.split_inclusive(|&byte| byte == b'\n');
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            let answer = match line.ends_with(b"\n") {
                true => due.next().unwrap_or_default(),
                false => b"",
            };
            self.ask(line, answer)?;
        }
        Ok(())
    }

    fn ask(&mut self, line: &[u8], answer: &[u8]) -> Result<(), String> {
        self.send(line)?;
        let received = read_until(&mut self.stream, answer.len());
        compare(line, &received, answer)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let sent = self.stream.write_all(bytes);
        sent.map_err(|error| format!("the server did not take {}: {error}", shown(bytes)))
    }

    /// Sends one line and returns its answer, without the newline.
    pub(super) fn answer(&mut self, line: &str) -> Result<String, String> {
        self.send(format!("{line}\n").as_bytes())?;
        self.read_answer()
            .map_err(|error| format!("sent {}, and {error}", shown(line.as_bytes())))
    }

    fn read_answer(&self) -> Result<String, String> {
        let mut stream = &self.stream;
        let mut answer = String::new();
        while let [letter] = *read_until(&mut stream, 1).as_slice() {
            match letter {
                b'\n' => return Ok(answer),
                _ if answer.len() > SHOWN => break,
                letter => answer.push(char::from(letter)),
            }
        }
        Err(format!("only {answer:?} came"))
    }

    /// Sends all lines at once and returns which were told OK; the others must be told FAIL.
    pub(super) fn are_ok(&mut self, lines: &str) -> Result<Vec<bool>, String> {
        let mut writer = &self.stream;
        thread::scope(|scope| {
            let sending = scope.spawn(move || writer.write_all(lines.as_bytes()));
            let told = lines.lines().map(|line| match self.read_answer()?.as_str() {
                "OK" => Ok(true),
                "FAIL" => Ok(false),
                other => Err(format!("{other:?} came to {}", shown(line.as_bytes()))),
            });
            let told = told.collect();
            let _ = sending.join();
            told
        })
    }

    /// Ends the stream. Nothing more may come.
    pub(super) fn finish(mut self) -> Result<(), String> {
        let _ = self.stream.shutdown(Shutdown::Write);
        let _ = self
            .stream
            .set_read_timeout(Some(AFTERTHOUGHT.min(self.patience)));
        match read_until(&mut self.stream, 1).as_slice() {
            [] => Ok(()),
            more => Err(format!("after the last answer, {} and more came", shown(more))),
        }
    }
}

/// Reads `length` bytes, or fewer when the stream ends or is silent for too long.
fn read_until(stream: &mut impl Read, length: usize) -> Vec<u8> {
    let mut received = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match stream.read(&mut received[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    received.truncate(filled);
    received
}

/// The first line whose answer is another one.
fn compare(sent: &[u8], received: &[u8], expected: &[u8]) -> Result<(), String> {
    if received == expected {
        return Ok(());
    }
    let lines = |bytes: &[u8], at: usize| {
        let mut lines = bytes.split_inclusive(|&byte| byte == b'\n');
        lines.nth(at).map(<[u8]>::to_vec)
    };
    let count = expected.iter().filter(|&&byte| byte == b'\n').count();
    let at = (0..count)
        .find(|&at| lines(received, at) != lines(expected, at))
        .unwrap_or(count);
    let came = match lines(received, at) {
        Some(answer) => shown(&answer),
        None => "nothing".to_owned(),
    };
    Err(format!(
        "line {} is {}: {came} came, {} was expected; sent in all: {}",
        at + 1,
        shown(&lines(sent, at).unwrap_or_default()),
        shown(&lines(expected, at).unwrap_or_default()),
        shown(sent),
    ))
}

/// Bytes as a Rust text, cut where they are many.
pub(super) fn shown(bytes: &[u8]) -> String {
    match bytes.get(..SHOWN) {
        Some(first) if bytes.len() > SHOWN => {
            format!("b\"{}\"... ({} bytes)", first.escape_ascii(), bytes.len())
        }
        _ => format!("b\"{}\"", bytes.escape_ascii()),
    }
}
