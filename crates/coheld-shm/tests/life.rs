//! The life of blocks, edges, referents and members, and what the dead leave.

use coheld_shm::{Error, Fate, Host, Options, Segment, backing::HeapBacking, word};

const CAPACITY: u64 = 4 << 20;
const RAW: u8 = 4;

fn options() -> Options {
    Options {
        member_limit: 8,
        lanes_per_member: 4,
        ..Options::default()
    }
}

fn segment() -> (HeapBacking, Segment) {
    let backing = HeapBacking::new(CAPACITY);
    let segment = Segment::create(Box::new(backing.clone()), &options()).unwrap();
    segment.join().unwrap();
    (backing, segment)
}

fn other(backing: &HeapBacking) -> Segment {
    let segment = Segment::attach(Box::new(backing.clone())).unwrap();
    segment.join().unwrap();
    segment
}

fn put_block(segment: &Segment, place: (u64, u32), payload: u64) -> u64 {
    let mut operation = segment.begin().unwrap();
    let block = operation
        .allocate(payload, RAW, Fate::Tree, Fate::Keep)
        .unwrap();
    let guard = segment.referent(place.0, place.1).unwrap().lock().unwrap();
    operation
        .retire(guard.root(), Fate::Keep, Fate::Tree)
        .unwrap();
    operation
        .commit(&guard, guard.root_cell(), word::of_block(block))
        .unwrap();
    drop(guard);
    operation.finish().unwrap();
    block
}

#[test]
fn a_member_that_retires_leaves_nothing_to_be_reaped() {
    let (backing, segment) = segment();
    let visitor = other(&backing);
    let place = segment.create_referent(5, 7).unwrap();
    visitor.acquire(place.0, place.1).unwrap();
    assert_eq!(segment.members().len(), 2);
    let own = visitor.create_referent(5, 7).unwrap();
    visitor.retire();
    assert_eq!(segment.members().len(), 1);
    assert_eq!(segment.reap_dead(), 0);
    assert_eq!(segment.count_referents(), 1);
    assert!(segment.referent(own.0, own.1).unwrap().lock().is_err());
    assert!(segment.lanes_idle());
    // The slot is free for the next one, under another tag.
    let tag = other(&backing).own_tag().unwrap();
    assert!(segment.is_current_member(tag));
}

#[test]
fn a_root_owns_its_block_until_the_referent_goes() {
    let (_backing, segment) = segment();
    let place = segment.create_referent(5, 7).unwrap();
    for payload in [0, 1, 100, 5_000, 30_000, 70_000, 500_000] {
        put_block(&segment, place, payload);
        assert_eq!(segment.statistics().blocks, 1, "payload {payload}");
    }
    segment.release(place.0, place.1).unwrap();
    assert_eq!(segment.statistics().blocks, 0);
    assert_eq!(segment.count_referents(), 0);
    assert!(segment.lanes_idle());
    let again = segment.referent(place.0, place.1).unwrap().lock().map(drop);
    assert_eq!(
        again,
        Err(Error::ReferentGone {
            offset: place.0,
            generation: place.1
        })
    );
}

#[test]
fn an_operation_that_does_not_commit_changes_nothing() {
    let (_backing, segment) = segment();
    let place = segment.create_referent(5, 0).unwrap();
    let kept = put_block(&segment, place, 64);
    {
        let mut operation = segment.begin().unwrap();
        operation.allocate(64, RAW, Fate::Tree, Fate::Keep).unwrap();
        let guard = segment.referent(place.0, place.1).unwrap().lock().unwrap();
        operation
            .retire(guard.root(), Fate::Keep, Fate::Tree)
            .unwrap();
    }
    let guard = segment.referent(place.0, place.1).unwrap().lock().unwrap();
    assert_eq!(guard.root(), word::of_block(kept));
    drop(guard);
    assert_eq!(segment.statistics().blocks, 1);
}

#[test]
fn a_full_segment_is_an_error_and_nothing_else() {
    let (backing, segment) = segment();
    let place = segment.create_referent(5, 0).unwrap();
    put_block(&segment, place, 100);
    let mut operation = segment.begin().unwrap();
    let refused = operation.allocate(CAPACITY, RAW, Fate::Tree, Fate::Keep);
    assert!(
        matches!(refused, Err(Error::OutOfMemory { .. })),
        "{refused:?}"
    );
    drop(operation);
    backing.set_commit_limit(backing.committed());
    let mut operation = segment.begin().unwrap();
    let refused = operation.allocate(2 << 20, RAW, Fate::Tree, Fate::Keep);
    assert!(
        matches!(refused, Err(Error::OutOfMemory { .. })),
        "{refused:?}"
    );
    drop(operation);
    assert_eq!(segment.statistics().blocks, 1);
}

