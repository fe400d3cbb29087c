//! What users of the crate may rely on whatever version they have: which types cross threads, what
//! errors are, and that no argument makes a method panic.
//!
//! Most of it is checked by the compiler: that this file compiles is the test.

use std::error::Error as StdError;
use std::fmt::{Debug, Display};
use std::time::{Duration, Instant};

use coheld::exposed::{Locked, Streamed, Unlocked};
use coheld::hosted::{Host, Leases, Reply};
use coheld::observe::{Mended, Observation, Source};
use coheld::process::JoinHandle;
use coheld::proxy::Items;
use coheld::server::{Builder, Creation, Ending, Stopper};
use coheld::{
    Address, ArrayProxy, Attachment, BarrierProxy, BigInt, Bytes, ConditionGuard, ConditionProxy,
    DictProxy, Error, EventProxy, Exception, Handle, Interface, Kind, ListProxy, LockGuard,
    LockProxy, Manager, NamespaceProxy, Permit, Pickle, Proxy, QueueProxy, RLockGuard, RLockProxy,
    Raised, SegmentOptions, SemaphoreProxy, Server, SetProxy, Slice, StoreError, Token, Value,
    ValueError, ValueProxy, Wait,
};

fn crosses_threads<T: Send + Sync>() {}

fn is_error<T: StdError + Send + Sync + 'static>() {}

fn is_written<T: Debug + Display>() {}

/// A type that is neither `Send` nor `Sync`.
type OfOneThread = std::rc::Rc<u8>;

#[test]
fn what_programs_hold_crosses_threads() {
    crosses_threads::<ArrayProxy<f64>>();
    crosses_threads::<BarrierProxy>();
    crosses_threads::<ConditionProxy>();
    crosses_threads::<EventProxy>();
    crosses_threads::<LockProxy>();
    crosses_threads::<NamespaceProxy>();
    crosses_threads::<Proxy>();
    crosses_threads::<RLockProxy>();
    crosses_threads::<SemaphoreProxy>();
    // Whatever is in a shared object: the proxy has none of it.
    crosses_threads::<DictProxy<OfOneThread, OfOneThread>>();
    crosses_threads::<ListProxy<OfOneThread>>();
    crosses_threads::<QueueProxy<OfOneThread>>();
    crosses_threads::<Items<'_, OfOneThread>>();
    crosses_threads::<SetProxy<OfOneThread>>();
    crosses_threads::<ValueProxy<OfOneThread>>();
    crosses_threads::<Streamed<OfOneThread>>();
    crosses_threads::<JoinHandle<OfOneThread>>();

    crosses_threads::<Manager>();
    crosses_threads::<Server>();
    crosses_threads::<Builder>();
    crosses_threads::<Creation>();
    crosses_threads::<Stopper>();
    crosses_threads::<Attachment>();
    crosses_threads::<Handle>();
    crosses_threads::<Host>();
    crosses_threads::<Leases>();
    crosses_threads::<Reply>();
    crosses_threads::<Locked<String>>();
    crosses_threads::<Unlocked<String>>();
    crosses_threads::<Observation>();
    crosses_threads::<Mended>();
    crosses_threads::<Source>();

    crosses_threads::<Value>();
    crosses_threads::<Pickle>();
    crosses_threads::<BigInt>();
    crosses_threads::<Bytes>();
    crosses_threads::<Token>();
    crosses_threads::<Address>();
    crosses_threads::<SegmentOptions>();
    crosses_threads::<Interface>();
    crosses_threads::<Kind>();
}

/// What every type is in one way, and a type that is `Send` in two: of such a one it is not clear
/// which of the two `is_not` is meant, and the compiler refuses it.
trait IsSend<Way> {
    fn is_not() {}
}

struct InAnotherWay;

impl<T: ?Sized> IsSend<()> for T {}
impl<T: ?Sized + Send> IsSend<InAnotherWay> for T {}

/// The same for `Sync`.
trait IsSync<Way> {
    fn is_not() {}
}

impl<T: ?Sized> IsSync<()> for T {}
impl<T: ?Sized + Sync> IsSync<InAnotherWay> for T {}

