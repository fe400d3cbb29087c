//! What happens to handles and holds when a process forks.
#![allow(clippy::disallowed_types, reason = "a test tells its threads to stop")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use coheld::{Attachment, Error, Handle, Manager, SegmentOptions};
use support::{Child, eventually, fork, sleep_for_ever, turn};

const LIST: u8 = 1;

fn manager() -> Manager {
    let options = SegmentOptions {
        capacity: 1 << 30,
        ..SegmentOptions::default()
    };
    Manager::start_with(&options).unwrap()
}

fn works(handle: &Handle, auxiliary: u64) -> bool {
    handle.referent().unwrap().lock().unwrap().auxiliary() == auxiliary
}

#[test]
fn a_child_is_a_member_from_its_first_instruction() {
    let _turn = turn();
    let manager = manager();
    let handle = Handle::create(manager.attachment(), LIST, 7).unwrap();
    let own_slot = manager.attachment().segment().own_slot();
    let child = fork(|| {
        let slot = manager.attachment().segment().own_slot();
        slot.is_some() && slot != own_slot && works(&handle, 7)
    });
    assert!(child.said_yes().unwrap());
    assert!(works(&handle, 7));
}

#[test]
fn a_child_keeps_what_its_parent_lets_go() {
    let _turn = turn();
    let manager = manager();
    let segment = manager.attachment().segment();
    let handle = Handle::create(manager.attachment(), LIST, 7).unwrap();
    let (mut reports, mut report) = std::io::pipe().unwrap();
    let child = fork(|| {
        // Until the parent has let go.
        std::io::Read::read_exact(&mut reports, &mut [0]).unwrap();
        let held = works(&handle, 7);
        drop(handle.clone());
        held && works(&handle, 7)
    });
    drop(handle);
    assert_eq!(segment.count_referents(), 1);
    std::io::Write::write_all(&mut report, b"x").unwrap();
    assert!(child.said_yes().unwrap());
    assert!(eventually(|| segment.count_referents() == 0));
}

#[test]
fn generations_of_children_each_hold_for_themselves() {
    let _turn = turn();
    let manager = manager();
    let segment = manager.attachment().segment();
    let handle = Handle::create(manager.attachment(), LIST, 7).unwrap();
    let child = fork(|| {
        let grandchild = fork(|| {
            let great_grandchild = fork(|| works(&handle, 7));
            great_grandchild.said_yes().unwrap() && works(&handle, 7)
        });
        grandchild.said_yes().unwrap() && works(&handle, 7)
    });
    assert!(child.said_yes().unwrap());
    drop(handle);
    assert!(eventually(
        || segment.count_referents() == 0 && segment.count_members() == 1
    ));
}

#[test]
fn forks_in_the_middle_of_everything_leave_working_children() {
    let _turn = turn();
    let manager = manager();
    let attachment = manager.attachment();
    let kept = Handle::create(attachment, LIST, 7).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| churn(attachment, &kept, &stop));
        }
        for _ in 0..60 {
            let child = fork(|| {
                let mine = Handle::create(attachment, LIST, 8).unwrap();
                let held = works(&kept.clone(), 7) && works(&mine, 8);
                held && Attachment::find(&attachment.segment_id()).is_some()
            });
            assert!(child.said_yes().unwrap());
        }
        stop.store(true, Ordering::Relaxed);
    });
    let segment = attachment.segment();
    assert!(eventually(
        || segment.count_referents() == 1 && segment.count_members() == 1
    ));
}

/// Makes and drops handles, so that a fork meets every lock there is.
fn churn(attachment: &Arc<Attachment>, kept: &Handle, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let handle = Handle::create(attachment, LIST, 1).unwrap();
        let copy = Handle::acquire(attachment, handle.offset(), handle.generation()).unwrap();
        let token = copy.token().unwrap();
        drop(handle);
        drop(copy);
        drop(Handle::redeem_token(attachment, &token).unwrap());
        drop(kept.clone());
    }
}

#[test]
fn killed_children_leave_nothing_behind() {
    let _turn = turn();
    let manager = manager();
    let segment = manager.attachment().segment();
    let handles: Vec<_> = (0..20)
        .map(|_| Handle::create(manager.attachment(), LIST, 0).unwrap())
        .collect();
    let children: Vec<_> = (0..5).map(|_| fork(sleep_for_ever)).collect();
    assert!(eventually(|| segment.count_members() == 6));
    drop(handles);
    assert_eq!(segment.count_referents(), 20);
    for child in children {
        child.kill().unwrap();
    }
    assert!(eventually(
        || segment.count_referents() == 0 && segment.count_members() == 1
    ));
}

#[test]
fn a_child_forked_behind_our_back_joins_by_itself() {
    let _turn = turn();
    let manager = manager();
    let segment = manager.attachment().segment();
    let handle = Handle::create(manager.attachment(), LIST, 7).unwrap();
    // Straight to the kernel, as some programs do: no handler runs.
    let child = Child::fork_without_handlers(|| {
        let unknown = segment.own_slot().is_none();
        unknown && works(&handle, 7) && segment.own_slot().is_some()
    })
    .unwrap();
    assert!(child.said_yes().unwrap());
    assert!(works(&handle, 7));
}

#[test]
fn a_full_member_table_is_an_error_in_the_child_and_nothing_worse() {
    let _turn = turn();
    let options = SegmentOptions {
        capacity: 1 << 30,
        member_limit: 1,
        ..SegmentOptions::default()
    };
    let manager = Manager::start_with(&options).unwrap();
    let handle = Handle::create(manager.attachment(), LIST, 7).unwrap();
    let child = fork(|| {
        let refused = handle.referent().map(drop).unwrap_err();
        matches!(
            refused,
            Error::Shm(coheld_shm::Error::MemberTableFull { limit: 1 })
        )
    });
    assert!(child.said_yes().unwrap());
    assert!(works(&handle, 7));
}

#[test]
fn a_child_that_leaves_holds_nothing_until_it_comes_back() {
    let _turn = turn();
    let manager = manager();
    let segment = manager.attachment().segment();
    let kept = Handle::create(manager.attachment(), LIST, 7).unwrap();
    let dropped = Handle::create(manager.attachment(), LIST, 8).unwrap();
    let (mut orders, mut order) = std::io::pipe().unwrap();
    let child = fork(|| {
        coheld::leave_all();
        std::io::Read::read_exact(&mut orders, &mut [0]).unwrap();
        works(&kept, 7) && dropped.referent().unwrap().lock().is_err()
    });
    drop(dropped);
    assert!(eventually(|| segment.count_referents() == 1));
    assert!(eventually(|| segment.count_members() == 1));
    std::io::Write::write_all(&mut order, b"x").unwrap();
    assert!(child.said_yes().unwrap());
}
