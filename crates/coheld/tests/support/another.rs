//! Another process: this same test binary once more, whose test `another_process` does a task. What
//! it works with is in a shared dict, whose token is all that it is given.

#![allow(dead_code, reason = "not every test file uses all of it")]

use std::process::{Child, Command, Stdio};

use coheld::{AUTHKEY_VARIABLE, DictProxy, Manager, Token, Value};

const TASK: &str = "COHELD_TEST_TASK";
const TOKEN: &str = "COHELD_TEST_TOKEN";

/// Shared objects by name.
pub type Objects = DictProxy<String, Value>;

/// Starts another process that does `task`.
pub fn start(objects: &Objects, manager: &Manager, task: &str) -> Process {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["another_process", "--exact", "--nocapture"])
        .env(TASK, task)
        .env(TOKEN, objects.token().unwrap().to_string())
        .env(AUTHKEY_VARIABLE, manager.authkey_text())
        .stdout(Stdio::null())
        .spawn();
    Process(child.unwrap())
}

/// What this process is to do.
pub struct Task {
    pub name: String,
    pub objects: Objects,
    pub token: Token,
    pub authkey: Vec<u8>,
}

impl Task {
    /// `None` in a usual run of the tests.
    pub fn of_this_process() -> Option<Self> {
        let name = std::env::var(TASK).ok()?;
        let token: Token = std::env::var(TOKEN).unwrap().parse().unwrap();
        let authkey = coheld::authkey_from_environment().unwrap();
        let objects = DictProxy::from_token(&token, &authkey).unwrap();
        Some(Self {
            name,
            objects,
            token,
            authkey,
        })
    }
}

/// Another process; it ends with the test at the latest.
pub struct Process(Child);

impl Process {
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    pub fn succeeds(mut self) -> bool {
        self.0.wait().unwrap().success()
    }

    pub fn kill(self) {}

    pub fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Refused if it was waited for.
        let killed = self.0.kill().and_then(|()| self.0.wait());
        drop(killed);
    }
}
