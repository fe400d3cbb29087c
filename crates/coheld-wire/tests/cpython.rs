//! The handshake and the frames against the real `multiprocessing.connection`, in both roles, for
//! every interpreter found on this machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use coheld_wire::auth::{Generation, MESSAGE_LIMIT, Md5};
use coheld_wire::frame::{Decoder, encode};
use coheld_wire::handshake::Handshake;

mod interpreters;

const KEY: &[u8] = b"secret";
/// Only a test may use the same nonce twice.
const NONCE: [u8; 40] = [7; 40];

const LISTENER: &str = "
import sys
from multiprocessing import AuthenticationError
from multiprocessing.connection import Listener
with Listener(sys.argv[1], authkey=b'secret') as listener:
    print('ready', flush=True)
    try:
        with listener.accept() as connection:
            connection.send_bytes(connection.recv_bytes()[::-1])
            print('served', flush=True)
    except AuthenticationError as error:
        print(error, flush=True)
";

const CLIENT: &str = "
import sys
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
try:
    with Client(sys.argv[1], authkey=sys.argv[2].encode()) as connection:
        connection.send_bytes(b'x' * 100000)
        print(len(connection.recv_bytes()), flush=True)
except AuthenticationError as error:
    print(error, flush=True)
";

/// Whether the interpreter can do nothing but MD5.
fn is_legacy(interpreter: &str) -> bool {
    let program = "import sys; sys.exit(sys.version_info < (3, 12))";
    let status = Command::new(interpreter).args(["-c", program]).status();
    !status.unwrap().success()
}

struct Python {
    process: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Python {
    fn start(interpreter: &str, program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(interpreter);
        command
            .args(["-c", program])
            .args(arguments)
            .stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, output }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn receive(stream: &mut UnixStream, decoder: &mut Decoder) -> Vec<u8> {
    loop {
        let mut bytes = vec![0; decoder.wanted() as usize];
        stream.read_exact(&mut bytes).unwrap();
        if let Some(message) = decoder.take(&mut &bytes[..]).unwrap() {
            return message;
        }
    }
}

fn authenticate(stream: &mut UnixStream, mut handshake: Handshake) -> Result<(), String> {
    let mut decoder = Decoder::new(MESSAGE_LIMIT);
    loop {
        match handshake.receive(&receive(stream, &mut decoder)) {
            Ok(step) => {
                if let Some(message) = step.send {
                    stream.write_all(&encode(&message)).unwrap();
                }
                if step.done {
                    return Ok(());
                }
            }
            Err(failed) => {
                if let Some(message) = failed.send {
                    stream.write_all(&encode(&message)).unwrap();
                }
                return Err(failed.error.to_string());
            }
        }
    }
}

fn socket_path(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("socket")
}

#[test]
fn python_listens() {
    for interpreter in interpreters::all() {
        for generation in [Generation::Legacy, Generation::Modern] {
            let directory = tempfile::tempdir().unwrap();
            let path = socket_path(&directory);
            let mut python = Python::start(&interpreter, LISTENER, &[path.to_str().unwrap()]);
            assert_eq!(python.line(), "ready");
            let mut stream = UnixStream::connect(&path).unwrap();
            authenticate(&mut stream, Handshake::client(KEY, generation, &NONCE)).unwrap();
            stream.write_all(&encode(b"abc")).unwrap();
            assert_eq!(receive(&mut stream, &mut Decoder::new(1024)), b"cba");
            assert_eq!(python.line(), "served");
        }
    }
}

#[test]
fn python_listens_and_rejects() {
    for interpreter in interpreters::all() {
        let directory = tempfile::tempdir().unwrap();
        let path = socket_path(&directory);
        let mut python = Python::start(&interpreter, LISTENER, &[path.to_str().unwrap()]);
        assert_eq!(python.line(), "ready");
        let mut stream = UnixStream::connect(&path).unwrap();
        let handshake = Handshake::client(b"wrong", Generation::Modern, &NONCE);
        let refused = authenticate(&mut stream, handshake).unwrap_err();
        assert_eq!(refused, "digest sent was rejected");
        assert_eq!(python.line(), "digest received was wrong");
    }
}

#[test]
fn python_connects() {
    for interpreter in interpreters::all() {
        for generation in [Generation::Legacy, Generation::Modern] {
            let directory = tempfile::tempdir().unwrap();
            let path = socket_path(&directory);
            let listener = UnixListener::bind(&path).unwrap();
            let address = path.to_str().unwrap();
            let mut python = Python::start(&interpreter, CLIENT, &[address, "secret"]);
            let (mut stream, _) = listener.accept().unwrap();
            let (handshake, opening) = Handshake::server(KEY, generation, &NONCE);
            stream.write_all(&encode(&opening)).unwrap();
            authenticate(&mut stream, handshake).unwrap();
            let message = receive(&mut stream, &mut Decoder::new(1 << 20));
            assert_eq!(message.len(), 100_000);
            stream.write_all(&encode(&message[1..])).unwrap();
            assert_eq!(python.line(), "99999");
        }
    }
}

#[test]
fn python_connects_and_is_rejected() {
    for interpreter in interpreters::all() {
        let directory = tempfile::tempdir().unwrap();
        let path = socket_path(&directory);
        let listener = UnixListener::bind(&path).unwrap();
        let mut python = Python::start(&interpreter, CLIENT, &[path.to_str().unwrap(), "other"]);
        let (mut stream, _) = listener.accept().unwrap();
        let (handshake, opening) = Handshake::server(KEY, Generation::Modern, &NONCE);
        stream.write_all(&encode(&opening)).unwrap();
        let refused = authenticate(&mut stream, handshake).unwrap_err();
        assert_eq!(refused, "digest received was wrong");
        assert_eq!(python.line(), "digest sent was rejected");
    }
}

#[test]
fn python_learns_that_md5_is_refused() {
    for interpreter in interpreters::all() {
        let directory = tempfile::tempdir().unwrap();
        let path = socket_path(&directory);
        let address = path.to_str().unwrap();
        let mut python = Python::start(&interpreter, LISTENER, &[address]);
        assert_eq!(python.line(), "ready");
        let mut stream = UnixStream::connect(&path).unwrap();
        let handshake = Handshake::client(KEY, Generation::Modern, &NONCE);
        let outcome = authenticate(&mut stream, handshake.with_md5(Md5::Refused));
        if is_legacy(&interpreter) {
            assert!(outcome.unwrap_err().contains("by MD5 only"));
            assert_eq!(python.line(), "digest received was wrong");
        } else {
            outcome.unwrap();
        }
        drop(python);

        let directory = tempfile::tempdir().unwrap();
        let path = socket_path(&directory);
        let address = path.to_str().unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        let mut python = Python::start(&interpreter, CLIENT, &[address, "secret"]);
        let (mut stream, _) = listener.accept().unwrap();
        let (handshake, opening) = Handshake::server(KEY, Generation::Modern, &NONCE);
        stream.write_all(&encode(&opening)).unwrap();
        let outcome = authenticate(&mut stream, handshake.with_md5(Md5::Refused));
        if is_legacy(&interpreter) {
            assert!(outcome.unwrap_err().contains("by MD5 only"));
            assert_eq!(python.line(), "digest sent was rejected");
        } else {
            outcome.unwrap();
            receive(&mut stream, &mut Decoder::new(1 << 20));
            stream.write_all(&encode(b"ok")).unwrap();
            assert_eq!(python.line(), "2");
        }
    }
}
