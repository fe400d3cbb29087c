//! Objects of Python that nobody here understands: read, taken out of a larger pickle, and given
//! back, for every interpreter found on this machine.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use coheld_wire::pickle::Graph;

mod interpreters;

struct Python {
    process: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Python {
    fn start(interpreter: &str, program: &str) -> Self {
        let mut process = Command::new(interpreter)
            .args(["-c", program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take(), process.stdout.take());
        Self {
            process,
            input: input.unwrap(),
            output: output.unwrap(),
        }
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut length = [0; 8];
        self.output.read_exact(&mut length).expect("python is gone");
        let mut bytes = vec![0; u64::from_le_bytes(length) as usize];
        self.output.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn send(&mut self, bytes: &[u8]) {
        let length = bytes.len() as u64;
        self.input.write_all(&length.to_le_bytes()).unwrap();
        self.input.write_all(bytes).unwrap();
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn every_object_comes_back_unharmed() {
    let interpreters = interpreters::all();
    assert!(!interpreters.is_empty(), "there is no python3");
    for interpreter in interpreters {
        let mut python = Python::start(&interpreter, include_str!("python/objects.py"));
        let mut protocols = 0;
        loop {
            let message = python.receive();
            if message.is_empty() {
                break;
            }
            let graph = Graph::read(&message).unwrap();
            assert!(graph.node_count() <= message.len());
            assert_eq!(graph.length(), message.len());
            let items = graph.sequence(graph.root()).unwrap();
            for item in items {
                python.send(&graph.extract(*item));
            }
            protocols += 1;
        }
        assert_eq!(protocols, 6, "{interpreter}");
        assert!(python.process.wait().unwrap().success());
    }
}
