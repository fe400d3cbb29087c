//! The command as a shell runs it.
#![allow(
    clippy::disallowed_methods,
    reason = "a test makes the files that the command reads"
)]

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_coheld");

/// A server, which is killed in the end if it is still there.
struct Served {
    process: Child,
    address: String,
    folder: TempDir,
}

/// What a command has done.
struct Done {
    code: i32,
    output: String,
    errors: String,
}

impl Served {
    fn start(shares: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_key(&folder, 0o600);
        let mut command = Command::new(BINARY);
        command
            .args(["serve", "--address", "127.0.0.1:0", "--json"])
            .arg("--authkey-file")
            .arg(folder.path().join("key"))
            .args(shares.iter().flat_map(|share| ["--share", share]))
            .stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        let output = process.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let told: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = told["address"].as_str().unwrap().to_owned();
        Self {
            process,
            address,
            folder,
        }
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    fn run(&self, arguments: &[&str]) -> Done {
        let mut command = Command::new(BINARY);
        let (name, rest) = arguments.split_first().unwrap();
        command.args([name, "--address", &self.address, "--authkey-file"]);
        command.arg(self.key()).args(rest);
        run(command)
    }

    /// The output of a command that works.
    fn output(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!((done.code, done.errors.as_str()), (0, ""), "{arguments:?}");
        done.output
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn write_key(folder: &TempDir, permissions: u32) {
    let key = folder.path().join("key");
    std::fs::write(&key, "a key\n").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(permissions)).unwrap();
}

fn run(mut command: Command) -> Done {
    command
        .env_remove("COHELD_AUTHKEY")
        .env_remove("COHELD_ADDRESS");
    let done = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Done {
        code: done.status.code().unwrap(),
        output: text(done.stdout),
        errors: text(done.stderr),
    }
}

#[test]
fn objects_are_put_and_got() {
    let served = Served::start(&[
        "tasks=Queue:2",
        "results=dict",
        "items=list",
        "names=set",
        "config=Namespace",
        "level=Value",
        "samples=Array:h:2",
    ]);
    for (put, get, output) in [
        (&["tasks", "text"][..], &["tasks"][..], "text\n"),
        (&["tasks", "[1, null]"], &["tasks", "--json"], "[1,null]\n"),
        (
            &["results", "key", "{\"a\": 1.5}"],
            &["results", "key"],
            "a\t1.5\n",
        ),
        (
            &["results", "7", "-1"],
            &["results"],
            "key\t{\"a\":1.5}\n7\t-1\n",
        ),
        (&["items", "one"], &["items", "--json"], "[\"one\"]\n"),
        (&["items", "-1", "two"], &["items", "0"], "two\n"),
        (&["names", "x"], &["names"], "x\n"),
        (&["config", "debug", "true"], &["config", "debug"], "true\n"),
        (&["level", "5"], &["level", "--json"], "5\n"),
        (&["samples", "1", "-3"], &["samples", "--json"], "[0,-3]\n"),
    ] {
        assert_eq!(served.output(&[&["put"], put].concat()), "");
        assert_eq!(served.output(&[&["get"], get].concat()), output, "{get:?}");
    }
    assert_eq!(
        served.output(&["call", "items", "insert", "0", "first"]),
        ""
    );
    assert_eq!(served.output(&["call", "items", "index", "two"]), "1\n");
    assert_eq!(served.output(&["call", "results", "__len__"]), "2\n");
    let listed = served.output(&["ls"]);
    assert!(
        listed.starts_with("tasks\tQueue\t0\nresults\tdict\t2\nitems\tlist\t2\n"),
        "{listed}"
    );
    let listed: serde_json::Value =
        serde_json::from_str(&served.output(&["ls", "--json"])).unwrap();
    assert_eq!(listed[0]["type"], "Queue");
    assert_eq!(listed[4]["length"], serde_json::Value::Null);
}

#[test]
fn failures_have_their_codes_and_say_what_to_do() {
    let served = Served::start(&["tasks=Queue:1", "results=dict"]);
    served.output(&["put", "tasks", "1"]);
    for (arguments, code, error, hint) in [
        (&["get", "results", "key"][..], 1, "KeyError: key", ""),
        (&["get", "unknown"], 1, "KeyError: 'unknown'", "coheld ls"),
        (
            &["call", "results", "nothing"],
            1,
            "KeyError: 'nothing'",
            "",
        ),
        (&["call", "tasks", "put", "2", "false"], 1, "queue.Full", ""),
        (
            &["put", "results", "value"],
            2,
            "needs a key and a value",
            "coheld put NAME KEY VALUE",
        ),
        (
            &["get", "tasks", "key"],
            2,
            "a queue has no keys",
            "coheld call NAME METHOD",
        ),
        (&["put", "tasks"], 2, "required", ""),
    ] {
        let done = served.run(arguments);
        assert_eq!(
            (done.code, done.output.as_str()),
            (code, ""),
            "{arguments:?} {}",
            done.errors
        );
        assert!(
            done.errors.contains(error),
            "{arguments:?}: {}",
            done.errors
        );
        assert!(done.errors.contains(hint), "{arguments:?}: {}", done.errors);
    }
    let missing = Command::new(BINARY);
    assert_eq!(run(missing).code, 2);
}

#[test]
fn a_manager_has_to_be_there_and_to_have_the_key() {
    let mut served = Served::start(&[]);
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("key"), "another").unwrap();
    let ls = |key: &std::path::Path, more: &[&str], address: &str| {
        let mut command = Command::new(BINARY);
        command
            .args(["ls", "--address", address, "--authkey-file"])
            .arg(key)
            .args(more);
        run(command)
    };
    let done = ls(
        &other.path().join("key"),
        &["--insecure-permissions"],
        &served.address,
    );
    assert_eq!(done.code, 3, "{}", done.errors);
    assert!(
        done.errors.contains("the key is not the manager's"),
        "{}",
        done.errors
    );
    write_key(&served.folder, 0o644);
    let done = ls(&served.key(), &[], &served.address);
    assert_eq!(done.code, 2);
    assert!(
        done.errors.contains("permissions are 644"),
        "{}",
        done.errors
    );
    let done = ls(&served.key(), &["--insecure-permissions"], &served.address);
    assert_eq!(
        (done.code, done.output.as_str()),
        (0, ""),
        "{}",
        done.errors
    );
    let mut command = Command::new(BINARY);
    command.args(["ls", "--address", &served.address]);
    let done = run(command);
    assert_eq!(done.code, 2);
    assert!(done.errors.contains("--authkey-file"), "{}", done.errors);
    served.process.kill().unwrap();
    served.process.wait().unwrap();
    let done = ls(&served.key(), &["--insecure-permissions"], &served.address);
    assert_eq!(
        (done.code, done.output.as_str()),
        (3, ""),
        "{}",
        done.errors
    );
}

#[test]
fn what_cannot_be_shared_is_a_wrong_command_line() {
    for share in [
        "tasks",
        "=Queue",
        "x=Pool",
        "x=Barrier",
        "x=Array:x",
        "x=list:3",
    ] {
        let mut command = Command::new(BINARY);
        command.args(["serve", "--address", "127.0.0.1:0", "--share", share]);
        let done = run(command);
        assert_eq!((done.code, done.output.as_str()), (2, ""), "{share}");
    }
}
