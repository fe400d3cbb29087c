//! Who is let in by a manager, and what those can cost it who are not.
#![allow(clippy::disallowed_methods, reason = "a test looks at files")]

#[path = "support/managers.rs"]
mod managers;
mod support;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use coheld::control::{self, Server};
use coheld::wire::{NewClient, Patience, ServeClient};
use coheld::{Address, Manager};
use coheld_shm::os::{child, process};
use coheld_wire::auth::{self, Generation};
use coheld_wire::frame::{self, Decoder};
use coheld_wire::handshake::Handshake;
use managers::{Cost, KEY, TIMEOUT, manager, manager_with, options};
use support::{eventually, fork, free_tcp_address, turn};

/// Most connections that a manager has before authentication.
const STRANGERS: usize = 512;
/// Most conversations of a manager at once.
const CONVERSATIONS: usize = 128;

/// Receives one message, and not a byte beyond it.
fn receive(stream: &mut UnixStream) -> Vec<u8> {
    let mut decoder = Decoder::new(1 << 20);
    loop {
        let mut bytes = vec![0; decoder.wanted() as usize];
        stream.read_exact(&mut bytes).unwrap();
        if let Some(message) = decoder.take(&mut &bytes[..]).unwrap() {
            return message;
        }
    }
}

/// Authenticates, and says nothing else.
fn authenticate(stream: &mut UnixStream) {
    let nonce = &[7; auth::NONCE_LENGTH];
    let mut handshake = Handshake::client(KEY, Generation::Modern, nonce);
    loop {
        let step = handshake.receive(&receive(stream)).unwrap();
        if let Some(message) = step.send {
            stream.write_all(&frame::encode(&message)).unwrap();
        }
        if step.done {
            return;
        }
    }
}

/// Connects to a socket; reading gives up at some time.
fn call(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(2 * TIMEOUT)).unwrap();
    stream
}

/// Whether the other end has closed the connection.
fn has_ended(stream: &UnixStream) -> bool {
    let mut stream = stream;
    stream.set_nonblocking(true).unwrap();
    let ended = loop {
        match stream.read(&mut [0; 512]) {
            Ok(0) => break true,
            Ok(_) => {}
            Err(error) => break error.kind() != ErrorKind::WouldBlock,
        }
    };
    stream.set_nonblocking(false).unwrap();
    ended
}

/// Sends every message back.
struct Echo;

impl ServeClient for Echo {
    fn serve(&self, mut client: NewClient) {
        let patience = Patience::default();
        while let Ok(Some(message)) = client.connection.receive(patience) {
            if client.connection.send(&message, patience).is_err() {
                break;
            }
        }
    }

    fn sweep(&self) {}
}

#[test]
fn who_has_few_connections_does_not_give_way_to_who_has_many() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let manager = manager(&Address::Path(path.clone()));
    let before = Cost::at_rest(&manager);
    let (mut connected, mut report) = std::io::pipe().unwrap();
    let (mut flooded, mut go) = std::io::pipe().unwrap();
    let few = fork(|| {
        let mut stream = call(&path);
        report.write_all(b"x").unwrap();
        flooded.read_exact(&mut [0]).unwrap();
        authenticate(&mut stream);
        true
    });
    connected.read_exact(&mut [0]).unwrap();
    let many: Vec<_> = (0..2 * STRANGERS).map(|_| call(&path)).collect();
    control::ping(&Address::Path(path), KEY, TIMEOUT).unwrap();
    // The oldest have given way to the youngest, and none of them has got a thread.
    assert!(eventually(|| many[..STRANGERS].iter().all(has_ended)));
    assert!(!has_ended(&many[2 * STRANGERS - 1]));
    let descriptors = Cost::of(&manager).descriptors - before.descriptors;
    assert!(descriptors <= STRANGERS + 1, "{descriptors}");
    assert!(eventually(|| Cost::of(&manager).threads == before.threads));
    go.write_all(b"x").unwrap();
    assert!(few.said_yes().unwrap());
    drop(many);
    assert!(eventually(|| Cost::of(&manager) == before));
}

#[test]
fn clients_that_stay_keep_no_others_out() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let address = Address::Path(path.clone());
    let _manager = manager_with(&address, |server| server.serve_clients(Arc::new(Echo)));
    let mut staying: Vec<_> = (0..CONVERSATIONS + 20)
        .map(|number| {
            let mut stream = call(&path);
            authenticate(&mut stream);
            stream.write_all(&frame::encode(&[number as u8])).unwrap();
            stream
        })
        .collect();
    control::ping(&address, KEY, TIMEOUT).unwrap();
    for (number, stream) in staying.iter_mut().enumerate() {
        assert_eq!(receive(stream), [number as u8]);
    }
    // Neither do those that have authenticated and say nothing.
    let silent: Vec<_> = (0..CONVERSATIONS + 20)
        .map(|_| {
            let mut stream = call(&path);
            authenticate(&mut stream);
            stream
        })
        .collect();
    control::connect(&address, KEY, TIMEOUT).unwrap();
    assert!(!silent.iter().any(has_ended));
}

