use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::tape::cassette::BODY_BYTES_MAX;
use crate::tape::conversation::Failure;

const MIB: usize = 1 << 20;

/// Where the bodies of one tape are, as many bytes as fit.
#[derive(Clone)]
pub(crate) struct Memory {
    bytes: usize,
    free: Arc<Semaphore>,
}

impl Memory {
    pub(crate) fn new(bytes: usize) -> Self {
        let bytes = bytes.min(Semaphore::MAX_PERMITS);
        Self {
            bytes,
            free: Arc::new(Semaphore::new(bytes)),
        }
    }

    /// Reads a whole body, which keeps its room until the last handle of it is dropped.
    ///
    /// # Errors
    ///
    /// When it is too large or there is no room, with a sentence; when it breaks, or nothing comes for `idle`.
    pub(crate) async fn whole<B>(&self, body: B, idle: Duration) -> Result<Bytes, Failure>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Failure>,
    {
        let mut body = pin!(body);
        let mut held = Held {
            bytes: Vec::new(),
            room: self.room(0)?,
        };
        while let Some(frame) = timeout(idle, body.frame()).await? {
            let Ok(data) = frame.map_err(Into::into)?.into_data() else {
                continue;
            };
            held.add(&data, self)?;
        }
        Ok(Bytes::from_owner(held))
    }

    fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Failure> {
        let wanted = u32::try_from(bytes)?;
        let room = self.free.clone().try_acquire_many_owned(wanted);
        room.map_err(|_| {
            let most = self.bytes / MIB;
            format!("what is recorded at a time may have {most} MiB; ask for less at once").into()
        })
    }
}

/// A body and its room.
struct Held {
    bytes: Vec<u8>,
    room: OwnedSemaphorePermit,
}

impl Held {
    fn add(&mut self, data: &[u8], memory: &Memory) -> Result<(), Failure> {
        if self.bytes.len() + data.len() > BODY_BYTES_MAX {
            let most = BODY_BYTES_MAX / MIB;
            return Err(format!("a cassette takes no body over {most} MiB").into());
        }
        self.room.merge(memory.room(data.len())?);
        self.bytes.extend_from_slice(data);
        Ok(())
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