#[test]
fn an_inner_referent_lives_as_long_as_its_edge() {
    let (backing, segment) = segment();
    let outer = segment.create_referent(5, 0).unwrap();
    let inner = segment.create_referent(5, 0).unwrap();
    put_block(&segment, inner, 200);
    let edge = word::of_edge(inner.0, inner.1);
    let mut operation = segment.begin().unwrap();
    operation.edge(edge, Fate::Tree, Fate::Keep).unwrap();
    let guard = segment.referent(outer.0, outer.1).unwrap().lock().unwrap();
    operation.commit(&guard, guard.root_cell(), edge).unwrap();
    drop(guard);
    operation.finish().unwrap();
    segment.release(inner.0, inner.1).unwrap();
    assert_eq!(segment.count_referents(), 2);
    // Somebody reads it out: the lease keeps it although the edge goes.
    let second = other(&backing);
    let guard = second.referent(outer.0, outer.1).unwrap().lock();
    assert!(guard.is_ok());
    let lease = second.lease_edge(edge).unwrap();
    drop(guard);
    segment.release(outer.0, outer.1).unwrap();
    assert_eq!(segment.count_referents(), 1);
    let generation = second.redeem_lease(lease).unwrap();
    assert_eq!(generation, inner.1);
    second.release(inner.0, inner.1).unwrap();
    assert_eq!(segment.count_referents(), 0);
    assert_eq!(segment.statistics().blocks, 0);
}

#[test]
fn a_long_chain_of_referents_is_taken_apart_without_recursion() {
    let (_backing, segment) = segment();
    let mut inner = segment.create_referent(5, 0).unwrap();
    for _ in 0..5_000 {
        let outer = segment.create_referent(5, 0).unwrap();
        let edge = word::of_edge(inner.0, inner.1);
        let mut operation = segment.begin().unwrap();
        operation.edge(edge, Fate::Tree, Fate::Keep).unwrap();
        let guard = segment.referent(outer.0, outer.1).unwrap().lock().unwrap();
        operation.commit(&guard, guard.root_cell(), edge).unwrap();
        drop(guard);
        operation.finish().unwrap();
        segment.release(inner.0, inner.1).unwrap();
        inner = outer;
    }
    assert_eq!(segment.count_referents(), 5_001);
    segment.release(inner.0, inner.1).unwrap();
    assert_eq!(segment.count_referents(), 0);
}

#[test]
fn the_dead_lose_their_holds_locks_and_lanes() {
    let (backing, first) = segment();
    let shared = first.create_referent(5, 0).unwrap();
    let second = other(&backing);
    second.acquire(shared.0, shared.1).unwrap();
    let own = second.create_referent(5, 0).unwrap();
    put_block(&second, own, 300);
    let mut operation = second.begin().unwrap();
    operation
        .allocate(1000, RAW, Fate::Tree, Fate::Keep)
        .unwrap();
    let guard = second.referent(shared.0, shared.1).unwrap().lock().unwrap();
    std::mem::forget(guard);
    std::mem::forget(operation);
    backing.declare_dead(second.own_slot().unwrap());
    std::mem::forget(second);
    // The lock is taken over...
    drop(first.referent(shared.0, shared.1).unwrap().lock().unwrap());
    // ... and the rest reaped.
    assert_eq!(first.reap_dead(), 1);
    assert_eq!(first.count_referents(), 1);
    assert_eq!(first.statistics().blocks, 0);
    assert!(first.lanes_idle());
    first.release(shared.0, shared.1).unwrap();
    assert_eq!(first.count_referents(), 0);
}

#[test]
fn a_commit_that_nobody_noted_counts() {
    let (backing, first) = segment();
    let place = first.create_referent(5, 0).unwrap();
    put_block(&first, place, 10);
    let second = other(&backing);
    second.acquire(place.0, place.1).unwrap();
    let mut operation = second.begin().unwrap();
    let block = operation.allocate(20, RAW, Fate::Tree, Fate::Keep).unwrap();
    let guard = second.referent(place.0, place.1).unwrap().lock().unwrap();
    operation
        .retire(guard.root(), Fate::Keep, Fate::Tree)
        .unwrap();
    operation
        .commit(&guard, guard.root_cell(), word::of_block(block))
        .unwrap();
    std::mem::forget(guard);
    std::mem::forget(operation);
    backing.declare_dead(second.own_slot().unwrap());
    std::mem::forget(second);
    first.reap_dead();
    let guard = first.referent(place.0, place.1).unwrap().lock().unwrap();
    assert_eq!(guard.root(), word::of_block(block));
    drop(guard);
    assert_eq!(first.statistics().blocks, 1);
}

