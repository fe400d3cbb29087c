//! What clients on the other end of connections hold.
//!
//! A process of this machine is a member of the segment, and the kernel says when it has ended.
//! Of a client that is a connection away, only its connections are known. So clients of Coheld say
//! which of them belong together, a *session*: whatever it holds goes some time after its last
//! connection has. Clients of the standard library count their references one by one, each in a
//! connection of its own; theirs go when they are counted down.
//!
//! What is on its way to somebody who has not counted it yet is lent: it stays for some minutes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Introduction, ident};
use crate::token::Place;
use crate::{Attachment, Error, Handle};

/// How long something that was lent stays. As long as the leases of proxies between processes.
const LOAN: Duration = Duration::from_secs(600);
/// How long a session lasts without a connection, and how long what a client has let go waits for a
/// child that it has forked. A client that has lost its network for less than this goes on as
/// before.
const ABSENCE: Duration = Duration::from_secs(60);
/// The same on this machine, where a connection ends when its process does or wants to.
const NEARBY_ABSENCE: Duration = Duration::from_secs(2);

/// The name of a session: random bytes that its client has chosen.
pub type SessionId = [u8; 16];

/// Who holds a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// All clients of the standard library together.
    Stock,
    /// A process with Coheld.
    Session(SessionId),
}

/// Who holds what of one manager.
pub struct References {
    attachment: Arc<Attachment>,
    content: Mutex<Content>,
}

struct Content {
    stock: Counts,
    sessions: HashMap<SessionId, Session>,
    /// In the order in which they end.
    loans: Vec<Loan>,
}

/// How many references somebody has to each object, and the handle that keeps it.
type Counts = HashMap<String, (Handle, u64)>;

#[derive(Default)]
struct Session {
    counts: Counts,
    connections: u32,
    /// How long it lasts without any.
    absence: Duration,
    /// When the last connection ended, if it has.
    alone_since: Option<Instant>,
}

struct Loan {
    ident: String,
    handle: Handle,
    until: Instant,
    lender: Client,
}

/// One connection of a session. The session may end when the last one is dropped.
pub struct Membership {
    references: Arc<References>,
    session: SessionId,
}

impl References {
    /// Nobody holds anything yet.
    #[must_use]
    pub fn new(attachment: &Arc<Attachment>) -> Self {
        Self {
            attachment: Arc::clone(attachment),
            content: Mutex::new(Content {
                stock: Counts::new(),
                sessions: HashMap::new(),
                loans: Vec::new(),
            }),
        }
    }

    /// The attachment to the segment of the objects.
    pub fn attachment(&self) -> &Arc<Attachment> {
        &self.attachment
    }

    /// The name under which clients know the object of a handle.
    pub fn ident(&self, handle: &Handle) -> String {
        let place = Place {
            kind: handle.kind(),
            offset: handle.offset(),
            generation: handle.generation(),
        };
        ident::ident(&self.attachment.segment_id(), place)
    }

    /// Whether it is a name of this manager's objects, whether that exists or not.
    pub fn is_ours(&self, ident: &str) -> bool {
        ident::place_of(&self.attachment.segment_id(), ident).is_some()
    }

    /// The object of that name, if it still exists.
    pub fn find(&self, ident: &str) -> Result<Handle, Error> {
        let place = self.place(ident)?;
        let handle = Handle::acquire(&self.attachment, place.offset, place.generation)?;
        Self::checked(handle, place)
    }

    fn place(&self, ident: &str) -> Result<Place, Error> {
        let place = ident::place_of(&self.attachment.segment_id(), ident);
        place.ok_or(Error::BadToken {
            why: "it is none of this manager, or the manager was started anew since",
        })
    }

    fn checked(handle: Handle, place: Place) -> Result<Handle, Error> {
        if handle.generation() != place.generation {
            return Err(Error::BadToken {
                why: "the object does not exist any more",
            });
        }
        Ok(handle)
    }

    /// Counts a reference that `client` has got, or is about to get, by a reply.
    pub fn hold(&self, client: Client, handle: Handle) {
        let ident = self.ident(&handle);
        self.with(|content| content.count(client, ident, handle));
    }

    /// Counts a reference that `client` has found out about by itself. If it was lent to whoever
    /// comes first, that is now `client`.
    pub fn increase(&self, client: Client, ident: &str) -> Result<(), Error> {
        let handle = self.find(ident)?;
        let loan = self.with(|content| {
            content.count(client, ident.to_owned(), handle);
            let loan = content.loans.iter().position(|loan| loan.ident == ident)?;
            Some(content.loans.remove(loan))
        });
        drop(loan);
        Ok(())
    }

    /// The same by a lease, which a process that shares the memory has sent along. It ends.
    pub fn redeem(&self, client: Client, ident: &str) -> Result<(), Error> {
        let place = self.place(ident)?;
        let handle = Handle::redeem(&self.attachment, place.lease())?;
        self.hold(client, Self::checked(handle, place)?);
        Ok(())
    }

    /// Ends one reference of `client`; whether it had one.
    pub fn decrease(&self, client: Client, ident: &str) -> bool {
        let (found, last) = self.with(|content| content.uncount(client, ident));
        drop(last);
        found
    }

    /// Ends one reference of `client` soon, but not yet: somebody may be about to take it over.
    pub fn decrease_later(&self, client: Client, ident: &str) -> bool {
        let Ok(handle) = self.find(ident) else {
            return self.decrease(client, ident);
        };
        let absence = self.with(|content| match client {
            Client::Session(session) => content.sessions.get(&session).map(|own| own.absence),
            Client::Stock => None,
        });
        self.lend_for(absence.unwrap_or(ABSENCE), client, handle);
        self.decrease(client, ident)
    }

