//! Where connections of a job arrive.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, Result, ensure};
use sandbox::{Ability, Ended, Gateway, Network};
use socket2::SockRef;
use tests::Bench;

use crate::fixture::{Case, Started, test_with};

pub(crate) fn add(bench: &mut Bench) {
    bench.test("without_a_gateway_there_is_nobody", &[], nobody);
    test_with(
        bench,
        Ability::Gateway,
        "every_connection_arrives_with_its_target",
        connections,
    );
    test_with(
        bench,
        Ability::Gateway,
        "every_question_for_a_name_arrives",
        names,
    );
    test_with(
        bench,
        Ability::Gateway,
        "names_are_asked_through_the_gateway",
        resolver,
    );
    test_with(
        bench,
        Ability::Gateway,
        "other_datagrams_and_ipv6_go_nowhere",
        nowhere,
    );
    test_with(bench, Ability::Gateway, "a_job_may_talk_to_itself", itself);
    test_with(bench, Ability::Gateway, "the_gateway_dies_with_the_job", dies);
}

fn nobody() -> Result<()> {
    let script = format!(
        "{CONNECT} for ('192.0.2.1', '127.0.0.1', '169.254.169.254') {{ print connected($_, 80) ? 1 : 0 }}"
    );
    let done = Case::perl(&script)?.run()?;
    ensure!(done.stdout == "000", "{done:?}");
    Ok(())
}

/// A function of Perl that connects, says hello and returns the answer.
const CONNECT: &str = "use IO::Socket::INET; sub connected { \
     my $s = IO::Socket::INET->new(PeerAddr => $_[0], PeerPort => $_[1], Proto => $_[2] // 'tcp', Timeout => 5) or return; \
     $s->send('hello'); defined $s->recv(my $answer, 99) or return; return $answer } ";

fn case(script: &str) -> Result<Case> {
    Ok(Case::perl(&format!("{CONNECT}{script}"))?.with(|job| job.network = Network::Gateway))
}

fn start(case: &Case) -> Result<(Started, Gateway)> {
    let mut started = case.start()?;
    let gateway = started.running.gateway.take().context("there is no gateway")?;
    Ok((started, gateway))
}

/// The addresses are never reached: the sandbox's network has no way to them.
fn connections() -> Result<()> {
    let targets = [
        ("192.0.2.7", 80),
        ("198.18.0.1", 443),
        ("169.254.169.254", 80),
        ("10.0.0.1", 65535),
    ];
    for (address, port) in targets {
        let case = case(&format!("print connected('{address}', {port})"))?;
        let (started, gateway) = start(&case)?;
        let (mut connection, _) = gateway.connections.accept()?;
        let target = SockRef::from(&connection).original_dst_v4()?.as_socket();
        ensure!(
            target == Some(SocketAddr::new(address.parse()?, port)),
            "{address}: {target:?}"
        );
        let mut hello = [0; 5];
        connection.read_exact(&mut hello)?;
        connection.write_all(b"answered")?;
        drop(connection);
        let done = started.wait()?;
        ensure!(
            hello == *b"hello" && done.stdout == "answered",
            "{address}: {done:?}"
        );
    }
    Ok(())
}

/// As programs do that drive a browser. Nobody of the machine can be meant: this is the job's own network.
fn itself() -> Result<()> {
    let outside = TcpListener::bind("127.0.0.1:0")?;
    let port = outside.local_addr()?.port();
    let script = format!(
        "print defined connected('127.0.0.1', {port}) ? 'reached' : 'nobody'; \
         my $own = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die; \
         if (!fork) {{ my $one = $own->accept; $one->recv(my $hello, 99); $one->send('itself'); exit }} \
         print connected('127.0.0.1', $own->sockport)"
    );
    let case = case(&script)?;
    let (started, _gateway) = start(&case)?;
    let done = started.wait()?;
    ensure!(done.stdout == "nobodyitself", "{done:?}");
    outside.set_nonblocking(true)?;
    ensure!(outside.accept().is_err(), "a job reached this machine");
    Ok(())
}

fn names() -> Result<()> {
    for address in ["127.0.0.1", "192.0.2.53"] {
        let by_datagram = case(&format!("print connected('{address}', 53, 'udp')"))?;
        let (started, gateway) = start(&by_datagram)?;
        let mut question = [0; 99];
        let (length, from) = gateway.names.recv_from(&mut question)?;
        ensure!(question.starts_with(b"hello") && length == 5);
        gateway.names.send_to(b"answered", from)?;
        let done = started.wait()?;
        ensure!(done.stdout == "answered", "{address}: {done:?}");

        let by_stream = case(&format!("print connected('{address}', 53)"))?;
        let (started, gateway) = start(&by_stream)?;
        gateway.names_tcp.accept()?.0.write_all(b"answered")?;
        let done = started.wait()?;
        ensure!(done.stdout == "answered", "{address}: {done:?}");
    }
    Ok(())
}

fn resolver() -> Result<()> {
    let case = case("print gethostbyname('example.test') ? 1 : 0")?;
    let (started, gateway) = start(&case)?;
    ensure!(gateway.resolver.to_string() == "127.0.0.1:53");
    let mut question = [0; 512];
    let (length, from) = gateway.names.recv_from(&mut question)?;
    let question = question.get(..length).context("a datagram is as long as it is")?;
    ensure!(
        question.windows(13).any(|name| name == b"\x07example\x04test"),
        "{question:?}"
    );
    // "No such name", as a header.
    let mut answer = question.to_vec();
    answer.splice(2..4, [0x81, 0x83]);
    gateway.names.send_to(&answer, from)?;
    drop(gateway);
    let done = started.wait()?;
    ensure!(done.stdout == "0", "{done:?}");
    Ok(())
}

fn nowhere() -> Result<()> {
    let script = "print defined connected('192.0.2.1', 123, 'udp') ? 1 : 0; \
                  use Socket qw(:all); socket(my $s, AF_INET6, SOCK_STREAM, 0); \
                  print connect($s, pack_sockaddr_in6(80, inet_pton(AF_INET6, $_))) ? 1 : 0 for ('2001:db8::1', '::1')";
    let case = case(&format!("alarm 5; {script}"))?;
    let (started, _gateway) = start(&case)?;
    let done = started.wait()?;
    ensure!(done.ended == Ended::Exited(0) && done.stdout == "000", "{done:?}");
    Ok(())
}

fn dies() -> Result<()> {
    let case = case("connected('192.0.2.1', 80)")?;
    let (started, gateway) = start(&case)?;
    let (mut connection, _) = gateway.connections.accept()?;
    started.running.stopper().stop();
    let done = started.wait()?;
    ensure!(done.ended == Ended::Stopped, "{done:?}");
    let mut hello = Vec::new();
    // The end, or a reset: in any case it does not hang.
    let _ = connection.read_to_end(&mut hello);
    ensure!(hello.is_empty() || hello == b"hello");
    Ok(())
}
