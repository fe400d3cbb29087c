//! Managers and their clients, in processes of their own.
//!
//! Each test runs its manager in a forked process: the process of the test is a client and nothing
//! else, as in real life.
#![allow(clippy::disallowed_methods, reason = "a test looks at what is left")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, parent_id};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use coheld::control::{self, Ending, Server};
use coheld::{Address, Attachment, Error, Handle, Manager, SegmentOptions, Token};
use support::{Child, eventually, fork, free_tcp_address, sleep_for_ever, turn};

const KEY: &[u8] = b"key of the test";
const TIMEOUT: Duration = Duration::from_secs(10);
const LIST: u8 = 1;

fn options() -> SegmentOptions {
    SegmentOptions {
        capacity: 1 << 30,
        ..SegmentOptions::default()
    }
}

/// Starts a manager in a process of its own and waits until it listens.
fn manager(address: &Address) -> Child {
    let process = fork(|| {
        let server = Server::bind(address.clone(), KEY, &options()).unwrap();
        server.serve().unwrap() == Ending::Stopped
    });
    assert!(eventually(|| control::ping(address, KEY, TIMEOUT).is_ok()));
    process
}

fn addresses(directory: &tempfile::TempDir) -> [Address; 2] {
    let name = directory.path().as_os_str().as_encoded_bytes().to_vec();
    [
        Address::Path(directory.path().join("control")),
        Address::Abstract(name),
    ]
}

fn connect(address: &Address) -> Result<std::sync::Arc<Attachment>, Error> {
    control::connect(address, KEY, TIMEOUT)
}

#[test]
fn a_client_attaches_once_and_stops_the_manager() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    for address in addresses(&directory) {
        let manager = manager(&address);
        let first = connect(&address).unwrap();
        let second = connect(&address).unwrap();
        assert!(std::sync::Arc::ptr_eq(&first, &second));
        assert!(Attachment::find(&first.segment_id()).is_some());
        assert_eq!(first.segment().count_members(), 2);
        control::shutdown(&address, KEY, TIMEOUT).unwrap();
        assert!(manager.said_yes().unwrap());
        let gone = control::ping(&address, KEY, TIMEOUT).unwrap_err();
        assert!(
            matches!(
                gone,
                Error::NotFound { .. } | Error::ConnectionRefused { .. }
            ),
            "{gone:?}"
        );
        // What is in the segment is there all the same.
        let handle = Handle::create(&first, LIST, 0).unwrap();
        assert_eq!(handle.kind(), LIST);
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn detaching_frees_the_segment_for_a_new_attachment() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let [address, _] = addresses(&directory);
    let _manager = manager(&address);
    for _ in 0..20 {
        let attachment = connect(&address).unwrap();
        let id = attachment.segment_id();
        let handle = Handle::create(&attachment, LIST, 0).unwrap();
        drop(attachment);
        assert!(Attachment::find(&id).is_some(), "the handle keeps it");
        drop(handle);
        assert!(Attachment::find(&id).is_none());
    }
    let attachment = connect(&address).unwrap();
    assert!(eventually(|| attachment.segment().count_members() == 2));
    assert_eq!(attachment.segment().count_referents(), 0);
}

#[test]
fn threads_that_attach_at_once_share_one_attachment() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let [address, _] = addresses(&directory);
    let _manager = manager(&address);
    for _ in 0..10 {
        let attached: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| connect(&address))).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap().unwrap())
                .collect()
        });
        let first = &attached[0];
        assert!(
            attached
                .iter()
                .all(|other| std::sync::Arc::ptr_eq(first, other))
        );
        assert!(eventually(|| first.segment().count_members() == 2));
    }
}

#[test]
fn a_wrong_key_is_rejected_on_both_sides() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let [address, _] = addresses(&directory);
    let _manager = manager(&address);
    let rejected = control::connect(&address, b"wrong", TIMEOUT).unwrap_err();
    assert!(
        matches!(rejected, Error::AuthenticationRejected),
        "{rejected:?}"
    );
    assert_eq!(rejected.to_string(), "digest sent was rejected");
}

