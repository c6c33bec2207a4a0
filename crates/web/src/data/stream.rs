//! Rows on their way to a client: a thread asks and writes, the connection takes.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use dataset::{Column, QueryError, Question, Reader, ReaderLimits, Row};
use futures::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::data::desk::Seat;

/// Bytes that are gathered before they are sent.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces that wait for the client, beside the one that is written.
const PIECES: usize = 1;
/// How long a client may leave a piece where it is.
const MAX_STALL: Duration = Duration::from_secs(30);

/// Says that there was more than the limits let through.
pub(crate) const TRUNCATED: HeaderName = HeaderName::from_static("x-haul-truncated");

/// How rows are written.
pub(crate) trait Format: Send + 'static {
    /// What comes before the first row, and also where there is none.
    fn begin(&mut self, columns: &[Column], out: &mut Vec<u8>);
    /// A row.
    fn row(&mut self, row: &Row<'_>, out: &mut Vec<u8>);
    /// What comes after the last row.
    fn end(&mut self, is_truncated: bool, out: &mut Vec<u8>);
}

/// What becomes of an answer that is longer than the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    /// It ends at the limit, with a mark.
    Marked,
    /// It breaks off, or is refused if it has not begun: for clients that know no mark and would take a part for the whole.
    Refused,
}

/// A question with everything that it takes to answer it.
pub(crate) struct Work {
    pub(crate) path: PathBuf,
    pub(crate) question: Question,
    pub(crate) limits: ReaderLimits,
    pub(crate) excess: Excess,
    pub(crate) seat: Seat,
}

/// The beginning of an answer: all of it, if it fits one piece.
enum Beginning {
    Whole { bytes: Bytes, is_truncated: bool },
    More,
}

type Piece = Result<Frame<Bytes>, io::Error>;

/// Asks, and returns as soon as it is known that there is an answer.
///
/// # Errors
///
/// Whatever went wrong before the first piece. Afterwards the connection breaks off.
pub(crate) async fn answer<F: Format>(work: Work, format: F) -> Result<Response, QueryError> {
    let (begun, beginning) = oneshot::channel();
    let (pieces, received) = mpsc::channel(PIECES);
    let handle = Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut pipe = Pipe {
            out: Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 4),
            begun: Some(begun),
            pieces,
            handle,
        };
        if let Err(error) = produce(work, format, &mut pipe) {
            pipe.fail(error);
        }
    });
    let gone = || Err(QueryError::Unreadable("the thread that asked has ended".into()));
    match beginning.await.unwrap_or_else(|_| gone())? {
        Beginning::Whole { bytes, is_truncated } => {
            let mut response = Response::new(Body::from(bytes));
            if is_truncated {
                response
                    .headers_mut()
                    .insert(TRUNCATED, HeaderValue::from_static("true"));
            }
            Ok(response)
        }
        Beginning::More => Ok(streamed(received)),
    }
}

fn streamed(received: mpsc::Receiver<Piece>) -> Response {
    let frames = stream::unfold(received, async |mut received| {
        let piece = received.recv().await?;
        Some((piece, received))
    });
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    let trailer = HeaderValue::from_static("x-haul-truncated");
    response.headers_mut().insert(header::TRAILER, trailer);
    response
}

fn produce(work: Work, mut format: impl Format, pipe: &mut Pipe) -> Result<(), QueryError> {
    let Work {
        path,
        question,
        limits,
        excess,
        seat: _seat,
    } = work;
    let reader = Reader::open(&path, limits)?;
    reader.ask(&question, |rows| {
        let columns = rows.columns().to_vec();
        let mut is_first = true;
        while let Some(row) = rows.next_row()? {
            if is_first {
                format.begin(&columns, &mut pipe.out);
                is_first = false;
            }
            format.row(&row, &mut pipe.out);
            if pipe.out.len() >= PIECE_BYTES && !pipe.flush() {
                return Ok(());
            }
        }
        if is_first {
            format.begin(&columns, &mut pipe.out);
        }
        let is_truncated = rows.is_truncated();
        if is_truncated && excess == Excess::Refused {
            let said = "the answer is larger than this server gives at once; ask for less, with LIMIT";
            return Err(QueryError::Sql(said.into()));
        }
        format.end(is_truncated, &mut pipe.out);
        pipe.end(is_truncated);
        Ok(())
    })
}

