use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};

use super::{Answer, Orders};
use crate::Extract;

/// What one PDF may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PdfLimits {
    /// Wall-clock time from start to answer, in milliseconds; processor time is limited to the same, in whole seconds.
    pub timeout_ms: u64,
    /// Address space of the child, in bytes.
    pub memory_bytes: u64,
    /// The longest answer that is read, in bytes.
    pub output_bytes: u64,
}

impl Default for PdfLimits {
    fn default() -> Self {
        Self {
            timeout_ms: 60_000,
            memory_bytes: 1 << 30,
            output_bytes: 64 << 20,
        }
    }
}

/// Why a PDF has no text.
#[derive(Debug, thiserror::Error)]
pub enum PdfError {
    /// It is no PDF, or a damaged one.
    #[error("the pdf cannot be read: {reason}")]
    Broken {
        /// What the parser says.
        reason: String,
    },
    /// It needs a password.
    #[error("the pdf needs a password")]
    Encrypted,
    /// Its time was up.
    #[error("the pdf took longer than {timeout_ms} ms; raise the limit, or leave it out")]
    Timeout {
        /// The limit that was in force.
        timeout_ms: u64,
    },
    /// It needed more memory than it may have.
    #[error("the pdf needs more than {memory_bytes} bytes of memory; raise the limit, or leave it out")]
    Memory {
        /// The limit that was in force.
        memory_bytes: u64,
    },
    /// Its text is longer than what is read.
    #[error("the text of the pdf is longer than {output_bytes} bytes; raise the limit, or leave it out")]
    Output {
        /// The limit that was in force.
        output_bytes: u64,
    },
    /// The parser died.
    #[error("the pdf parser ended with {status} and no answer; the pdf is probably damaged")]
    Crashed {
        /// How it ended.
        status: String,
    },
    /// The parser could not be started or talked to.
    #[error("the pdf process could not be run")]
    Io(#[from] io::Error),
}

/// Reads PDFs, each in a process of its own: see [`PdfReader::read`].
#[derive(Clone, Debug)]
pub struct PdfReader {
    program: PathBuf,
    args: Vec<OsString>,
    limits: PdfLimits,
}

impl PdfReader {
    /// A reader that starts `program` with `args`, which must do nothing but call [`serve_pdf`](crate::serve_pdf).
    pub fn new(program: PathBuf, args: Vec<OsString>, limits: PdfLimits) -> Self {
        Self {
            program,
            args,
            limits,
        }
    }

    /// Reads one PDF: starts the program, hands it the PDF, waits for the answer.
    ///
    /// The child is killed when its time is up and when the returned future is dropped. It gets no environment
    /// variables, and nothing that it writes to standard error is passed on.
    ///
    /// # Errors
    ///
    /// [`PdfError`]; of its kinds, only [`PdfError::Io`] is worth another try.
    pub async fn read(&self, bytes: &[u8]) -> Result<Extract, PdfError> {
        let mut child = self.start()?;
        let timeout = Duration::from_millis(self.limits.timeout_ms);
        let outcome = tokio::time::timeout(timeout, self.converse(&mut child, bytes)).await;
        // Also after an answer: whoever has given one needs no more time.
        let killed = child.kill().await;
        let Ok(conversation) = outcome else {
            return Err(PdfError::Timeout {
                timeout_ms: self.limits.timeout_ms,
            });
        };
        let conversation = conversation?;
        killed?;
        self.judge(&conversation)
    }

    fn start(&self) -> io::Result<Child> {
        Command::new(&self.program)
            .args(&self.args)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }

    /// Writes and reads at once, so that neither side waits for the other.
    async fn converse(&self, child: &mut Child, bytes: &[u8]) -> io::Result<Conversation> {
        let (mut answer, mut complaint) = (Vec::new(), Vec::new());
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        let orders = self.orders()?;
        let (sent, received, complained) = tokio::join!(
            send(stdin, &orders, bytes),
            receive(stdout, self.limits.output_bytes.saturating_add(1), &mut answer),
            receive(stderr, MAX_COMPLAINT_BYTES, &mut complaint),
        );
        received?;
        complained?;
        let is_too_long = answer.len() as u64 > self.limits.output_bytes;
        let status = if is_too_long {
            None
        } else {
            Some(child.wait().await?)
        };
        // A child that ends early does not read all of its input; its status says why.
        match sent {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(Conversation {
                status,
                answer,
                complaint,
            }),
        }
    }

    fn orders(&self) -> io::Result<Vec<u8>> {
        let cpu_seconds = self.limits.timeout_ms.div_ceil(1000);
        let mut line = serde_json::to_vec(&Orders {
            memory_bytes: self.limits.memory_bytes,
            cpu_seconds,
        })?;
        line.push(b'\n');
        Ok(line)
    }

    fn judge(&self, conversation: &Conversation) -> Result<Extract, PdfError> {
        let limits = &self.limits;
        let Some(status) = conversation.status else {
            return Err(PdfError::Output {
                output_bytes: limits.output_bytes,
            });
        };
        match serde_json::from_slice(&conversation.answer) {
            Ok(Answer::Extract(extract)) => return Ok(extract),
            Ok(Answer::Broken(reason)) => return Err(PdfError::Broken { reason }),
            Ok(Answer::Encrypted) => return Err(PdfError::Encrypted),
            Err(_) => {}
        }
        if memchr::memmem::find(&conversation.complaint, OUT_OF_MEMORY).is_some() {
            return Err(PdfError::Memory {
                memory_bytes: limits.memory_bytes,
            });
        }
        if status.signal() == Some(SIGXCPU) {
            return Err(PdfError::Timeout {
                timeout_ms: limits.timeout_ms,
            });
        }
        Err(PdfError::Crashed {
            status: status.to_string(),
        })
    }
}

/// How much of the child's standard error is looked at, in bytes.
const MAX_COMPLAINT_BYTES: u64 = 4096;

/// What the Rust runtime writes before it aborts for want of memory.
const OUT_OF_MEMORY: &[u8] = b"memory allocation of";

/// The signal for processor time used up, on Linux.
const SIGXCPU: i32 = 24;

/// What a child said and how it ended; no status where it said more than it may.
#[derive(Debug)]
struct Conversation {
    status: Option<ExitStatus>,
    answer: Vec<u8>,
    complaint: Vec<u8>,
}

async fn send(pipe: Option<ChildStdin>, orders: &[u8], bytes: &[u8]) -> io::Result<()> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    pipe.write_all(orders).await?;
    pipe.write_all(bytes).await?;
    pipe.shutdown().await
}

async fn receive(pipe: Option<impl AsyncRead + Unpin>, max_bytes: u64, into: &mut Vec<u8>) -> io::Result<()> {
    if let Some(pipe) = pipe {
        pipe.take(max_bytes).read_to_end(into).await?;
    }
    Ok(())
}
