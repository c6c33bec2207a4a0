use std::sync::Arc;

use egress::Policy;
use hickory_proto::op::{Edns, Message, MessageType, ResponseCode};
use hickory_proto::rr::RecordType;

use tokio::net::UdpSocket;

use crate::run::{Run, question};

#[tokio::test]
async fn a_name_has_one_address_of_its_own_as_long_as_the_run_lasts() {
    let run = Run::start(Policy::default());
    run.finds("a.example", &[&["1.2.3.4"]]);
    run.finds("b.example", &[&["1.2.3.4"]]);
    let first = run.resolve("a.example.").await.unwrap();
    let second = run.resolve("b.example.").await.unwrap();
    assert_eq!(first.octets()[..2], [198, 18]);
    assert_ne!(first, second);
    assert_eq!(run.resolve("A.Example.").await.unwrap(), first);
    let over_tcp = run.query_tcp("a.example.").await;
    assert_eq!(
        over_tcp.answers,
        run.query("a.example.", RecordType::A).await.answers
    );
}

#[tokio::test]
async fn whoever_asks_for_something_else_hears_that_there_is_none() {
    let run = Run::start(Policy::default());
    for kind in [
        RecordType::AAAA,
        RecordType::HTTPS,
        RecordType::SVCB,
        RecordType::TXT,
        RecordType::ANY,
    ] {
        let answer = run.query("a.example.", kind).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError, "{kind}");
        assert!(answer.answers.is_empty(), "{kind}");
        assert!(answer.metadata.recursion_available && answer.metadata.recursion_desired);
        assert_eq!(answer.queries, question("a.example.", kind).queries);
    }
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_not_found() {
    let run = Run::start(Policy::default());
    run.finds("empty.example", &[&[]]);
    for name in ["typo.example.", "empty.example.", ".", "a b.example."] {
        assert_eq!(run.resolve(name).await, Err(ResponseCode::NXDomain), "{name}");
    }
}

#[tokio::test]
async fn malformed_questions_are_called_so() {
    let run = Run::start(Policy::default());
    let good = question("a.example.", RecordType::AAAA).to_vec().unwrap();
    let mut two = question("a.example.", RecordType::A);
    two.add_query(two.queries[0].clone());
    for bad in [good[..good.len() - 3].to_vec(), two.to_vec().unwrap()] {
        let answer = Message::from_vec(&run.datagram(&bad).await).unwrap();
        assert_eq!(answer.metadata.response_code, ResponseCode::FormErr);
        assert_eq!(answer.metadata.id.to_be_bytes(), bad[..2]);
    }
    assert_eq!(
        run.query("a.example.", RecordType::AAAA)
            .await
            .metadata
            .message_type,
        MessageType::Response
    );
}

#[tokio::test]
async fn an_extended_question_gets_an_extended_answer() {
    let run = Run::start(Policy::default());
    run.finds("a.example", &[&["1.2.3.4"]]);
    let mut asked = question("a.example.", RecordType::A);
    asked.set_edns(Edns::new());
    let answer = Message::from_vec(&run.datagram(&asked.to_vec().unwrap()).await).unwrap();
    assert!(answer.edns.is_some());
    assert_eq!(answer.answers.len(), 1);
}

#[tokio::test]
async fn names_are_bounded_and_that_is_told_once() {
    let run = Run::start(Policy {
        max_hosts: 2,
        ..Policy::default()
    });
    for name in ["a", "b", "c", "d"] {
        run.finds(name, &[&["1.2.3.4"]]);
    }
    assert!(run.resolve("a.").await.is_ok());
    assert!(run.resolve("b.").await.is_ok());
    assert_eq!(run.resolve("c.").await, Err(ResponseCode::Refused));
    assert_eq!(run.resolve("d.").await, Err(ResponseCode::Refused));
    assert!(run.resolve("a.").await.is_ok());
    assert_eq!(
        run.told(),
        ["further hosts are refused: this run has asked for 2, and the operator allows no more"]
    );
}

#[tokio::test]
async fn no_bytes_keep_others_from_their_answers() {
    let run = Run::start(Policy::default());
    run.finds("a.example", &[&["1.2.3.4"]]);
    let good = question("a.example.", RecordType::A).to_vec().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for position in 0..good.len() {
        for value in [0, 1, 0x3f, 0x80, 0xc0, 0xff] {
            let mut bad = good.clone();
            bad[position] = value;
            socket.send_to(&bad, run.names()).await.unwrap();
            socket.send_to(&bad[..position], run.names()).await.unwrap();
        }
        assert!(run.resolve("a.example.").await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn names_that_nobody_answers_for_take_few_lookups() {
    let run = Arc::new(Run::start(Policy::default()));
    let mut questions = tokio::task::JoinSet::new();
    for number in 0..60 {
        let run = run.clone();
        questions.spawn(async move { run.resolve(&format!("{number}.stuck.")).await });
    }
    for answer in questions.join_all().await {
        assert_eq!(answer, Err(ResponseCode::ServFail));
    }
    assert_eq!(run.lookups(), Policy::default().max_lookups);
}
