//! What is left of a lock, a queue and the rest, and whether it still works.

use super::expect;
use coheld_shm::Referent;
use coheld_store::{
    Barrier, Condition, Event, Input, List, Lock, Queue, Result, Semaphore, StoreError, Wait,
    kinds::referent as kind,
};

/// Everything that others can see. Who was only told to look again does not count: they look
/// again by themselves.
pub(super) fn read(referent: &Referent<'_>) -> Result<String> {
    Ok(match referent.kind() {
        kind::LOCK | kind::RLOCK => format!("locked: {}", Lock::new(referent).is_locked()?),
        kind::SEMAPHORE | kind::BOUNDED_SEMAPHORE => {
            // The permits of the dead come back when somebody finds none.
            let semaphore = Semaphore::new(referent);
            let mut permits = 0;
            while semaphore.acquire(Wait::No)?.is_some() {
                permits += 1;
            }
            format!("permits: {permits} of {}", semaphore.initial()?)
        }
        kind::EVENT => {
            let waiting = referent.lock()?.waiting(0);
            format!(
                "set: {}, waiting: {waiting}",
                Event::new(referent).is_set()?
            )
        }
        kind::CONDITION => format!("waiting: {}", Condition::new(referent).waiting()?),
        kind::BARRIER => {
            let barrier = Barrier::new(referent);
            let (waiting, broken) = (barrier.waiting()?, barrier.is_broken()?);
            format!("waiting: {waiting}, broken: {broken}")
        }
        _ => {
            let queue = Queue::new(referent);
            let (unfinished, shut) = (queue.unfinished()?, queue.is_shut_down()?);
            let items = List::new(referent).snapshot()?;
            let items: Vec<String> = items.iter().map(|item| format!("{item:?}")).collect();
            format!("{items:?}, unfinished: {unfinished}, shut down: {shut}")
        }
    })
}

/// Works with it; the line that the build left has to be whole.
pub(super) fn usable(referent: &Referent<'_>) -> Result<()> {
    let in_line = referent.lock()?.in_line();
    {
        let waiter = referent.segment().waiter()?;
        referent.lock()?.enqueue(&waiter, 7, 0);
        expect(
            referent.lock()?.in_line() == in_line + 1,
            "the line is torn",
        )?;
        referent.lock()?.leave(&waiter);
        expect(referent.lock()?.in_line() == in_line, "the line is torn")?;
    }
    match referent.kind() {
        kind::LOCK | kind::RLOCK => {
            let lock = Lock::new(referent);
            expect(lock.acquire(Wait::No)?.is_some(), "the lock is not free")?;
            lock.release()
        }
        kind::SEMAPHORE | kind::BOUNDED_SEMAPHORE => {
            let semaphore = Semaphore::new(referent);
            semaphore.release(1)?;
            expect(semaphore.acquire(Wait::No)?.is_some(), "there is no permit")
        }
        kind::EVENT => {
            let event = Event::new(referent);
            event.set()?;
            expect(event.wait(Wait::No)?, "the event is not set")?;
            event.clear()
        }
        kind::CONDITION => {
            let condition = Condition::new(referent);
            // The build may have acquired its lock.
            let acquired = condition.acquire(Wait::No)?.is_some();
            condition.notify(u64::MAX)?;
            if acquired {
                condition.release()
            } else {
                Ok(())
            }
        }
        kind::BARRIER => {
            let barrier = Barrier::new(referent);
            barrier.abort()?;
            barrier.reset()?;
            expect(!barrier.is_broken()?, "the barrier stays broken")
        }
        _ => {
            let queue = Queue::new(referent);
            match queue.put(&Input::str("one more item, in a block"), Wait::No) {
                Err(StoreError::ShutDown) => {}
                put => put?,
            }
            while queue.len()? > 0 {
                queue.get(Wait::No)?;
            }
            while queue.unfinished()? > 0 {
                queue.task_done()?;
            }
            expect(queue.join(Wait::No)?, "the queue cannot be joined")
        }
    }
}
