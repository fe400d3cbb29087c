//! What is done with a damaged image: a process attaches, mends, and does everything once.
//!
//! Whatever comes of it may be an error or a wrong value. What counts is that it comes.

use std::time::Duration;

use coheld_shm::{HostPlace, Referent, Segment};
use coheld_store::kinds::referent as kind;
use coheld_store::{
    Barrier, Buffer, Channel, Condition, Event, Hosted, Input, Lock, MENDER, Purpose, Queue,
    Semaphore, Standing, Wait, move_to_host, survey, verify,
};

use super::containers;
use super::damage::Damage;
use super::scene::{Scene, release};
use super::stage::Stage;
use crate::random::Random;

/// For what would have to come from others.
const SHORT: Duration = Duration::from_micros(20);

/// Works on an image with this damage. Whether it could be attached to.
pub fn exercise(scene: &Scene, damage: &Damage) -> bool {
    let mut random = Random::new(damage.order);
    let image = damage.apply(&scene.image);
    // The one with everything that a dead member can leave, or all: so each lock is taken over.
    let dead = match random.below(4) {
        0 => (0..8).collect(),
        _ => scene.dead.clone(),
    };
    let Ok(segment) = Segment::attach(Box::new(Stage::new(&image, &dead))) else {
        return false;
    };
    segment.set_mender(MENDER);
    if random.below(2) == 0 {
        look(&segment);
    }
    if segment.join().is_err() {
        return false;
    }
    for _ in 0..2 {
        if random.below(2) == 0 {
            segment.reap_dead();
        }
        // From another place each time: what comes later may be refused because of what came first.
        let first = random.below(scene.places.len());
        let count = scene.places.len();
        for index in (first..count).chain(0..first) {
            let (offset, generation) = scene.places[index];
            if let Ok(referent) = segment.referent(offset, generation) {
                let _ = segment.acquire(offset, generation);
                work(&referent, scene.kinds[index]);
                let found = referent.kind();
                if found != scene.kinds[index] {
                    work(&referent, found);
                }
            }
            if random.below(6) == 0 {
                let _ = segment.release(offset, generation);
            }
        }
        fork(&segment, scene);
    }
    segment.reap_dead();
    segment.expire_leases();
    for &(offset, generation) in &scene.places {
        let _ = segment.release(offset, generation);
    }
    let _ = segment.trim();
    look(&segment);
    let _ = verify(&segment);
    segment.retire();
    true
}

/// What `coheld doctor` and `coheld top` look at.
fn look(segment: &Segment) {
    let _ = (
        segment.statistics(),
        segment.members(),
        segment.held_locks(),
    );
    let _ = (segment.words_in_lanes(), segment.lanes_idle());
    let _ = (segment.manager_host(), segment.call_limit());
    let mut kinds = Vec::new();
    segment.each_referent(|view| {
        kinds.push((view.offset, view.kind));
        let _ = survey::sketch(segment, &view);
    });
    segment.each_wait(|wait| {
        let kind = kinds.iter().find(|(offset, _)| *offset == wait.referent);
        let _ = survey::waits_for(kind.map_or(0, |(_, kind)| *kind), wait.role);
        let _ = segment.process_of_tag(wait.owner);
    });
    segment.each_block(|offset, _| {
        let _ = segment.used_block(offset);
    });
    let _ = verify::examine(segment, |_| ());
}

/// A fork, of which the child is this process as well.
fn fork(segment: &Segment, scene: &Scene) {
    let held = scene.places.iter().copied();
    if let Ok(reservation) = segment.prepare_fork(held) {
        segment.leave();
        let _ = segment.adopt_fork(reservation);
    }
    let _ = segment.join();
}

fn work(referent: &Referent<'_>, claimed: u8) {
    let segment = referent.segment();
    let _ = referent.sweep_line();
    match claimed {
        kind::LIST => containers::list(referent),
        kind::DICT => containers::dict(referent),
        kind::NAMESPACE => containers::namespace(referent),
        kind::SET => containers::set(referent),
        kind::VALUE => containers::value(referent),
        kind::ARRAY => containers::array(referent),
        kind::LOCK | kind::RLOCK => lock(referent),
        kind::SEMAPHORE | kind::BOUNDED_SEMAPHORE => semaphore(referent),
        kind::EVENT => event(referent),
        kind::CONDITION => condition(referent),
        kind::BARRIER => barrier(referent),
        kind::QUEUE | kind::JOINABLE_QUEUE => queue(referent),
        kind::HOSTED => hosted(referent),
        kind::CHANNEL => channel(referent),
        kind::BUFFER => buffer(referent),
        _ => (),
    }
    if let Ok(Some(reserved)) = referent.reserve() {
        drop(reserved);
    }
    if let Ok(lease) = segment.lease(referent.offset(), referent.generation()) {
        let _ = segment.redeem_lease(lease);
    }
    let edge = coheld_shm::word::of_edge(referent.offset(), referent.generation());
    if let Ok(lease) = segment.lease_edge(edge) {
        let _ = segment.drop_lease(lease);
    }
}

/// Reads all bytes that there are said to be.
fn buffer(referent: &Referent<'_>) {
    if let Ok(extent) = Buffer::new(referent).extent() {
        let segment = referent.segment();
        let mut part = [0; 4096];
        for from in (0..extent.count).step_by(part.len()) {
            let length = (extent.count - from).min(part.len() as u64) as usize;
            if segment
                .copy_out(extent.offset + from, &mut part[..length])
                .is_err()
            {
                break;
            }
        }
    }
}

fn short() -> Wait {
    Wait::for_duration(SHORT)
}

