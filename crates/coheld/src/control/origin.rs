//! Where connections come from, and which of them gives way when there are too many.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use coheld_shm::os::{passing, process};

use crate::Error;
use crate::stream::Stream;

/// Who counts as one peer, as far as that is known before it has said anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// A process of this machine and this user.
    Process(u32),
    /// A machine.
    Machine(IpAddr),
}

impl Origin {
    /// The origin of a connection from `machine`, or from a process of this one. Processes of
    /// other users are refused: they may know the key, but the memory is not for them.
    pub(super) fn of(stream: &Stream, machine: Option<IpAddr>) -> Result<Self, Error> {
        if let Some(machine) = machine {
            return Ok(Self::of_machine(machine));
        }
        let peer = passing::peer(stream.unix()?)?;
        if peer.user != process::effective_user() {
            let reason = format!("process {} belongs to user {}", peer.pid, peer.user);
            return Err(Error::Refused { reason });
        }
        Ok(Self::Process(peer.pid))
    }

    fn of_machine(address: IpAddr) -> Self {
        Self::Machine(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            // Whoever has one address of a network of 64 bits can have all of them.
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        })
    }
}

/// Which of some connections gives way to one from `newcomer`. They are numbered from the oldest
/// to the youngest.
///
/// It is the oldest one of the origin that has most of them, the new one counted. So who has few
/// never gives way to who has many; and who has the most displaces itself.
pub(super) fn gives_way(
    connections: impl Iterator<Item = (usize, Origin)>,
    newcomer: Option<Origin>,
) -> Option<usize> {
    // For each origin: how many, and the oldest.
    let mut shares: HashMap<Origin, (usize, usize)> = HashMap::new();
    for (index, origin) in connections {
        shares.entry(origin).or_insert((0, index)).0 += 1;
    }
    if let Some(share) = newcomer.and_then(|newcomer| shares.get_mut(&newcomer)) {
        share.0 += 1;
    }
    let largest = shares
        .into_values()
        .max_by_key(|&(count, oldest)| (count, Reverse(oldest)));
    largest.map(|(_, oldest)| oldest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(connections: &[u32], newcomer: Option<u32>) -> Option<usize> {
        let connections = connections.iter().map(|&pid| Origin::Process(pid));
        gives_way(connections.enumerate(), newcomer.map(Origin::Process))
    }

    #[test]
    fn the_oldest_of_the_origin_with_most_gives_way() {
        assert_eq!(process(&[1, 2, 2, 3, 2], Some(1)), Some(1));
        assert_eq!(process(&[1, 2, 2, 3, 2], None), Some(1));
        // With its new one it has as many as the other; the oldest of them all is its own.
        assert_eq!(process(&[1, 1, 2, 2, 2], Some(1)), Some(0));
        // Everybody has one: the oldest.
        assert_eq!(process(&[4, 5, 6], Some(7)), Some(0));
        // Everybody has one, and one of them wants another.
        assert_eq!(process(&[4, 5, 6], Some(6)), Some(2));
        assert_eq!(process(&[4], Some(4)), Some(0));
        assert_eq!(process(&[], Some(4)), None);
    }

    #[test]
    fn a_flood_from_one_origin_keeps_no_other_out() {
        let mut connections = Vec::new();
        for round in 0..1000 {
            let newcomer = if round % 100 == 50 { round } else { 0 };
            if connections.len() == 16 {
                connections.remove(process(&connections, Some(newcomer)).unwrap());
            }
            connections.push(newcomer);
        }
        let others: Vec<_> = connections.into_iter().filter(|&pid| pid != 0).collect();
        assert_eq!(others, [50, 150, 250, 350, 450, 550, 650, 750, 850, 950]);
    }

    #[test]
    fn a_machine_is_one_origin_by_whichever_way_it_comes() {
        let origin = |text: &str| Origin::of_machine(text.parse().unwrap());
        assert_eq!(origin("::ffff:10.0.0.1"), origin("10.0.0.1"));
        assert_ne!(origin("10.0.0.2"), origin("10.0.0.1"));
        assert_eq!(origin("2001:db8::1"), origin("2001:db8::ffff:0:2"));
        assert_ne!(origin("2001:db8::1"), origin("2001:db8:0:1::1"));
        assert_ne!(origin("2001:db8::1"), Origin::Process(1));
    }
}