#[test]
fn errors_tell_what_is_wrong_with_an_address() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let missing = Address::Path(directory.path().join("nothing"));
    assert!(matches!(connect(&missing), Err(Error::NotFound { .. })));
    let homeless = Address::Path(directory.path().join("missing").join("address"));
    let refused = Server::bind(homeless, KEY, &options());
    assert!(matches!(refused, Err(Error::NoFolder { .. })));
    let nobody = Address::Abstract(b"coheld test: nobody listens here".to_vec());
    assert!(matches!(
        connect(&nobody),
        Err(Error::ConnectionRefused { .. })
    ));
    let [address, _] = addresses(&directory);
    let manager = manager(&address);
    let taken = Server::bind(address.clone(), KEY, &options());
    assert!(matches!(taken, Err(Error::AddressInUse { .. })));
    manager.kill().unwrap();
    assert!(matches!(
        connect(&address),
        Err(Error::ConnectionRefused { .. })
    ));
}

#[test]
fn a_client_that_says_nothing_keeps_nobody_waiting() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let [address, _] = addresses(&directory);
    let _manager = manager(&address);
    let path = directory.path().join("control");
    let silent: Vec<_> = (0..20)
        .map(|_| UnixStream::connect(&path).unwrap())
        .collect();
    control::ping(&address, KEY, TIMEOUT).unwrap();
    drop(silent);
    let mut talker = UnixStream::connect(&path).unwrap();
    talker.write_all(&[0xff; 64]).unwrap();
    // Challenge and refusal, then the end; whatever comes, it ends.
    let mut rest = Vec::new();
    let _ = talker.read_to_end(&mut rest);
    control::ping(&address, KEY, TIMEOUT).unwrap();
}

#[test]
fn a_manager_ends_with_its_creator() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let [address, _] = addresses(&directory);
    let creator = fork(|| {
        let creator = std::process::id();
        let _manager = fork(|| {
            let mut server = Server::bind(address.clone(), KEY, &options()).unwrap();
            server.end_with_parent(creator).unwrap();
            server.serve().unwrap() == Ending::CreatorGone
        });
        sleep_for_ever()
    });
    assert!(eventually(|| control::ping(&address, KEY, TIMEOUT).is_ok()));
    let start = Instant::now();
    creator.kill().unwrap();
    assert!(eventually(|| matches!(
        connect(&address),
        Err(Error::NotFound { .. })
    )));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_manager_ends_with_a_process_that_is_not_its_parent() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let [address, _] = addresses(&directory);
    let mut creator = Command::new("sleep").arg("600").spawn().unwrap();
    let pid = creator.id();
    let manager = fork(|| {
        let mut server = Server::bind(address.clone(), KEY, &options()).unwrap();
        server.end_with(pid).unwrap();
        server.serve().unwrap() == Ending::CreatorGone
    });
    assert!(eventually(|| control::ping(&address, KEY, TIMEOUT).is_ok()));
    creator.kill().unwrap();
    creator.wait().unwrap();
    assert!(manager.said_yes().unwrap());
    // A process that there is no more ends it at once.
    let mut server = Server::bind(address, KEY, &options()).unwrap();
    server.end_with(pid).unwrap();
    assert_eq!(server.serve().unwrap(), Ending::Stopped);
}

#[test]
fn a_token_leads_to_the_same_referent_in_another_process() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let [address, _] = addresses(&directory);
    let _manager = manager(&address);
    let (mut texts, mut text) = std::io::pipe().unwrap();
    let sender = fork(|| {
        let attachment = connect(&address).unwrap();
        let handle = Handle::create(&attachment, LIST, 42).unwrap();
        text.write_all(handle.token().unwrap().to_string().as_bytes())
            .unwrap();
        true
    });
    drop(text);
    let mut received = String::new();
    texts.read_to_string(&mut received).unwrap();
    // The sender is gone, with every handle; the lease has kept the referent.
    assert!(sender.said_yes().unwrap());
    let token: Token = received.parse().unwrap();
    let handle = Manager::attach_token(&token, KEY).unwrap();
    assert_eq!(handle.referent().unwrap().lock().unwrap().auxiliary(), 42);
    let segment = handle.attachment().segment().clone();
    drop(handle);
    assert!(eventually(|| segment.count_referents() == 0));
    let gone = Manager::attach_token(&token, KEY);
    assert!(matches!(gone, Err(Error::Shm(_))), "{gone:?}");
}

