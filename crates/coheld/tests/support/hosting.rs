//! A host written in Rust, for the tests of hosted objects.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use coheld::hosted::{self, Host, Reply, ReplyKind, Request, Serve};
use coheld::{Attachment, Error, Handle, Proxy, Token};

/// What the objects of a test do. All of them can do the same; each has a note of its own.
#[derive(Default)]
pub struct Objects {
    /// What was noted of each object, by number; removed when it is released.
    pub notes: Mutex<BTreeMap<u64, Vec<u8>>>,
    /// Numbers released, in order.
    pub released: Mutex<Vec<u64>>,
    /// Threads that answered.
    pub threads: Mutex<Vec<ThreadId>>,
    /// Whether threads can be had.
    pub refuses_threads: bool,
}

impl Serve for Objects {
    fn answer(&self, request: &Request<'_>) -> Reply {
        self.threads.lock().unwrap().push(thread::current().id());
        let answer = |body: Vec<u8>| Reply::new(ReplyKind::Return, body);
        match request.method {
            "echo" => answer(request.body.to_vec()),
            "number" => answer(request.object.to_le_bytes().to_vec()),
            // A function of what is asked, so that a wrong reply is noticed.
            "stretch" => answer(stretched(request.body)),
            "sleep" => {
                thread::sleep(Duration::from_millis(number(request.body)));
                answer(Vec::new())
            }
            "flood" => answer(vec![7; number(request.body) as usize]),
            "note" => {
                let mut notes = self.notes.lock().unwrap();
                notes.insert(request.object, request.body.to_vec());
                answer(Vec::new())
            }
            "panic" => panic!("{} cannot do that", request.object),
            "fail" => Reply::new(ReplyKind::Error, request.body),
            // Calls the object whose token is in the body, one level less deep.
            "descend" => match descend(request.body) {
                Ok(depth) => answer(depth),
                Err(error) => Reply::new(ReplyKind::Traceback, error.to_string()),
            },
            other => Reply::new(ReplyKind::Traceback, format!("no method {other}")),
        }
    }

    fn released(&self, number: u64) {
        let note = self.notes.lock().unwrap().remove(&number);
        if note.is_some_and(|note| note == b"stubborn") {
            thread::sleep(Duration::from_secs(3));
        }
        self.released.lock().unwrap().push(number);
    }

    fn spawn(&self, work: Box<dyn FnOnce() + Send>) -> Result<(), Error> {
        if self.refuses_threads {
            return Err(Error::Refused {
                reason: "there are no threads".into(),
            });
        }
        thread::spawn(work);
        Ok(())
    }
}

/// A host of such objects.
pub fn start(attachment: &Arc<Attachment>) -> (Arc<Host>, Arc<Objects>) {
    let objects = Arc::new(Objects::default());
    let host = Host::start(attachment, Arc::<Objects>::clone(&objects), false).unwrap();
    (host, objects)
}

/// The body of the answer to one call.
pub fn ask(handle: &Handle, method: &str, body: &[u8]) -> Result<Vec<u8>, Error> {
    let reply = hosted::call(handle, &Request::new(method, body), None)?;
    assert_eq!(reply.kind, ReplyKind::Return, "{method}: {reply:?}");
    Ok(reply.body)
}

/// The answer to "stretch": the request again and again, as often as its first byte says.
pub fn stretched(body: &[u8]) -> Vec<u8> {
    body.repeat(usize::from(body.first().copied().unwrap_or(0) % 4))
}

fn number(body: &[u8]) -> u64 {
    u64::from_le_bytes(body.try_into().unwrap())
}

/// `depth` levels of calls between two objects that call each other: how many there were.
pub fn descent(depth: u8, here: &Token, there: &Token) -> Vec<u8> {
    [
        &[depth],
        here.to_string().as_bytes(),
        b"\n",
        there.to_string().as_bytes(),
    ]
    .concat()
}

fn descend(body: &[u8]) -> Result<Vec<u8>, Error> {
    let (depth, tokens) = body.split_first().unwrap();
    if *depth == 0 {
        return Ok(vec![0]);
    }
    let (here, there) = str::from_utf8(tokens).unwrap().split_once('\n').unwrap();
    // Not redeemed: the tokens are used again and again, and others keep the objects.
    let next: Token = there.parse().unwrap();
    let attachment = Attachment::find(&next.segment_id).unwrap();
    let handle = Handle::acquire(&attachment, next.offset, next.generation)?;
    let rest = descent(depth - 1, &there.parse().unwrap(), &here.parse().unwrap());
    let deeper = ask(&handle, "descend", &rest)?;
    Ok(vec![deeper[0] + 1])
}

/// A proxy of the object of a handle.
pub fn proxy(handle: &Handle) -> Proxy {
    Proxy::from_handle(handle.clone()).unwrap()
}

/// Numbers that look random, the same in each run.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, limit: u64) -> u64 {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    pub fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length).map(|_| self.below(256) as u8).collect()
    }
}