#[test]
fn guards_go_where_they_can_be_given_back() {
    // Anybody may release a lock or give a permit back.
    crosses_threads::<LockGuard<'_>>();
    crosses_threads::<Permit<'_>>();

    // A re-entrant lock is released by the thread that has it, and a condition has such a one as a
    // rule; so their guards neither move to other threads nor are shared with them.
    <RLockGuard<'_> as IsSend<_>>::is_not();
    <ConditionGuard<'_> as IsSend<_>>::is_not();
    <RLockGuard<'_> as IsSync<_>>::is_not();
    <ConditionGuard<'_> as IsSync<_>>::is_not();
}

fn fails() -> Result<(), Box<dyn StdError + Send + Sync>> {
    Manager::start()?.list::<i64>()?.get(7)?;
    Ok(())
}

#[test]
fn errors_go_into_any_box() {
    is_error::<Error>();
    is_error::<ValueError>();
    is_error::<StoreError>();
    is_written::<Raised>();
    is_written::<Exception>();
    let error = fails().unwrap_err();
    let error = error.downcast_ref::<Error>().unwrap();
    assert!(error.is_missing());
    assert!(error.source().is_some_and(<dyn StdError>::is::<StoreError>));
}

/// Whether a value is one of the cases that this version has, which are all given.
macro_rules! is_known {
    ($value:expr, $cases:pat) => {
        match $value {
            $cases => true,
            // Refused where there can be no others, now or later.
            _ => panic!("it is of a later version"),
        }
    };
}

#[deny(unreachable_patterns)]
#[test]
fn enums_that_may_grow_say_so() {
    use coheld::Value as V;
    use coheld::ValueError as E;
    assert!(is_known!(
        V::None,
        V::None
            | V::Bool(_)
            | V::Int(_)
            | V::BigInt(_)
            | V::Float(_)
            | V::Str(_)
            | V::Surrogates(_)
            | V::Bytes(_)
            | V::Tuple(_)
            | V::List(_)
            | V::Dict(_)
            | V::Set(_)
            | V::Slice(_)
            | V::Proxy(_)
            | V::Pickle(_)
    ));
    assert!(is_known!(
        E::OtherManager,
        E::Mismatch(_)
            | E::Unwritable(_)
            | E::NotHashable { .. }
            | E::OnlyPythonCanHash
            | E::OtherManager
            | E::TooDeep { .. }
    ));
    assert!(is_known!(
        Source::Process(1),
        Source::Manager(_) | Source::Process(_)
    ));
    assert!(is_known!(
        Ending::Stopped,
        Ending::Stopped | Ending::CreatorGone
    ));
    for kind in Kind::ALL {
        assert!(is_known!(
            kind,
            Kind::List
                | Kind::Dict
                | Kind::Set
                | Kind::Namespace
                | Kind::Value
                | Kind::Array
                | Kind::Lock
                | Kind::RLock
                | Kind::Semaphore
                | Kind::BoundedSemaphore
                | Kind::Event
                | Kind::Condition
                | Kind::Barrier
                | Kind::Queue
                | Kind::JoinableQueue
                | Kind::Hosted
        ));
    }
}

#[test]
fn errors_may_grow_too() {
    // They have too many cases to give them all.
    for (source, name) in [
        (include_str!("../src/error/mod.rs"), "Error"),
        (include_str!("../src/call/raised.rs"), "Exception"),
        (
            include_str!("../../coheld-store/src/error.rs"),
            "StoreError",
        ),
    ] {
        let begins = format!("#[non_exhaustive]\npub enum {name} {{");
        assert!(source.contains(&begins), "{name}");
    }
}

#[test]
fn what_is_written_for_debugging_has_no_key_in_it() {
    let manager = Manager::start().unwrap();
    let name = format!("coheld api test {}", std::process::id());
    let builder = Server::builder(Address::Abstract(name.into()), manager.authkey());
    let server = builder.bind().unwrap();
    let numbers = format!("{:?}", manager.authkey());
    let numbers = numbers.trim_matches(['[', ']']);
    for text in [
        format!("{manager:?}"),
        format!("{builder:?}"),
        format!("{server:?} {:?}", server.stopper()),
        format!("{:?}", manager.attachment()),
    ] {
        assert!(!text.contains(numbers), "{text}");
        assert!(!text.contains(&manager.authkey_text()), "{text}");
    }
}

const EXTREMES: [i64; 7] = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];