    /// Ends a session, and with it all that its client holds: the client says goodbye.
    pub fn leave(&self, session: SessionId) {
        let ended = self.with(|content| {
            let session = content.sessions.get_mut(&session)?;
            Some(std::mem::take(&mut session.counts))
        });
        drop(ended);
    }

    /// Keeps an object for whoever takes it over, for some minutes at most.
    pub fn lend(&self, lender: Client, handle: Handle) {
        self.lend_for(LOAN, lender, handle);
    }

    fn lend_for(&self, time: Duration, lender: Client, handle: Handle) {
        let until = Instant::now() + time;
        let loan = Loan {
            ident: self.ident(&handle),
            handle,
            until,
            lender,
        };
        self.with(|content| {
            let place = content.loans.partition_point(|other| other.until <= until);
            content.loans.insert(place, loan);
        });
    }

    /// Counts a connection of a session, from this machine or another one. A session that is new
    /// and was forked from another one holds what that one does, and what it has let go since.
    pub fn join(self: &Arc<Self>, who: Introduction, is_nearby: bool) -> Membership {
        let Introduction { session, parent } = who;
        self.with(|content| {
            let inherited = match (content.sessions.contains_key(&session), parent) {
                (false, Some(parent)) => content.inheritance(parent),
                _ => Counts::new(),
            };
            let entry = content.sessions.entry(session).or_default();
            entry.counts.extend(inherited);
            entry.connections += 1;
            entry.alone_since = None;
            entry.absence = if is_nearby { NEARBY_ABSENCE } else { ABSENCE };
        });
        let references = Arc::clone(self);
        Membership {
            references,
            session,
        }
    }

    /// Lets go of what was lent long ago, and of the sessions that do not come back. To be called
    /// now and then.
    pub fn sweep(&self) {
        let now = Instant::now();
        let ended = self.with(|content| {
            let count = content.loans.partition_point(|loan| loan.until <= now);
            let loans: Vec<_> = content.loans.drain(..count).collect();
            let is_over = |session: &Session| {
                let since = session.alone_since;
                since.is_some_and(|since| now.duration_since(since) >= session.absence)
            };
            let sessions: Vec<_> = content
                .sessions
                .extract_if(|_, session| is_over(session))
                .collect();
            (loans, sessions)
        });
        // Outside of the lock: the last reference may have to wait.
        drop(ended);
    }

    /// The objects that clients hold, each with its name and how often it is held.
    pub fn held(&self) -> Vec<(String, u64, Handle)> {
        self.with(|content| {
            let mut all: HashMap<&String, (u64, &Handle)> = HashMap::new();
            let sessions = content.sessions.values().map(|session| &session.counts);
            for (ident, (handle, count)) in sessions.chain([&content.stock]).flatten() {
                all.entry(ident).or_insert((0, handle)).0 += count;
            }
            let held = all.into_iter();
            held.map(|(ident, (count, handle))| (ident.clone(), count, handle.clone()))
                .collect()
        })
    }

    /// How many objects are held for clients, not counting what is lent.
    pub fn count(&self) -> usize {
        self.with(|content| {
            let sessions = content.sessions.values();
            content.stock.len() + sessions.map(|session| session.counts.len()).sum::<usize>()
        })
    }

    fn with<R>(&self, work: impl FnOnce(&mut Content) -> R) -> R {
        // No change here is left half done by a panic.
        work(&mut self.content.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Content {
    fn counts(&mut self, client: Client) -> &mut Counts {
        match client {
            Client::Stock => &mut self.stock,
            Client::Session(session) => {
                let session = self.sessions.entry(session).or_insert_with(|| Session {
                    // A reply that its client is not there for any more.
                    alone_since: Some(Instant::now()),
                    absence: ABSENCE,
                    ..Session::default()
                });
                &mut session.counts
            }
        }
    }

    fn count(&mut self, client: Client, ident: String, handle: Handle) {
        let counted = self.counts(client).entry(ident).or_insert((handle, 0));
        counted.1 += 1;
    }

    /// Whether there was a reference, and the handle if it was the last one.
    fn uncount(&mut self, client: Client, ident: &str) -> (bool, Option<Handle>) {
        let Entry::Occupied(mut entry) = self.counts(client).entry(ident.to_owned()) else {
            return (false, None);
        };
        entry.get_mut().1 -= 1;
        if entry.get().1 > 0 {
            return (true, None);
        }
        (true, Some(entry.remove().0))
    }

    /// What a forked child of a session has of it.
    fn inheritance(&self, parent: SessionId) -> Counts {
        let mut inherited = Counts::new();
        if let Some(parent) = self.sessions.get(&parent) {
            for (ident, (handle, count)) in &parent.counts {
                inherited.insert(ident.clone(), (handle.clone(), *count));
            }
        }
        for loan in &self.loans {
            if loan.lender == Client::Session(parent) {
                let entry = inherited.entry(loan.ident.clone());
                entry.or_insert_with(|| (loan.handle.clone(), 0)).1 += 1;
            }
        }
        inherited
    }
}

impl Membership {
    /// The session.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.references.with(|content| {
            if let Some(session) = content.sessions.get_mut(&self.session) {
                session.connections -= 1;
                if session.connections == 0 {
                    session.alone_since = Some(Instant::now());
                }
            }
        });
    }
}