#[test]
fn a_journal_that_was_not_committed_is_taken_back() {
    let (backing, first) = segment();
    let place = first.create_referent(5, 0).unwrap();
    let block = put_block(&first, place, 64);
    let cells: Vec<u64> = (0..4).map(|index| block + 16 + 8 * index).collect();
    for &cell in &cells {
        first.store(cell, 0x10).unwrap();
    }
    let second = other(&backing);
    for (commit, expected) in [(false, 0x10), (true, 0x20)] {
        let mut operation = second.begin().unwrap();
        let journal = operation.allocate_journal(4, 11).unwrap();
        let guard = second.referent(place.0, place.1).unwrap().lock().unwrap();
        operation
            .arm_journal(&guard, journal, cells.iter().copied())
            .unwrap();
        for &cell in &cells {
            second.store(cell, 0x20).unwrap();
        }
        if commit {
            operation.commit_journal(&guard);
        }
        drop(guard);
        drop(operation);
        for &cell in &cells {
            assert_eq!(first.load(cell).unwrap(), expected, "committed: {commit}");
        }
    }
    assert_eq!(first.statistics().blocks, 1);
}

#[test]
fn a_forked_child_holds_what_its_parent_held() {
    let (backing, parent) = segment();
    let place = parent.create_referent(5, 0).unwrap();
    let reservation = parent.prepare_fork([place]).unwrap();
    parent.release(place.0, place.1).unwrap();
    assert_eq!(parent.count_referents(), 1);
    // The child: the same bytes, another process.
    let child = Segment::attach(Box::new(backing.clone())).unwrap();
    assert!(child.adopt_fork(reservation));
    drop(child.referent(place.0, place.1).unwrap().lock().unwrap());
    child.release(place.0, place.1).unwrap();
    assert_eq!(parent.count_referents(), 0);
}

#[test]
fn a_reservation_that_nobody_adopts_is_taken_back() {
    let (backing, parent) = segment();
    let place = parent.create_referent(5, 0).unwrap();
    parent.prepare_fork([place]).unwrap().unwrap();
    parent.release(place.0, place.1).unwrap();
    parent.reap_dead();
    assert_eq!(parent.count_referents(), 1, "a fork may still be under way");
    backing.advance_clock(120);
    assert_eq!(parent.reap_dead(), 1);
    assert_eq!(parent.count_referents(), 0);
}

/// A fork waits a moment only for the locks of what it holds.
#[test]
fn a_reservation_that_was_given_up_is_taken_back_at_once() {
    struct Impatient;

    impl Host for Impatient {
        fn interrupted(&self) -> bool {
            true
        }
    }

    let (backing, parent) = segment();
    parent.set_host(&Impatient);
    let (free, locked) = (
        parent.create_referent(5, 0).unwrap(),
        parent.create_referent(5, 0).unwrap(),
    );
    let second = other(&backing);
    second.acquire(locked.0, locked.1).unwrap();
    let referent = second.referent(locked.0, locked.1).unwrap();
    let guard = referent.lock().unwrap();
    assert_eq!(
        parent.prepare_fork([free, locked]).err(),
        Some(Error::Interrupted)
    );
    drop(guard);
    parent.release(free.0, free.1).unwrap();
    assert_eq!(parent.count_referents(), 2, "held for the child already");
    assert_eq!(second.reap_dead(), 1);
    assert_eq!(second.count_referents(), 1);
}

#[test]
fn lost_leases_run_out() {
    let (backing, segment) = segment();
    let place = segment.create_referent(5, 0).unwrap();
    segment.lease(place.0, place.1).unwrap();
    segment.release(place.0, place.1).unwrap();
    assert_eq!(segment.count_referents(), 1);
    assert_eq!(segment.expire_leases(), 0);
    backing.advance_clock(100_000);
    assert_eq!(segment.expire_leases(), 1);
    assert_eq!(segment.count_referents(), 0);
}

#[test]
fn the_table_of_members_has_an_end() {
    let (backing, _first) = segment();
    let members: Vec<_> = (1..8).map(|_| other(&backing)).collect();
    let late = Segment::attach(Box::new(backing.clone())).unwrap();
    assert_eq!(late.join(), Err(Error::MemberTableFull { limit: 8 }));
    backing.declare_dead(members[3].own_slot().unwrap());
    assert_eq!(members[0].reap_dead(), 1);
    late.join().unwrap();
}

#[test]
fn memory_of_big_free_runs_goes_back() {
    let backing = HeapBacking::new(64 << 20);
    let segment = Segment::create(Box::new(backing.clone()), &options()).unwrap();
    let place = segment.create_referent(5, 0).unwrap();
    put_block(&segment, place, 40 << 20);
    let full = segment.statistics().backed;
    put_block(&segment, place, 16);
    assert!(segment.trim().unwrap() >= 32 << 20);
    assert!(segment.statistics().backed < full / 4);
    put_block(&segment, place, 40 << 20);
    assert_eq!(segment.statistics().blocks, 1);
}