#[test]
fn no_index_and_no_slice_is_too_much() {
    let manager = Manager::start().unwrap();
    let (list, array) = (manager.list().unwrap(), manager.array(&[1_i64, 2]).unwrap());
    list.extend([1_i64, 2]).unwrap();
    for index in EXTREMES {
        let _ = (list.get(index), list.set(index, &1), array.get(index));
        let _ = array.set(index, 1);
        assert_eq!(list.get(index).is_ok(), array.get(index).is_ok(), "{index}");
        for other in EXTREMES {
            assert_eq!(
                list.slice(index, other).unwrap(),
                array.slice(index, other).unwrap()
            );
            for step in EXTREMES {
                let slice = Slice {
                    start: Some(index),
                    stop: Some(other),
                    step: Some(step),
                };
                let both = (list.slice_by(slice), array.slice_by(slice));
                assert_eq!(both.0.is_ok(), step != 0);
                assert_eq!(both.0.ok(), both.1.ok(), "{slice:?}");
            }
        }
    }
    for index in EXTREMES {
        list.insert(index, &7).unwrap();
        list.remove(index).ok();
    }
}

/// The sorts of the standard library panic over comparisons that contradict each other, if they
/// notice.
#[test]
fn no_comparison_is_too_odd() {
    let manager = Manager::start().unwrap();
    let list = manager.list::<Value>().unwrap();
    let numbers = |count: i64| (0..count).map(move |number| 7919 * number % count);
    let with_nans = numbers(1000).map(|number| match number % 3 {
        0 => Value::from(f64::NAN),
        _ => Value::from(number),
    });
    list.replace(with_nans).unwrap();
    list.call_method("sort", &[]).unwrap();
    assert_eq!(list.len().unwrap(), 1000);

    let mixed = numbers(1000).map(|number| match number % 2 {
        0 => Value::from(number.to_string()),
        _ => Value::from(number),
    });
    list.replace(mixed).unwrap();
    let before = list.to_vec().unwrap();
    let error = list.call_method("sort", &[]).unwrap_err();
    assert_eq!(error.exception(), Exception::TypeError);
    assert_eq!(list.to_vec().unwrap(), before);

    let list = manager.list::<i64>().unwrap();
    list.extend(numbers(1000)).unwrap();
    let mut seed = 1_u64;
    list.sort_by(|_, _| {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (seed >> 33).cmp(&(1 << 30))
    })
    .unwrap();
    list.sort().unwrap();
    assert_eq!(list.to_vec().unwrap(), (0..1000).collect::<Vec<_>>());
}

#[test]
fn no_number_is_too_much() {
    let manager = Manager::start().unwrap();
    for permits in [0, 1, u64::MAX / 2, u64::MAX] {
        for made in [
            manager.semaphore(permits),
            manager.bounded_semaphore(permits),
        ] {
            let Ok(semaphore) = made else { continue };
            let _ = (semaphore.release(u64::MAX), semaphore.release(0));
            semaphore.try_acquire().unwrap();
        }
        if let Ok(barrier) = manager.barrier(permits) {
            let _ = barrier.wait_for(Duration::ZERO);
        }
    }
    for maxsize in [0, 1, usize::MAX / 2, usize::MAX] {
        let Ok(queue) = manager.queue::<i64>(maxsize) else {
            continue;
        };
        assert!(queue.try_put(&1).unwrap());
        assert_eq!(queue.try_get().unwrap(), Some(1));
    }
    let counter = manager.value(&i64::MAX).unwrap();
    assert!(counter.increment(1).is_err());
    assert_eq!(counter.get().unwrap(), i64::MAX);
    let condition = manager.condition().unwrap();
    let guard = condition.lock().unwrap();
    condition.notify(u64::MAX).unwrap();
    drop(guard);
}

#[test]
fn no_time_is_too_long() {
    let manager = Manager::start().unwrap();
    let event = manager.event().unwrap();
    event.set().unwrap();
    let lock = manager.lock().unwrap();
    let queue = manager.queue(0).unwrap();
    for time in [Duration::ZERO, Duration::MAX] {
        assert!(event.wait_for(time).unwrap());
        assert!(lock.lock_for(time).unwrap().is_some());
        assert!(queue.put_for(&1, time).unwrap());
        assert_eq!(queue.get_for(time).unwrap(), Some(1));
        assert!(lock.acquire(Wait::for_duration(time)).unwrap().is_some());
        lock.release().unwrap();
    }
    let past = Instant::now();
    assert!(event.wait_until(past).unwrap());
    event.clear().unwrap();
    assert!(!event.wait_until(past).unwrap());
}

