//! Coming and going.

use coheld_store::kinds::referent as kind;
use shuttle::thread::scope;

use crate::{World, check, wait_until};

#[test]
fn two_reapers_leave_a_newcomer_alone() {
    check(|| {
        let world = World::new(4, kind::LIST, 0);
        let [first, second, newcomer] = [0, 1, 3].map(|number| &world.members[number]);
        // Its slot is the only one that it can get back.
        newcomer.leave();
        scope(|scope| {
            scope.spawn(|| first.reap_dead());
            scope.spawn(|| second.reap_dead());
            wait_until(|| newcomer.join().is_ok());
            newcomer.acquire(world.place.0, world.place.1).unwrap();
        });
        let tag = newcomer.own_tag().unwrap();
        assert!(first.is_current_member(tag), "the newcomer was reaped");
        assert_eq!(first.members()[3].holds, 1, "what it holds was taken away");
    });
}