#[test]
fn what_a_killed_client_held_is_released() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let [address, _] = addresses(&directory);
    let _manager = manager(&address);
    let attachment = connect(&address).unwrap();
    let client = fork(|| {
        let attachment = connect(&address).unwrap();
        let _handles: Vec<_> = (0..50)
            .map(|_| Handle::create(&attachment, LIST, 0).unwrap())
            .collect();
        sleep_for_ever()
    });
    let segment = attachment.segment();
    assert!(eventually(|| segment.count_referents() == 50));
    client.kill().unwrap();
    assert!(eventually(|| segment.count_referents() == 0));
    assert!(eventually(|| segment.count_members() == 2));
}

#[test]
fn a_manager_in_a_thread_serves_other_processes() {
    let _turn = turn();
    let manager = Manager::start_with(&options()).unwrap();
    let (address, authkey) = (manager.address().clone(), manager.authkey().to_vec());
    let Address::Path(path) = address.clone() else {
        panic!("a socket file was expected")
    };
    assert!(path.exists());
    let client = fork(|| {
        let client = Manager::connect(&address, &authkey).unwrap();
        let same = client.attachment().segment_id() == manager.attachment().segment_id();
        Handle::create(client.attachment(), LIST, 0).unwrap();
        same
    });
    assert!(client.said_yes().unwrap());
    assert!(path.exists(), "a forked child has removed the socket");
    manager.shutdown().unwrap();
    assert!(!path.exists() && !path.parent().unwrap().exists());
}

#[test]
fn a_forked_child_does_not_keep_the_address_open() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    for address in addresses(&directory) {
        let (mut reports, mut report) = std::io::pipe().unwrap();
        let parent = fork(|| {
            let _manager = Manager::start_at(address.clone(), KEY, &options()).unwrap();
            let _child = fork(|| {
                report.write_all(b"x").unwrap();
                let parent = parent_id();
                while parent_id() == parent {
                    std::thread::sleep(Duration::from_millis(50));
                }
                // As long as the test may take to look.
                std::thread::sleep(Duration::from_secs(3));
                true
            });
            sleep_for_ever()
        });
        reports.read_exact(&mut [0]).unwrap();
        control::ping(&address, KEY, TIMEOUT).unwrap();
        parent.kill().unwrap();
        let gone = control::ping(&address, KEY, Duration::from_secs(2));
        assert!(
            matches!(gone, Err(Error::ConnectionRefused { .. })),
            "{gone:?}"
        );
    }
}

#[test]
fn through_tcp_all_is_as_through_unix_sockets() {
    let _turn = turn();
    let address = free_tcp_address();
    for _ in 0..3 {
        // On the same port, with connections of the manager before still lingering.
        let manager = manager(&address);
        let first = connect(&address).unwrap();
        let second = connect(&address).unwrap();
        assert!(std::sync::Arc::ptr_eq(&first, &second));
        assert_eq!(first.address(), &address);
        assert_eq!(first.segment().count_members(), 2);
        let rejected = control::connect(&address, b"wrong", TIMEOUT).unwrap_err();
        assert!(
            matches!(rejected, Error::AuthenticationRejected),
            "{rejected:?}"
        );
        let taken = Server::bind(address.clone(), KEY, &options());
        assert!(matches!(taken, Err(Error::AddressInUse { .. })));
        control::shutdown(&address, KEY, TIMEOUT).unwrap();
        assert!(manager.said_yes().unwrap());
        let gone = control::ping(&address, KEY, TIMEOUT).unwrap_err();
        assert!(matches!(gone, Error::ConnectionRefused { .. }), "{gone:?}");
    }
}