#[test]
fn no_options_are_too_much() {
    for capacity in [0, 1, 4096, 1 << 20, u64::MAX / 2, u64::MAX] {
        for member_limit in [0, 1, 1024, 1025, u32::MAX] {
            let options = SegmentOptions {
                capacity,
                member_limit,
                ..SegmentOptions::default()
            };
            if let Ok(manager) = Manager::start_with(&options) {
                let _ = manager.list::<i64>().map(|list| list.append(&1));
            }
        }
    }
    for limit in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        let options = SegmentOptions {
            call_limit: Some(limit),
            ..SegmentOptions::default()
        };
        Manager::start_with(&options).unwrap().event().unwrap();
    }
}

#[test]
fn no_text_is_too_odd() {
    let id = "ab".repeat(16);
    for text in [
        "",
        " ",
        ":",
        "tcp:::::",
        "tcp:a:99999999999999999999",
        "unix:%",
        "abstract:%e",
        "coheld1",
        &format!("coheld1 {id} 1 ffffffffffffffff 1 unix:/x"),
        &format!("coheld1 {id} 1 10 ffffffffff unix:/x"),
        "\u{1F980}:\u{0}",
        "Queue:99999999999999999999999",
        "Array:\u{E9}:1",
        "Array:d:-1",
    ] {
        let _ = (text.parse::<Address>(), text.parse::<Token>());
        let _ = (text.parse::<Creation>(), coheld::observe::id_of(text));
    }
    // A token of a place that nothing is at, or that something else is at.
    let manager = Manager::start().unwrap();
    let event = manager.event().unwrap();
    let token = event.token().unwrap();
    for offset in [0, 16, token.offset + 16, (1 << 48) - 16] {
        for generation in [0, token.generation, u32::MAX] {
            let token = Token {
                offset,
                generation,
                ..token.clone()
            };
            assert!(ListProxy::<i64>::from_token(&token, manager.authkey()).is_err());
            let _ = Proxy::from_token(&token, manager.authkey());
        }
    }
    event.set().unwrap();
}

#[test]
fn no_call_is_too_odd() {
    let manager = Manager::start().unwrap();
    let proxies: Vec<Proxy> = vec![
        manager.list::<Value>().unwrap().into(),
        manager.dict::<Value, Value>().unwrap().into(),
        manager.set::<Value>().unwrap().into(),
        manager.namespace().unwrap().into(),
        manager.value(&1).unwrap().into(),
        manager.array(&[1.5]).unwrap().into(),
        manager.event().unwrap().into(),
        manager.lock().unwrap().into(),
        manager.semaphore(1).unwrap().into(),
        manager.barrier(1).unwrap().into(),
        manager.queue::<Value>(1).unwrap().into(),
    ];
    let slice = Slice {
        start: Some(i64::MIN),
        stop: Some(i64::MAX),
        step: Some(i64::MIN),
    };
    let arguments = [
        Value::None,
        Value::from(i64::MIN),
        Value::from(u128::MAX),
        Value::from(f64::NAN),
        Value::from("\u{1F980}"),
        Value::Surrogates(vec![0xed, 0xa0, 0x80]),
        Value::Surrogates(vec![0xff, 0x80]),
        Value::BigInt(BigInt::from_bytes(&[])),
        Value::Slice(slice),
        Value::Pickle(Pickle::new(vec![0x80, 5, 0xff])),
        Value::Pickle(Pickle::new(Vec::new())),
        Value::Tuple(vec![Value::None; 3]),
        Value::from(proxies[0].clone()),
    ];
    // None of these can wait.
    let methods = [
        "",
        "__getitem__",
        "__delitem__",
        "__contains__",
        "__len__",
        "append",
        "index",
        "count",
        "insert",
        "pop",
        "remove",
        "get",
        "setdefault",
        "update",
        "popitem",
        "add",
        "discard",
        "__getattribute__",
        "__delattr__",
        "increment",
        "is_set",
        "locked",
        "qsize",
        "sort",
        "__imul__",
        "no such method",
        "\u{0}",
    ];
    for proxy in &proxies {
        // A queue's `get` would wait for an item.
        let waits = |method: &str| method == "get" && proxy.kind() == Kind::Queue;
        for method in methods.iter().filter(|method| !waits(method)) {
            let _ = proxy.call_method(method, &[]);
            for argument in &arguments {
                let _ = proxy.call_method(method, std::slice::from_ref(argument));
            }
            let few = [Value::from(-1), Value::None];
            let _ = proxy.call_method(method, &few);
        }
        proxy.value().ok();
    }
}