#[test]
fn who_is_silent_for_too_long_is_let_go_unless_it_has_the_key() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let address = Address::Path(path.clone());
    let _manager = manager_with(&address, |server| server.serve_clients(Arc::new(Echo)));
    let mut client = call(&path);
    authenticate(&mut client);
    // A message of which only the header has come.
    let mut slow = call(&path);
    authenticate(&mut slow);
    slow.write_all(&frame::encode(b"slow")[..4]).unwrap();
    let (mut stranger, mut halfway) = (call(&path), call(&path));
    halfway.write_all(&[0]).unwrap();
    let mut rest = Vec::new();
    assert!(matches!(stranger.read_to_end(&mut rest), Ok(63)));
    assert!(eventually(|| has_ended(&halfway)));
    // Clients of the standard library may think as long as they want.
    client.write_all(&frame::encode(b"hello")).unwrap();
    assert_eq!(receive(&mut client), b"hello");
    slow.write_all(b"slow").unwrap();
    assert_eq!(receive(&mut slow), b"slow");
}

#[test]
fn a_manager_without_descriptors_lets_strangers_go_and_goes_on_afterwards() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let address = Address::Path(path.clone());
    let limit = 100;
    let manager = manager_with(&address, |server| {
        server.serve_clients(Arc::new(Echo));
        child::lower_descriptor_limit(limit).unwrap();
    });
    let free = limit as usize - Cost::at_rest(&manager).descriptors;
    // Some are left for strangers, but fewer than the limit for them.
    let mut clients: Vec<_> = (0..free - 5)
        .map(|_| {
            let mut stream = call(&path);
            authenticate(&mut stream);
            stream.write_all(&frame::encode(b"here")).unwrap();
            assert_eq!(receive(&mut stream), b"here");
            stream
        })
        .collect();
    let strangers: Vec<_> = (0..50).map(|_| call(&path)).collect();
    for _ in 0..20 {
        control::ping(&address, KEY, TIMEOUT).unwrap();
    }
    assert!(eventually(|| strangers[..20].iter().all(has_ended)));
    drop(strangers);
    // What was opened before the limit was lowered may have a number beyond it.
    let is_full = || {
        Cost::at_rest(&manager);
        let open = fs::read_dir(format!("/proc/{}/fd", manager.id())).unwrap();
        let numbers = open.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        numbers
            .filter(|number| number.parse::<u64>().unwrap() < limit)
            .count()
            == limit as usize
    };
    // Who gets the last one keeps it.
    while !is_full() {
        let mut stream = call(&path);
        authenticate(&mut stream);
        stream.write_all(&frame::encode(b"here")).unwrap();
        assert_eq!(receive(&mut stream), b"here");
        clients.push(stream);
    }
    // Now there is nothing left: whoever comes waits until somebody goes.
    let waits = control::ping(&address, KEY, Duration::from_millis(300));
    assert!(waits.is_err());
    drop(clients);
    control::ping(&address, KEY, TIMEOUT).unwrap();
}

#[test]
fn other_users_are_not_heard() {
    let _turn = turn();
    // Only the administrator can become somebody else.
    if process::effective_user() != 0 {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let name = directory.path().as_os_str().as_encoded_bytes().to_vec();
    let _manager = manager(&Address::Abstract(name.clone()));
    let heard = |user: u32| {
        let stranger = fork(|| {
            child::become_user(user).unwrap();
            let place = SocketAddr::from_abstract_name(&name).unwrap();
            let mut stream = UnixStream::connect_addr(&place).unwrap();
            stream.set_read_timeout(Some(TIMEOUT)).unwrap();
            matches!(stream.read(&mut [0; 63]), Ok(63))
        });
        stranger.said_yes().unwrap()
    };
    assert!(heard(0));
    assert!(!heard(65_534));
}

#[test]
fn socket_files_and_their_directories_are_closed_to_other_users() {
    let _turn = turn();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let manager = Manager::start_with(&options()).unwrap();
    let Address::Path(path) = manager.address() else {
        panic!("a socket file was expected")
    };
    assert_eq!(mode(path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    // Where the program has said: the directory is its own affair.
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = directory.path().join("socket");
    let _server = Server::bind(Address::Path(path.clone()), KEY, &options()).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(directory.path()), 0o755);
}

#[test]
fn a_burst_of_clients_has_room_in_the_queue() {
    let _turn = turn();
    let most = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    // The standard library has 16.
    let count = most.trim().parse::<usize>().unwrap().min(600);
    let address = free_tcp_address();
    // It does not serve yet.
    let server = Server::bind(address, KEY, &options()).unwrap();
    let Address::Tcp { host, port } = server.address() else {
        panic!("{:?} is no address for TCP", server.address())
    };
    let place = format!("{host}:{port}").parse().unwrap();
    let connect = |_| TcpStream::connect_timeout(&place, Duration::from_millis(500));
    let burst: Result<Vec<_>, _> = (0..count).map(connect).collect();
    assert_eq!(burst.unwrap().len(), count);
}