#[test]
fn port_0_is_one_that_the_system_chooses() {
    let _turn = turn();
    let address = "tcp:localhost:0".parse().unwrap();
    let manager = Manager::start_at(address, KEY, &options()).unwrap();
    let Address::Tcp { host, port } = manager.address().clone() else {
        panic!("{:?} is no address for TCP", manager.address())
    };
    assert_eq!(host, "127.0.0.1");
    assert_ne!(port, 0);
    let handle = Handle::create(manager.attachment(), LIST, 42).unwrap();
    let text = handle.token().unwrap().to_string();
    let client = fork(|| {
        // Not attached before, so that the memory has to come from the manager.
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "with_token"]);
        let ended = command.env(TOKEN, &text).stdout(Stdio::null()).status();
        ended.unwrap().success()
    });
    assert!(client.said_yes().unwrap());
    // By another name of this machine.
    for host in ["localhost", ""] {
        let host = host.to_owned();
        control::ping(&Address::Tcp { host, port }, KEY, TIMEOUT).unwrap();
    }
}

/// The environment variable with a token for `with_token`.
const TOKEN: &str = "COHELD_TEST_TOKEN";

#[test]
#[ignore = "a program that another test starts"]
fn with_token() {
    let Ok(text) = std::env::var(TOKEN) else {
        return;
    };
    let token: Token = text.parse().unwrap();
    let handle = Manager::attach_token(&token, KEY).unwrap();
    assert_eq!(handle.referent().unwrap().lock().unwrap().auxiliary(), 42);
}

#[test]
fn a_client_out_of_reach_is_told_so() {
    let _turn = turn();
    let address = free_tcp_address();
    let _manager = manager(&address);
    let Address::Tcp { host, port } = address.clone() else {
        unreachable!()
    };
    // What lies between makes of the name of the Unix socket one that leads nowhere, as it does
    // where there is no such socket.
    let between = TcpListener::bind("127.0.0.1:0").unwrap();
    let far = Address::Tcp {
        host: host.clone(),
        port: between.local_addr().unwrap().port(),
    };
    let relay = std::thread::spawn(move || {
        let (client, _) = between.accept().unwrap();
        let server = TcpStream::connect((host.as_str(), port)).unwrap();
        let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let there = std::thread::spawn(move || pass_on(client, server));
        pass_on(back.0, back.1);
        there.join().unwrap();
    });
    let error = connect(&far).unwrap_err();
    assert!(matches!(error, Error::Remote { .. }), "{error:?}");
    assert!(error.to_string().contains("out of reach"), "{error}");
    relay.join().unwrap();
    assert!(connect(&address).is_ok());
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let bytes = &mut buffer[..length];
        let name = bytes.windows(7).position(|bytes| bytes == b"coheld-");
        if let Some(name) = name {
            bytes[name..].fill(b'x');
        }
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    // Fails if that side was faster.
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn a_member_that_executes_another_program_leaves_no_slot_behind() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let [address, _] = addresses(&directory);
    let _manager = manager(&address);
    let attachment = connect(&address).unwrap();
    let handle = Handle::create(&attachment, LIST, 0).unwrap();
    let program = std::env::current_exe().unwrap();
    let arguments = ["--ignored", "--exact", "after_exec"];
    let member = fork(|| {
        // With a hold on `handle`, which must not outlive the program.
        assert!(handle.referent().is_ok());
        let mut command = Command::new(&program);
        command.args(arguments).env(ADDRESS, address.to_string());
        command.stdout(Stdio::null());
        // Only returns if it failed.
        drop(command.exec());
        false
    });
    let segment = attachment.segment();
    assert!(eventually(|| segment.count_referents() == 2));
    assert!(eventually(|| segment.count_members() == 3));
    drop(handle);
    assert!(eventually(|| segment.count_referents() == 1));
    drop(member);
}

/// The environment variable with an address for `after_exec`.
const ADDRESS: &str = "COHELD_TEST_ADDRESS";

#[test]
#[ignore = "the program that another test executes"]
fn after_exec() {
    let Ok(address) = std::env::var(ADDRESS) else {
        return;
    };
    let attachment = connect(&address.parse().unwrap()).unwrap();
    let _handle = Handle::create(&attachment, LIST, 0).unwrap();
    sleep_for_ever();
}
