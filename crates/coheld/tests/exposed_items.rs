//! Iterators that methods of shared objects return: items come as they are asked for.
#![allow(clippy::disallowed_types, reason = "tests count what threads see")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use coheld::{Error, Manager, Streamed};
use support::eventually;

/// Counts how many items were made.
struct Numbers {
    made: Arc<AtomicUsize>,
    gone: Arc<AtomicBool>,
    gates: Mutex<Option<Receiver<()>>>,
}

struct Goes(Arc<AtomicBool>);

impl Drop for Goes {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[coheld::expose]
impl Numbers {
    /// All from `first` on.
    pub fn from(&self, first: u64) -> impl Iterator<Item = u64> + Send + use<> {
        let made = Arc::clone(&self.made);
        let goes = Goes(Arc::clone(&self.gone));
        (first..).inspect(move |_| {
            let _ = &goes;
            made.fetch_add(1, Ordering::Relaxed);
        })
    }

    pub fn below(
        &self,
        end: i64,
    ) -> Result<Box<dyn Iterator<Item = i64> + Send>, std::num::TryFromIntError> {
        let end = u32::try_from(end)?;
        Ok(Box::new(0..i64::from(end)))
    }

    /// Each as soon as there is something in the channel.
    pub fn gated(&self) -> Box<dyn Iterator<Item = Vec<u8>> + Send> {
        let gates = self.gates.lock().unwrap().take();
        Box::new(gates.into_iter().flatten().map(|()| vec![7]))
    }

    pub fn breaking(&self) -> Box<dyn Iterator<Item = u8> + Send> {
        Box::new((0..5).inspect(|number| assert_ne!(*number, 3, "three")))
    }
}

fn numbers() -> (Numbers, Sender<()>) {
    let (sender, gates) = channel();
    let numbers = Numbers {
        made: Arc::default(),
        gone: Arc::default(),
        gates: Mutex::new(Some(gates)),
    };
    (numbers, sender)
}

#[test]
fn items_come_as_they_are_asked_for() {
    let manager = Manager::start().unwrap();
    let (object, _) = numbers();
    let (made, gone) = (Arc::clone(&object.made), Arc::clone(&object.gone));
    let numbers = manager.share(object).unwrap();
    let mut items: Streamed<u64> = numbers.from(5).unwrap();
    assert_eq!(made.load(Ordering::Relaxed), 0);
    let first = items.by_ref().take(1000).collect::<Result<Vec<_>, _>>();
    assert_eq!(first.unwrap(), (5..1005).collect::<Vec<_>>());
    // As many at a time as go into a message, not all that there are.
    assert!(made.load(Ordering::Relaxed) < 1000 + 256 + 1);
    drop(items);
    assert!(eventually(|| gone.load(Ordering::Relaxed)));

    let below = numbers.below(600).unwrap().collect::<Result<Vec<_>, _>>();
    assert_eq!(below.unwrap(), (0..600).collect::<Vec<_>>());
    assert_eq!(numbers.below(0).unwrap().count(), 0);
    match numbers.below(-1) {
        Err(Error::Raised(raised)) => assert!(raised.message.starts_with("TryFromIntError: ")),
        other => panic!("it raised nothing: {other:?}"),
    }
}

#[test]
fn an_item_does_not_wait_for_those_after_it() {
    let manager = Manager::start().unwrap();
    let (object, gate) = numbers();
    let numbers = manager.share(object).unwrap();
    let mut items = numbers.gated().unwrap();
    let open = thread::spawn(move || {
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(20));
            gate.send(()).unwrap();
        }
    });
    for _ in 0..3 {
        assert_eq!(items.next().unwrap().unwrap(), [7]);
    }
    open.join().unwrap();
    assert!(items.next().is_none());
    assert!(items.next().is_none());
}

#[test]
fn an_iterator_that_panics_ends_with_an_error() {
    let manager = Manager::start().unwrap();
    let (object, _gate) = numbers();
    let numbers = manager.share(object).unwrap();
    let mut items = numbers.breaking().unwrap();
    let mut seen = Vec::new();
    let failure = loop {
        match items.next() {
            Some(Ok(item)) => seen.push(item),
            Some(Err(error)) => break error,
            None => panic!("it ended without an error"),
        }
    };
    assert!(failure.to_string().contains("three"), "{failure}");
    assert!(items.next().is_none());
    assert_eq!(seen, [0, 1, 2]);
}
