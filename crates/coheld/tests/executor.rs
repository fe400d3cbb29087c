//! Async methods on the executor that comes with the feature `tokio`.
#![allow(missing_docs)]

mod support;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use coheld::Manager;
use support::{fork, turn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::{Barrier, mpsc, oneshot};
use tokio::time::sleep;

/// How long it takes until somebody is surely waiting.
const SHORT: Duration = Duration::from_millis(20);

struct Office {
    meeting: Arc<Barrier>,
}

#[coheld::expose(executor = coheld::executor::tokio)]
impl Office {
    /// What comes back from a socket that a task of its own serves.
    pub async fn echo(&self, text: String) -> Result<String, std::io::Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await?;
            let mut said = Vec::new();
            peer.read_to_end(&mut said).await?;
            peer.write_all(&said).await
        });
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// Waits until four are there.
    pub async fn meet(&self) {
        self.meeting.wait().await;
    }

    /// The sum, from a task that goes on after the caller has waited for it.
    pub async fn add(&self, x: i64, y: i64) -> i64 {
        let (answer, sum) = oneshot::channel();
        tokio::spawn(async move {
            sleep(SHORT).await;
            answer.send(x + y)
        });
        sum.await.unwrap()
    }

    /// The sum of so many numbers, each of which is waited for.
    pub async fn add_up(&self, count: u64) -> u64 {
        let (numbers, mut come) = mpsc::unbounded_channel();
        for number in 0..count {
            numbers.send(number).unwrap();
        }
        let mut sum = 0;
        for _ in 0..count {
            sum += come.recv().await.unwrap();
        }
        sum
    }

    /// Has as many tasks as there are threads to run them call a method that waits; whether all of
    /// them get the right answer.
    pub async fn delegate(&self, to: &OfficeProxy) -> bool {
        let tasks: Vec<_> = (0..runtime::Handle::current().metrics().num_workers())
            .map(|_| {
                let to = to.clone();
                tokio::spawn(async move { to.add(1, 2).unwrap() })
            })
            .collect();
        let mut is_right = true;
        for task in tasks {
            is_right &= task.await.unwrap() == 3;
        }
        is_right
    }

    pub async fn fail(&self) -> i64 {
        sleep(SHORT).await;
        panic!("on purpose")
    }
}

fn office() -> Office {
    Office {
        meeting: Arc::new(Barrier::new(4)),
    }
}

#[test]
fn methods_use_times_sockets_and_tasks() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let office = manager.share(office()).unwrap();
    assert_eq!(
        office.echo("how are you".to_owned()).unwrap(),
        "how are you"
    );
    assert_eq!(office.add(2, 3).unwrap(), 5);
    let error = office.fail().unwrap_err();
    assert!(error.to_string().contains("on purpose"), "{error}");
    assert_eq!(office.add(3, 4).unwrap(), 7);
    assert!(office.delegate(&office).unwrap());
}

#[test]
fn who_waits_holds_nobody_up() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let office = manager.share(office()).unwrap();
    // Two are answered by their own threads, two by those of the host.
    let child = fork(|| {
        thread::scope(|scope| {
            let other = scope.spawn(|| office.meet().is_ok());
            office.meet().is_ok() && other.join().unwrap()
        })
    });
    thread::scope(|scope| {
        let other = scope.spawn(|| office.meet().unwrap());
        office.meet().unwrap();
        other.join().unwrap();
    });
    assert!(child.said_yes().unwrap());
}

/// There, the calling thread is the one that answers, and it already is within a runtime.
#[test]
fn tasks_of_any_runtime_call_objects_of_their_own_process() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let office = manager.share(office()).unwrap();
    for mut builder in [
        runtime::Builder::new_current_thread(),
        runtime::Builder::new_multi_thread(),
    ] {
        let runtime = builder.enable_all().build().unwrap();
        let (own, other) = (office.clone(), office.clone());
        let sums = runtime.block_on(async move {
            // More is waited for than a task may at a time.
            let task = tokio::spawn(async move { other.add_up(1_001) });
            (own.add(20, 1), task.await.unwrap())
        });
        assert_eq!((sums.0.unwrap(), sums.1.unwrap()), (21, 500_500));
    }
}

#[test]
fn other_processes_call_and_forked_ones_have_a_runtime_of_their_own() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let of_parent = manager.share(office()).unwrap();
    assert_eq!(of_parent.add(1, 1).unwrap(), 2);
    let child = fork(|| {
        let own = manager.share(office()).unwrap();
        own.add(2, 3).unwrap() == 5
            && own.echo("child".to_owned()).unwrap() == "child"
            && of_parent.add(3, 4).unwrap() == 7
    });
    assert!(child.said_yes().unwrap());
    assert_eq!(of_parent.echo("parent".to_owned()).unwrap(), "parent");
}