/// Stands in line for a moment, as a program of asyncio does.
fn stand(referent: &Referent<'_>, purpose: Purpose) {
    if let Ok(mut standing) = Standing::new(referent, purpose) {
        let watched = standing.watched();
        let _ = (watched.look_up(), watched.next_patience(SHORT));
        let _ = (standing.is_signalled(), standing.rotate());
        match purpose {
            Purpose::Get => {
                if let Ok(Some(output)) = Queue::new(referent).attempt_get(Some(&mut standing)) {
                    release(referent.segment(), output);
                }
            }
            Purpose::Put => {
                let item = Input::str("an item of a standing");
                let _ = Queue::new(referent).attempt_put(&item, Some(&mut standing));
            }
            Purpose::Join => {
                let _ = Queue::new(referent).attempt_join(Some(&mut standing));
            }
            Purpose::Event => {
                let _ = Event::new(referent).attempt(Some(&standing));
            }
            Purpose::Acquire => {
                let _ = Lock::new(referent).attempt(false, Some(&mut standing));
                let _ = Semaphore::new(referent).attempt(Some(&mut standing));
            }
            Purpose::Party | Purpose::Entry => {
                let barrier = Barrier::new(referent);
                let _ = (barrier.attempt(&standing), barrier.lose_patience(&standing));
            }
            Purpose::Notification => (),
        }
        let _ = standing.leave();
    }
    let segment = referent.segment();
    let _ = (segment.ring_bell(), segment.bell_rings());
    let _ = (segment.listen_to_bell(), segment.sleep_by_bell(SHORT));
}

fn lock(referent: &Referent<'_>) {
    let lock = Lock::new(referent);
    let _ = (
        lock.is_locked(),
        lock.is_owned(),
        lock.is_mine(),
        lock.state(),
    );
    let _ = lock.free_from_dead();
    let _ = (lock.acquire(Wait::No), lock.acquire(short()));
    stand(referent, Purpose::Acquire);
    let _ = (lock.release(), lock.release());
}

fn semaphore(referent: &Referent<'_>) {
    let semaphore = Semaphore::new(referent);
    let _ = (semaphore.value(), semaphore.initial());
    let _ = (semaphore.acquire(Wait::No), semaphore.acquire(short()));
    stand(referent, Purpose::Acquire);
    let _ = (semaphore.release(1), semaphore.release(3));
    let _ = semaphore.acquire(short());
}

fn event(referent: &Referent<'_>) {
    let event = Event::new(referent);
    let _ = (event.is_set(), event.wait(short()));
    stand(referent, Purpose::Event);
    let _ = (event.set(), event.wait(Wait::No), event.clear());
}

fn condition(referent: &Referent<'_>) {
    let condition = Condition::new(referent);
    let _ = (
        condition.is_locked(),
        condition.is_mine(),
        condition.waiting(),
    );
    let _ = (condition.acquire(short()), condition.notify(1));
    let _ = condition.wait(short());
    if let Ok((standing, _)) = condition.stand() {
        let _ = (standing.watched().look_up(), standing.leave());
    }
    let _ = (condition.acquire(short()), condition.notify(u64::MAX));
    let _ = condition.release();
}

fn barrier(referent: &Referent<'_>) {
    let barrier = Barrier::new(referent);
    if let Ok(output) = barrier.configuration() {
        release(referent.segment(), output);
    }
    let _ = (barrier.parties(), barrier.waiting(), barrier.is_broken());
    let _ = barrier.wait::<()>(short(), Some(&mut || Ok(())));
    stand(referent, Purpose::Party);
    let _ = barrier.reset();
    if let Ok(coheld_store::Arrived::Waits(standing)) = barrier.arrive::<()>(short(), None) {
        let _ = barrier.must_come_again(&standing);
        let _ = (barrier.attempt(&standing), barrier.lose_patience(&standing));
    }
    let _ = (barrier.abort(), barrier.reset());
}

fn queue(referent: &Referent<'_>) {
    let queue = Queue::new(referent);
    let get = |wait| {
        if let Ok(output) = queue.get(wait) {
            release(referent.segment(), output);
        }
    };
    let _ = (queue.len(), queue.is_empty(), queue.maxsize());
    let _ = (queue.unfinished(), queue.is_shut_down());
    let item = Input::str("an item that needs a block");
    get(Wait::No);
    let _ = (queue.put(&item, Wait::No), queue.put(&item, short()));
    for purpose in [Purpose::Get, Purpose::Put, Purpose::Join] {
        stand(referent, purpose);
    }
    get(short());
    let _ = (queue.task_done(), queue.join(short()));
    for _ in 0..6 {
        get(Wait::No);
    }
    let _ = (queue.put(&item, Wait::No), queue.shut_down(false));
    get(Wait::No);
    let _ = queue.shut_down(true);
}

fn hosted(referent: &Referent<'_>) {
    let hosted = Hosted::new(referent);
    let _ = (hosted.place(), hosted.former_kind());
    let place = HostPlace {
        inbox: referent.offset(),
        generation: referent.generation(),
        tag: 1,
    };
    let _ = move_to_host(referent, place, 5, 1);
}

fn channel(referent: &Referent<'_>) {
    let Ok(channel) = Channel::open(referent) else {
        return;
    };
    let _ = (channel.client(), channel.host(), channel.accept(1));
    let _ = (channel.has_unread_reply(), channel.take_reply());
    for length in [2_500, 10, 70_000] {
        let _ = channel.post(&vec![1; length]);
        let _ = (channel.wait_for_request(SHORT), channel.take_request());
        let _ = channel.answer(&vec![2; length]);
        let _ = (channel.spin_for_reply(), channel.wait_for_reply(SHORT));
        let _ = channel.take_reply();
    }
    let _ = (channel.close(), channel.is_closed());
}
