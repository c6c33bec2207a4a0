//! Answers the run's questions for names.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::gate::Gate;

/// Questions at a time over UDP, and over TCP, where each keeps a connection.
const QUESTIONS_MAX: usize = 64;
const CONNECTIONS_MAX: usize = 8;
/// The longest question: one name of 255 bytes and some options.
const QUESTION_BYTES_MAX: usize = 4096;
/// The header, which every message has.
const HEADER_BYTES: usize = 12;
/// How long a name may be looked up, shorter than what clients wait.
const LOOKUP_TIME: Duration = Duration::from_secs(4);
/// How long a TCP connection may wait for its next question.
const NEXT_QUESTION_TIME: Duration = Duration::from_secs(10);
/// What is waited after an error of a socket, lest it be a lasting one.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a client may remember an address, in seconds.
const TTL_SECONDS: u32 = 60;
/// What fits into a datagram everywhere (DNS flag day 2020).
const DATAGRAM_BYTES: u16 = 1232;

/// Answers datagrams and connections until the gate closes.
pub(crate) fn start(gate: &Arc<Gate>, datagrams: UdpSocket, connections: TcpListener) -> io::Result<()> {
    datagrams.set_nonblocking(true)?;
    connections.set_nonblocking(true)?;
    let places = |most| Arc::new(Semaphore::new(most));
    let datagrams = Arc::new(tokio::net::UdpSocket::from_std(datagrams)?);
    let connections = tokio::net::TcpListener::from_std(connections)?;
    gate.spawn(serve_datagrams(gate.clone(), datagrams, places(QUESTIONS_MAX)));
    gate.spawn(serve_connections(
        gate.clone(),
        connections,
        places(CONNECTIONS_MAX),
    ));
    Ok(())
}

async fn serve_datagrams(gate: Arc<Gate>, socket: Arc<tokio::net::UdpSocket>, places: Arc<Semaphore>) {
    let mut question = vec![0; QUESTION_BYTES_MAX];
    while let Ok(place) = places.clone().acquire_owned().await {
        let Ok((length, client)) = socket.recv_from(&mut question).await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let question = question.get(..length).unwrap_or_default().to_vec();
        let (answering, socket) = (gate.clone(), socket.clone());
        gate.spawn(async move {
            let _place = place;
            answer_datagram(&answering, &socket, &question, client).await;
        });
    }
}

async fn answer_datagram(gate: &Gate, socket: &tokio::net::UdpSocket, question: &[u8], client: SocketAddr) {
    let Some(answer) = answer(gate, question).await else {
        return;
    };
    if let Err(error) = socket.send_to(&answer, client).await {
        tracing::debug!(%error, "an answer for a name was not sent");
    }
}

async fn serve_connections(gate: Arc<Gate>, listener: tokio::net::TcpListener, places: Arc<Semaphore>) {
    while let Ok(place) = places.clone().acquire_owned().await {
        let Ok((connection, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let answering = gate.clone();
        gate.spawn(async move {
            let _place = place;
            let ended = answer_connection(&answering, connection).await;
            tracing::trace!(?ended, "a connection with questions for names ended");
        });
    }
}

/// Each message has its length before it (RFC 1035, section 4.2.2).
async fn answer_connection(gate: &Gate, mut connection: TcpStream) -> io::Result<()> {
    loop {
        let length = tokio::time::timeout(NEXT_QUESTION_TIME, connection.read_u16()).await??;
        let mut question = vec![0; usize::from(length)];
        tokio::time::timeout(NEXT_QUESTION_TIME, connection.read_exact(&mut question)).await??;
        let Some(answer) = answer(gate, &question).await else {
            return Ok(());
        };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        connection
            .write_all(&[&length.to_be_bytes(), answer.as_slice()].concat())
            .await?;
    }
}

/// The answer to a message; nothing for one that is no question.
async fn answer(gate: &Gate, question: &[u8]) -> Option<Vec<u8>> {
    let [first, second, flags, ..] = *question.get(..HEADER_BYTES)? else {
        return None;
    };
    // An answer to an answer could go on for ever.
    if flags & 0x80 != 0 {
        return None;
    }
    let answer = match Message::from_vec(question) {
        Ok(question) => answer_message(gate, question).await,
        Err(_) => {
            let id = u16::from_be_bytes([first, second]);
            Message::error_msg(id, OpCode::Query, ResponseCode::FormErr)
        }
    };
    answer.to_vec().ok()
}

async fn answer_message(gate: &Gate, question: Message) -> Message {
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    if question.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(DATAGRAM_BYTES);
        answer.set_edns(edns);
    }
    debug_assert_eq!(question.metadata.message_type, MessageType::Query);
    let found = match question.queries.as_slice() {
        _ if question.metadata.op_code != OpCode::Query => Err(ResponseCode::NotImp),
        [query] if query.query_class != DNSClass::IN => Err(ResponseCode::Refused),
        [query] if query.query_type == RecordType::A => address_of(gate, &query.name).await,
        // Nobody has an IPv6 address here, nor anything else.
        [_] => Ok(None),
        _ => Err(ResponseCode::FormErr),
    };
    answer.add_queries(question.queries);
    match found {
        Ok(record) => answer.add_answers(record),
        Err(code) => {
            answer.metadata.response_code = code;
            &mut answer
        }
    };
    answer
}

async fn address_of(gate: &Gate, name: &Name) -> Result<Option<Record>, ResponseCode> {
    let text = name.to_lowercase().to_ascii();
    let text = text.trim_end_matches('.');
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_plain) {
        return Err(ResponseCode::NXDomain);
    }
    let exists = tokio::time::timeout(LOOKUP_TIME, gate.exists(text)).await;
    if !exists.map_err(|_| ResponseCode::ServFail)? {
        return Err(ResponseCode::NXDomain);
    }
    let address = gate.address(text).ok_or(ResponseCode::Refused)?;
    Ok(Some(Record::from_rdata(
        name.clone(),
        TTL_SECONDS,
        RData::A(A(address)),
    )))
}