#[test]
fn memory_of_small_blocks_serves_large_ones_again() {
    let (_backing, segment) = segment();
    let holders: Vec<_> = (0..500)
        .map(|_| {
            let place = segment.create_referent(5, 0).unwrap();
            put_block(&segment, place, 4_000);
            place
        })
        .collect();
    for place in holders {
        segment.release(place.0, place.1).unwrap();
    }
    let place = segment.create_referent(5, 0).unwrap();
    put_block(&segment, place, 2 << 20);
}

#[test]
fn another_layout_is_refused() {
    let (backing, segment) = segment();
    segment.store(0x10, 1).unwrap();
    let refused = Segment::attach(Box::new(backing)).map(drop);
    assert!(
        matches!(refused, Err(Error::LayoutMismatch { .. })),
        "{refused:?}"
    );
}

#[test]
fn threads_share_one_member() {
    let (_backing, segment) = segment();
    let place = segment.create_referent(5, 0).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for round in 0..500 {
                    put_block(&segment, place, round * 7 % 900);
                }
            });
        }
    });
    assert_eq!(segment.statistics().blocks, 1);
    assert!(segment.lanes_idle());
}

#[test]
fn a_reader_that_dies_before_adopting_leaves_nothing() {
    let (backing, first) = segment();
    let outer = first.create_referent(5, 0).unwrap();
    let inner = first.create_referent(5, 0).unwrap();
    let edge = word::of_edge(inner.0, inner.1);
    let mut operation = first.begin().unwrap();
    operation.edge(edge, Fate::Tree, Fate::Keep).unwrap();
    let guard = first.referent(outer.0, outer.1).unwrap().lock().unwrap();
    operation.commit(&guard, guard.root_cell(), edge).unwrap();
    drop(guard);
    operation.finish().unwrap();
    first.release(inner.0, inner.1).unwrap();
    let second = other(&backing);
    let guard = second.referent(outer.0, outer.1).unwrap().lock().unwrap();
    second.lease_edge(edge).unwrap();
    drop(guard);
    first.release(outer.0, outer.1).unwrap();
    assert_eq!(first.count_referents(), 1, "the reader may still adopt it");
    backing.declare_dead(second.own_slot().unwrap());
    std::mem::forget(second);
    assert_eq!(first.reap_dead(), 1);
    assert_eq!(first.count_referents(), 0);
}

#[test]
fn more_edges_than_cells_can_be_adopted_at_once() {
    let (backing, first) = segment();
    let places: Vec<_> = (0..20)
        .map(|_| first.create_referent(5, 0).unwrap())
        .collect();
    let second = other(&backing);
    let leases: Vec<_> = places
        .iter()
        .map(|place| second.lease_edge(word::of_edge(place.0, place.1)).unwrap())
        .collect();
    for (number, &place) in places.iter().enumerate() {
        first.release(place.0, place.1).unwrap();
        assert_eq!(first.count_referents(), 20 - number as u64 / 2);
        if number % 2 == 0 {
            second.redeem_lease(leases[number]).unwrap();
        } else {
            second.drop_lease(leases[number]).unwrap();
        }
    }
    assert_eq!(first.count_referents(), 10);
}

#[test]
fn a_reservation_keeps_others_waiting_until_it_ends() {
    let (backing, first) = segment();
    let place = first.create_referent(5, 0).unwrap();
    let second = other(&backing);
    second.acquire(place.0, place.1).unwrap();
    let referent = first.referent(place.0, place.1).unwrap();
    let reserved = referent.reserve().unwrap().expect("nobody else has it");
    assert!(referent.reserve().unwrap().is_none(), "it is ours already");
    drop(referent.lock().unwrap());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            drop(second.referent(place.0, place.1).unwrap().lock().unwrap());
        });
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(!waiter.is_finished());
        drop(reserved);
        waiter.join().unwrap();
    });
}

#[test]
fn a_reservation_of_the_dead_or_of_long_ago_holds_nobody_up() {
    let (backing, first) = segment();
    let place = first.create_referent(5, 0).unwrap();
    let second = other(&backing);
    second.acquire(place.0, place.1).unwrap();
    std::mem::forget(
        second
            .referent(place.0, place.1)
            .unwrap()
            .reserve()
            .unwrap(),
    );
    backing.advance_clock(1_000);
    drop(first.referent(place.0, place.1).unwrap().lock().unwrap());
    std::mem::forget(
        second
            .referent(place.0, place.1)
            .unwrap()
            .reserve()
            .unwrap(),
    );
    backing.declare_dead(second.own_slot().unwrap());
    drop(first.referent(place.0, place.1).unwrap().lock().unwrap());
}