/// The way from the thread to the connection.
struct Pipe {
    out: Vec<u8>,
    /// Until the answer has begun.
    begun: Option<oneshot::Sender<Result<Beginning, QueryError>>>,
    pieces: mpsc::Sender<Piece>,
    handle: Handle,
}

impl Pipe {
    /// Sends what is gathered; false if nobody takes it.
    fn flush(&mut self) -> bool {
        if let Some(begun) = self.begun.take() {
            let _ = begun.send(Ok(Beginning::More));
        }
        let next = Vec::with_capacity(self.out.capacity());
        let bytes = std::mem::replace(&mut self.out, next);
        self.send(Ok(Frame::data(bytes.into())))
    }

    fn send(&self, piece: Piece) -> bool {
        let sent = self.pieces.send_timeout(piece, MAX_STALL);
        self.handle.block_on(sent).is_ok()
    }

    fn end(&mut self, is_truncated: bool) {
        if let Some(begun) = self.begun.take() {
            let bytes = std::mem::take(&mut self.out).into();
            let _ = begun.send(Ok(Beginning::Whole { bytes, is_truncated }));
            return;
        }
        if self.flush() && is_truncated {
            let trailers = [(TRUNCATED, HeaderValue::from_static("true"))];
            self.send(Ok(Frame::trailers(HeaderMap::from_iter(trailers))));
        }
    }

    fn fail(&mut self, error: QueryError) {
        match self.begun.take() {
            Some(begun) => {
                let _ = begun.send(Err(error));
            }
            None => {
                self.send(Err(io::Error::other(error)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{HttpBody, to_bytes};
    use dataset::Value;

    use super::*;
    use crate::data::desk::{Asker, Desk};

    /// The first value of each row, one behind the other.
    struct Texts;

    impl Format for Texts {
        fn begin(&mut self, _columns: &[Column], out: &mut Vec<u8>) {
            out.extend_from_slice(b"begin\n");
        }

        fn row(&mut self, row: &Row<'_>, out: &mut Vec<u8>) {
            if let Value::Text(text) = row.value(0) {
                out.extend_from_slice(text.as_bytes());
            }
        }

        fn end(&mut self, is_truncated: bool, out: &mut Vec<u8>) {
            out.extend_from_slice(if is_truncated { b"cut" } else { b"end" });
        }
    }

    /// Asks for `rows` rows of 50,000 bytes each where `max_rows` are allowed.
    async fn ask(rows: u64, max_rows: u64, excess: Excess) -> Result<Response, QueryError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.sqlite");
        std::fs::write(&path, "").unwrap();
        let sql = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT hex(zeroblob(25000)) FROM n";
        let work = Work {
            path,
            question: Question::new(format!("{sql} LIMIT {rows}")),
            limits: ReaderLimits {
                max_rows,
                ..ReaderLimits::default()
            },
            excess,
            seat: Desk::default().seat(Asker::Anyone).await.unwrap(),
        };
        answer(work, Texts).await
    }

    #[tokio::test]
    async fn a_short_answer_says_in_its_head_that_it_was_cut() {
        let whole = ask(1, 1, Excess::Marked).await.unwrap();
        assert!(!whole.headers().contains_key(TRUNCATED));
        assert_eq!(whole.body().size_hint().exact(), Some(6 + 50_000 + 3));
        let cut = ask(2, 1, Excess::Marked).await.unwrap();
        assert_eq!(cut.headers()[TRUNCATED], "true");
        let bytes = to_bytes(cut.into_body(), usize::MAX).await.unwrap();
        assert!(bytes.ends_with(b"cut"));
    }

    #[tokio::test]
    async fn a_long_answer_says_at_its_end_that_it_was_cut() {
        let cut = ask(9, 8, Excess::Marked).await.unwrap();
        assert_eq!(cut.headers()[header::TRAILER], "x-haul-truncated");
        let body = http_body_util::BodyExt::collect(cut.into_body()).await.unwrap();
        assert_eq!(body.trailers().unwrap()[TRUNCATED], "true");
        assert!(body.to_bytes().ends_with(b"cut"));
    }

    #[tokio::test]
    async fn for_clients_that_know_no_mark_it_is_an_error() {
        assert!(matches!(
            ask(2, 1, Excess::Refused).await,
            Err(QueryError::Sql(_))
        ));
        let begun = ask(9, 8, Excess::Refused).await.unwrap();
        assert!(to_bytes(begun.into_body(), usize::MAX).await.is_err());
    }
}
