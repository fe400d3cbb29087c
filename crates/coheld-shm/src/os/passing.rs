//! Handing a file descriptor to another process through a Unix socket.

use core::mem::MaybeUninit;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown,
};

use super::refused;
use crate::Error;

/// Who is on the other end of a socket, as recorded by the kernel when it was connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Process id, as seen from here; 0 if it cannot be seen.
    pub pid: u32,
    /// Effective user.
    pub user: u32,
}

/// Who is on the other end of `socket`.
pub fn peer(socket: &UnixStream) -> Result<Peer, Error> {
    let mut credentials = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // Not through rustix: a process of another pid namespace has the id 0 here, which its type for
    // ids cannot be.
    // SAFETY: `credentials` is of `length` bytes, both live for the whole call, and the kernel
    // writes no more than that many; any bytes are a valid `ucred`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(super::last_refusal("getsockopt(SO_PEERCRED)"));
    }
    Ok(Peer {
        pid: credentials.pid.cast_unsigned(),
        user: credentials.uid,
    })
}

/// Has the queue of a listening socket take so many connections, or as many as the system allows.
pub fn set_backlog(listener: impl AsFd, backlog: i32) -> std::io::Result<()> {
    rustix::net::listen(listener, backlog).map_err(Into::into)
}

/// Whether an error means that there are too many descriptors, or no memory for another one.
#[must_use]
pub fn is_shortage(error: &std::io::Error) -> bool {
    let shortages = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error
        .raw_os_error()
        .is_some_and(|errno| shortages.contains(&errno))
}

/// Makes a listening socket refuse connections, also those in its queue. Closing would not do: a
/// forked child may have the socket open as well, and connections would wait there for ever.
pub fn stop_listening(listener: impl AsFd) -> Result<(), Error> {
    rustix::net::shutdown(listener, Shutdown::Both).map_err(|errno| refused("shutdown", errno))
}

/// Has the system look now and then whether the other end of a connection is still there.
pub fn keep_alive(socket: impl AsFd) -> std::io::Result<()> {
    rustix::net::sockopt::set_socket_keepalive(socket, true).map_err(Into::into)
}

/// Has the system acknowledge at once what comes next. Peers that write a message in two parts
/// without `TCP_NODELAY`, as the standard library of Python does, send the second one only then;
/// by itself the system waits for 40 ms first.
pub fn acknowledge_soon(socket: impl AsFd) {
    // If it is refused, everything merely takes longer.
    let _ = rustix::net::sockopt::set_tcp_quickack(socket, true);
}

/// Whether there is something to be read from a socket, or its end: without waiting.
pub fn is_readable(socket: impl AsFd) -> bool {
    let mut byte = [0_u8; 1];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    !matches!(
        rustix::net::recv(socket, &mut byte, flags),
        Err(Errno::AGAIN)
    )
}

/// Whether the other end of a connection has gone, also when it has left something to be read.
pub fn is_hung_up(socket: impl AsFd) -> bool {
    let mut sources = [PollFd::new(&socket, PollFlags::RDHUP)];
    let none = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let found = rustix::event::poll(&mut sources, Some(&none));
    let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    found.is_ok() && sources[0].revents().intersects(gone)
}

/// Sends one byte with `descriptor` attached. The descriptor stays open here.
pub fn send_descriptor(socket: &UnixStream, descriptor: RawFd) -> Result<(), Error> {
    if descriptor < 0 {
        return Err(Error::Os {
            call: "sendmsg",
            errno: libc::EBADF,
        });
    }
    // SAFETY: not -1. It is only passed to sendmsg, for which a closed descriptor is EBADF.
    let descriptors = [unsafe { BorrowedFd::borrow_raw(descriptor) }];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    loop {
        let payload = [IoSlice::new(b"D")];
        match rustix::net::sendmsg(socket, &payload, &mut control, SendFlags::NOSIGNAL) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(refused("sendmsg", errno)),
        }
    }
}

/// Receives what `send_descriptor` sent: one byte and exactly one descriptor.
///
/// Must be the next thing in the stream: bytes sent before it must all have been read.
pub fn receive_descriptor(socket: &UnixStream) -> Result<OwnedFd, Error> {
    // Room for a second one, so that two are seen as two.
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let received = loop {
        let mut payload = [IoSliceMut::new(&mut byte)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        match rustix::net::recvmsg(socket, &mut payload, &mut control, flags) {
            Ok(received) => break received,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(refused("recvmsg", errno)),
        }
    };
    let mut descriptors: Vec<OwnedFd> = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(rights) => Some(rights),
            _ => None,
        })
        .flatten()
        .collect();
    if received.flags.contains(ReturnFlags::CTRUNC) {
        // The kernel dropped some: too many, or this process is at its limit of open files.
        return Err(Error::Os {
            call: "recvmsg",
            errno: libc::EMFILE,
        });
    }
    match (
        received.bytes,
        byte,
        descriptors.pop(),
        descriptors.is_empty(),
    ) {
        (1, [b'D'], Some(descriptor), true) => Ok(descriptor),
        (0, ..) => Err(Error::Os {
            call: "recvmsg",
            errno: libc::ECONNRESET,
        }),
        _ => Err(Error::NotASegment {
            why: "not exactly one file descriptor came with the reply",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_descriptor_arrives_between_plain_bytes() {
        let (mut left, mut right) = UnixStream::pair().unwrap();
        let (mut pipe_end, pipe_start) = std::io::pipe().unwrap();
        left.write_all(b"before").unwrap();
        send_descriptor(&left, pipe_start.as_raw_fd()).unwrap();
        drop(pipe_start);
        let mut before = [0; 6];
        right.read_exact(&mut before).unwrap();
        let received = receive_descriptor(&right).unwrap();
        std::fs::File::from(received).write_all(b"through").unwrap();
        let mut through = String::new();
        pipe_end.read_to_string(&mut through).unwrap();
        assert_eq!(through, "through");
        assert_eq!(peer(&right).unwrap().pid, std::process::id());
    }

    #[test]
    fn a_message_without_descriptor_is_refused() {
        let (mut left, right) = UnixStream::pair().unwrap();
        left.write_all(b"D").unwrap();
        assert!(matches!(
            receive_descriptor(&right),
            Err(Error::NotASegment { .. })
        ));
        drop(left);
        assert!(matches!(receive_descriptor(&right), Err(Error::Os { .. })));
        assert!(send_descriptor(&right, -1).is_err());
    }

    #[test]
    fn who_has_gone_has_gone_whatever_is_left_to_be_read() {
        let (mut left, right) = UnixStream::pair().unwrap();
        left.write_all(b"D").unwrap();
        assert!(is_readable(&right) && !is_hung_up(&right));
        drop(left);
        assert!(is_hung_up(&right));
    }
}
