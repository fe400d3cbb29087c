//! The running program once more, in another process, which runs one function of it.
//!
//! The new process is told by places in the program (see `program`) what to run. It takes
//! such an order from a parent only that runs the same file as the same user, at the standard
//! input, which has to be a socket of that parent's: nobody else can have it jump anywhere.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, parent_id};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use super::program::Program;

/// The last argument of a process that was started here.
pub const MARK: &str = "coheld::process";

/// The file that this process runs, also if another one has its name by now.
const OWN_FILE: &str = "/proc/self/exe";

/// Runs a function in the new process.
pub type Body<A, R> = fn(fn(A) -> R, Parent);

/// What runs a body, given the addresses of its function and of itself.
type Trampoline = fn(usize, usize, Parent);

/// Who has started this process.
pub struct Parent {
    /// Its process id.
    pub id: u32,
    /// The way to it, on which it has written the order and nothing else.
    pub socket: UnixStream,
}

const ORDER_BYTES: usize = 3 * size_of::<u64>();

/// Starts a process that runs `body(function, socket)`, and gives the other end of the socket.
///
/// The program has to call [`Order::of_this_process`] before it does anything else. `arguments`
/// are those of the new process, before the mark, and `configure` may set whatever else it needs
/// but for the standard input.
pub fn start<A, R>(
    function: fn(A) -> R,
    body: Body<A, R>,
    arguments: &[&OsStr],
    configure: impl FnOnce(&mut Command),
) -> io::Result<(Child, UnixStream)> {
    let program = Program::of_this_process();
    let place = |address| {
        let program = program.as_ref();
        program.and_then(|program| program.place_of(address)).ok_or(io::Error::new(
            io::ErrorKind::Unsupported,
            "the function is not part of the program itself, but of a library that it has loaded",
        ))
    };
    let mut order = [0; ORDER_BYTES];
    let addresses = [
        trampoline::<A, R> as Trampoline as usize,
        function as usize,
        body as usize,
    ];
    for (field, address) in order.as_chunks_mut().0.iter_mut().zip(addresses) {
        *field = place(address)?.to_le_bytes();
    }

    let (mut own, others) = UnixStream::pair()?;
    let mut command = Command::new(OWN_FILE);
    if let Some(name) = std::env::args_os().next() {
        command.arg0(name);
    }
    command.args(arguments);
    configure(&mut command);
    // Last, whatever was added: without it the process would take itself for a usual one.
    command.arg(MARK);
    let mut child = command.stdin(Stdio::from(OwnedFd::from(others))).spawn()?;
    // The command has the other end, too: without it the end of the child is seen at this one.
    drop(command);
    match own.write_all(&order) {
        Ok(()) => Ok((child, own)),
        Err(error) => {
            child.kill()?;
            child.wait()?;
            Err(error)
        }
    }
}

/// What this process was started for.
pub struct Order {
    parent: Parent,
    /// Of the trampoline, the function and the body.
    addresses: [usize; 3],
}

impl Order {
    /// `None` if this process is none that [`start`] has started; an error if it pretends to be, or
    /// its parent is gone.
    pub fn of_this_process() -> Option<io::Result<Self>> {
        let last = std::env::args_os().next_back();
        (last.as_deref() == Some(OsStr::new(MARK))).then(Self::receive)
    }

    fn receive() -> io::Result<Self> {
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        let id = parent_id();
        check_parent(&input, id)?;
        // Whoever reads the standard input finds it empty.
        let nothing = rustix::fs::open(
            c"/dev/null",
            rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )?;
        rustix::stdio::dup2_stdin(nothing)?;

        let mut socket = UnixStream::from(input);
        let mut order = [0; ORDER_BYTES];
        socket.read_exact(&mut order)?;
        let program = Program::of_this_process();
        let program = program.ok_or_else(|| refused("the program cannot be found in memory"))?;
        let mut addresses = [0; 3];
        for (address, place) in addresses.iter_mut().zip(order.as_chunks().0) {
            let found = program.address_of(u64::from_le_bytes(*place));
            *address = found.ok_or_else(|| refused("there is no function at its place"))?;
        }
        let parent = Parent { id, socket };
        Ok(Self { parent, addresses })
    }

    /// Does it.
    pub fn run(self) {
        let [address, function, body] = self.addresses;
        let address: *const () = core::ptr::with_exposed_provenance(address);
        // SAFETY: the three places came from `start` in a process that runs the same file (see
        // `check_parent`). There the first one was that of a `Trampoline`, so it is one here.
        let trampoline = unsafe { core::mem::transmute::<*const (), Trampoline>(address) };
        trampoline(function, body, self.parent);
    }
}

/// Runs the body at an address with the function at another one.
///
/// The order of this process says which instance of it goes with which addresses, see [`start`].
fn trampoline<A, R>(function: usize, body: usize, parent: Parent) {
    let function: *const () = core::ptr::with_exposed_provenance(function);
    // SAFETY: only `Order::run` calls this, with the three addresses of one order, which `start`
    // has written for one choice of `A` and `R`: this one. The function was a `fn(A) -> R` there.
    let function = unsafe { core::mem::transmute::<*const (), fn(A) -> R>(function) };
    let body: *const () = core::ptr::with_exposed_provenance(body);
    // SAFETY: as before; the body was a `Body<A, R>`.
    let body = unsafe { core::mem::transmute::<*const (), Body<A, R>>(body) };
    body(function, parent);
}

/// Makes sure that `input` is a socket that `parent` has made, which runs the file that this
/// process runs, for the same user.
fn check_parent(input: impl AsFd, parent: u32) -> io::Result<()> {
    let peer = peer(input).ok_or_else(|| refused("its standard input is no socket"))?;
    // 0: one that is not in the pid namespace of this process.
    if peer.pid == 0 || peer.pid.cast_unsigned() != parent {
        return Err(refused(
            "its parent is gone, or is not the one that talks to it",
        ));
    }
    if peer.uid != super::process::effective_user() {
        return Err(refused("its parent acts as another user"));
    }
    let file = |path: &str| fs::metadata(path).map(|file| (file.dev(), file.ino()));
    let parents = file(&format!("/proc/{parent}/exe"))
        .map_err(|_| refused("it cannot be seen what its parent runs"))?;
    if parents != file(OWN_FILE)? {
        return Err(refused("its parent runs another program"));
    }
    Ok(())
}

/// Who has made a socket; `None` if it is none that would tell.
fn peer(socket: impl AsFd) -> Option<libc::ucred> {
    let mut peer = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // By libc: rustix takes the process id for one that cannot be 0, which it can.
    // SAFETY: `peer` has room for `length` bytes, and both live for the whole call.
    let status = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut length,
        )
    };
    (status == 0).then_some(peer)
}

fn refused(why: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("'{MARK}' is for processes that this program starts itself: {why}"),
    )
}

/// Ends this process at once, as a kill would.
pub fn end_at_once() -> ! {
    let own = rustix::process::getpid();
    // Refused never: a process may send itself any signal.
    let _ = rustix::process::kill_process(own, Signal::KILL);
    std::process::abort();
}
