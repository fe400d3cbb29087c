//! Ten thousand connections of peers that do not have the key.
#![allow(clippy::disallowed_types, reason = "a flag of the test")]

#[path = "support/managers.rs"]
mod managers;
mod support;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use coheld::{Address, control};
use coheld_shm::os::child;
use coheld_wire::frame;
use managers::{Cost, KEY, TIMEOUT, manager, memory};
use support::{eventually, free_tcp_address, turn};

/// Hostile connections to each of two managers.
const HOSTILE: usize = 5_000;
/// Threads that make them, for each manager.
const ATTACKERS: usize = 2;
/// Most connections that a manager has before authentication.
const STRANGERS: usize = 512;
/// Most conversations of a manager at once.
const CONVERSATIONS: usize = 128;
/// Bytes by which a manager may grow under attack.
const GROWTH: u64 = 64 << 20;

trait Peer: Read + Write + Send {}
impl Peer for UnixStream {}
impl Peer for TcpStream {}

fn call(address: &Address) -> Box<dyn Peer> {
    let patience = Some(TIMEOUT);
    match address {
        Address::Path(path) => {
            let stream = UnixStream::connect(path).unwrap();
            stream.set_read_timeout(patience).unwrap();
            Box::new(stream)
        }
        Address::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).unwrap();
            stream.set_read_timeout(patience).unwrap();
            Box::new(stream)
        }
        other => unreachable!("no test uses {other} here"),
    }
}

/// One of those who make hostile connections.
struct Attacker<'a> {
    address: &'a Address,
    /// Connections that stay open, as many as there is room for.
    open: VecDeque<Box<dyn Peer>>,
    room: usize,
    /// Connections that get a byte now and then.
    dribbling: VecDeque<(Box<dyn Peer>, usize)>,
}

impl Attacker<'_> {
    /// Attacks in the way of that number. Nothing here can go wrong: the manager may do with such
    /// a connection whatever it wants.
    fn attack(&mut self, number: usize) -> io::Result<()> {
        let mut peer = call(self.address);
        match number % 9 {
            0 => {}
            // Garbage, of which the first bytes are a length.
            1 => peer.write_all(&[0xab; 300])?,
            2 => peer.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?,
            // Giant lengths, in both forms, and what looks like the beginning of a message.
            3 => peer.write_all(&[&0x7fff_ffff_u32.to_be_bytes()[..], &[0; 1000]].concat())?,
            4 => peer.write_all(&[&[0xff; 12][..], &[7; 1000]].concat())?,
            // Half of an answer.
            5 => {
                peer.read_exact(&mut [0; 63])?;
                peer.write_all(&frame::encode(&[b'{'; 40])[..20])?;
            }
            6 => {
                let error = control::ping(self.address, b"wrong key", TIMEOUT);
                assert!(error.is_err());
            }
            7 => {
                self.dribbling.push_back((peer, 0));
                return Ok(());
            }
            // Goes away at once.
            _ => return Ok(()),
        }
        self.open.push_back(peer);
        Ok(())
    }

    fn run(mut self, count: usize) {
        let slow = frame::encode(&[b'x'; 200]);
        for number in 0..count {
            // Refused in the middle of it: as well.
            let _ = self.attack(number);
            for (peer, sent) in &mut self.dribbling {
                let byte = slow[*sent % slow.len()];
                let _ = peer.write(&[byte]);
                *sent += 1;
            }
            if self.dribbling.len() > 20 {
                self.open
                    .extend(self.dribbling.pop_front().map(|(peer, _)| peer));
            }
            while self.open.len() > self.room {
                drop(self.open.pop_front());
            }
        }
    }
}

/// Pings and attaches until `over`; how often.
fn honest(address: &Address, over: &AtomicBool) -> usize {
    let mut count = 0;
    while !over.load(Ordering::Relaxed) || count == 0 {
        control::ping(address, KEY, TIMEOUT).unwrap();
        control::connect(address, KEY, TIMEOUT).unwrap();
        count += 1;
    }
    count
}

#[test]
fn ten_thousand_hostile_connections_keep_no_honest_client_out() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let addresses = [
        Address::Path(directory.path().join("control")),
        free_tcp_address(),
    ];
    let managers = addresses.each_ref().map(manager);
    let before = managers.each_ref().map(Cost::at_rest);
    let memory_before = managers.each_ref().map(memory);
    let limit = child::raise_descriptor_limit(20_000).unwrap();
    let room = limit as usize / 2 / (2 * ATTACKERS);
    let (over, mut highest) = (AtomicBool::new(false), before);
    let honest_count: usize = thread::scope(|scope| {
        let honest: Vec<_> = addresses
            .iter()
            .map(|address| scope.spawn(|| honest(address, &over)))
            .collect();
        let attackers: Vec<_> = addresses
            .iter()
            .flat_map(|address| [address; ATTACKERS])
            .map(|address| {
                let attacker = Attacker {
                    address,
                    open: VecDeque::new(),
                    room,
                    dribbling: VecDeque::new(),
                };
                scope.spawn(move || attacker.run(HOSTILE / ATTACKERS))
            })
            .collect();
        while attackers.iter().any(|attacker| !attacker.is_finished()) {
            thread::sleep(Duration::from_millis(20));
            for ((manager, highest), memory_before) in
                managers.iter().zip(&mut highest).zip(memory_before)
            {
                let cost = Cost::of(manager);
                highest.descriptors = highest.descriptors.max(cost.descriptors);
                highest.threads = highest.threads.max(cost.threads);
                assert!(memory(manager) < memory_before + GROWTH);
            }
        }
        over.store(true, Ordering::Relaxed);
        let counts = honest.into_iter().map(|honest| honest.join().unwrap());
        counts.sum()
    });
    assert!(honest_count > 2, "{honest_count}");
    for ((manager, before), highest) in managers.iter().zip(before).zip(highest) {
        let descriptors = highest.descriptors - before.descriptors;
        assert!(descriptors <= STRANGERS + CONVERSATIONS, "{descriptors}");
        let threads = highest.threads - before.threads;
        assert!(threads <= CONVERSATIONS, "{threads}");
        assert!(eventually(|| Cost::of(manager) == before), "{before:?}");
    }
    // The port of one that was flooded can be used again at once.
    let [_, manager_at_port] = managers;
    manager_at_port.kill().unwrap();
    let _again = manager(&addresses[1]);
}
