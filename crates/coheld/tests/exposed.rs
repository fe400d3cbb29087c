//! Types of a program as shared objects, within one process: what methods take, return and raise.
#![allow(clippy::disallowed_types, reason = "tests count what threads see")]

mod support;

use std::collections::BTreeMap;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake};
use std::thread;

use coheld::exposed::ExposedProxy as _;
use coheld::{DictProxy, Error, Exception, ListProxy, Manager, Proxy, Value};
use serde::{Deserialize, Serialize};
use support::eventually;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: i64,
    y: i64,
}

#[derive(Debug)]
struct Division {
    by: i64,
}

impl fmt::Display for Division {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "cannot divide by {}", self.by)
    }
}

impl std::error::Error for Division {}

#[derive(Default)]
struct Maths {
    /// Two calls meet here.
    meeting: Option<Barrier>,
    dropped: Option<Arc<AtomicBool>>,
}

impl Drop for Maths {
    fn drop(&mut self) {
        if let Some(dropped) = &self.dropped {
            dropped.store(true, Ordering::Relaxed);
        }
    }
}

#[coheld::expose]
impl Maths {
    /// The sum.
    pub fn add(&self, x: i64, y: i64) -> i64 {
        x + y
    }

    /// The first one by the second one.
    pub fn divide(&self, x: i64, y: i64) -> Result<i64, Division> {
        x.checked_div(y).ok_or(Division { by: y })
    }

    pub fn moved(&self, point: &Point, by: Option<i64>) -> Point {
        let by = by.unwrap_or(1);
        Point {
            x: point.x + by,
            y: point.y + by,
        }
    }

    pub fn join(&self, words: &[String], between: &str) -> String {
        words.join(between)
    }

    pub fn counted(&self, words: Vec<String>) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for word in words {
            *counts.entry(word).or_default() += 1;
        }
        counts
    }

    pub fn r#type(&self) -> String {
        "maths".to_owned()
    }

    pub fn nothing(&self) {}

    pub fn any(&self, mut value: Value) -> Value {
        if let Value::List(items) = &mut value {
            items.push(Value::None);
        }
        value
    }

    pub fn fails_oddly(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Err("odd".into())
    }

    pub fn first(&self, list: &ListProxy<i64>) -> coheld::Result<i64> {
        list.get(0)
    }

    pub fn panics(&self) -> i64 {
        panic!("no number is like that")
    }

    pub fn meets(&self) -> bool {
        self.meeting
            .as_ref()
            .is_some_and(|it| it.wait().is_leader())
    }

    #[expose(skip)]
    pub fn new() -> Self {
        Self::default()
    }

    fn private(&self) -> i64 {
        1
    }

    #[expect(dead_code, reason = "it is to be no method of the proxy")]
    pub(crate) fn of_the_crate(&self) -> i64 {
        self.private()
    }
}

#[track_caller]
fn raised(result: Result<impl fmt::Debug, Error>) -> (Exception, String) {
    match result {
        Err(Error::Raised(raised)) => (raised.exception, raised.message),
        other => panic!("it raised nothing: {other:?}"),
    }
}

#[test]
fn a_proxy_has_the_methods_of_its_object() {
    let manager = Manager::start().unwrap();
    let maths: MathsProxy = manager.share(Maths::new()).unwrap();
    assert_eq!(maths.add(2, 3).unwrap(), 5);
    assert_eq!(maths.divide(7, 2).unwrap(), 3);
    let point = Point { x: 1, y: 2 };
    let moved = maths.moved(&point, Some(5)).unwrap();
    assert_eq!(moved, Point { x: 6, y: 7 });
    assert_eq!(maths.moved(&point, None).unwrap(), Point { x: 2, y: 3 });
    let words = ["a", "b", "a"].map(String::from);
    assert_eq!(maths.join(&words, "-").unwrap(), "a-b-a");
    assert_eq!(maths.counted(words.into()).unwrap()["a"], 2);
    assert_eq!(maths.r#type().unwrap(), "maths");
    maths.nothing().unwrap();
    let list = Value::List(vec![1.into()]);
    let longer = Value::List(vec![1.into(), Value::None]);
    assert_eq!(maths.any(list).unwrap(), longer);
}

#[test]
fn the_methods_are_called_by_name_too_with_arguments_by_place() {
    let manager = Manager::start().unwrap();
    let maths = manager.share(Maths::new()).unwrap();
    let proxy = maths.as_proxy();
    let sum = proxy.call_method("add", &[2.into(), 3.into()]).unwrap();
    assert_eq!(sum, Value::Int(5));
    assert_eq!(proxy.call_method("type", &[]).unwrap(), "maths".into());
    for (method, arguments, expected) in [
        ("add", &[1.into()][..], "missing a required argument: 'y'"),
        (
            "add",
            &[1.into(), 2.into(), 3.into()],
            "takes 2 arguments, but 3 were given",
        ),
        (
            "add",
            &[1.into(), "b".into()],
            "takes as 'y' a value of the type `i64`, and got str: invalid type: string \"b\", \
             expected i64",
        ),
        (
            "join",
            &[1.into(), "b".into()],
            "takes as 'words' a value of the type `&[String]`, and got int: invalid type: integer \
             `1`, expected a sequence",
        ),
    ] {
        let (exception, message) = raised(proxy.call_method(method, arguments));
        assert_eq!(exception, Exception::TypeError);
        assert_eq!(message, format!("Maths.{method}() {expected}"));
    }
}

#[test]
fn what_is_not_exposed_cannot_be_called() {
    let manager = Manager::start().unwrap();
    let maths = manager.share(Maths::new()).unwrap();
    let exposed = maths.as_proxy().interface().unwrap();
    assert_eq!(exposed.name(), "Maths");
    assert!(exposed.methods().iter().any(|name| name == "add"));
    for name in ["new", "private", "of_the_crate", "drop", "__class__"] {
        assert!(!exposed.methods().iter().any(|known| known == name));
        let (exception, message) = raised(maths.as_proxy().call_method(name, &[]));
        assert_eq!(exception, Exception::AttributeError);
        let expected = format!("'Maths' object exposes no method '{name}': it has add, divide, ");
        assert!(message.starts_with(&expected), "{message}");
    }
    let text = maths.as_proxy().call_method("__str__", &[]).unwrap();
    let expected = format!("<Maths object of process {}>", std::process::id());
    assert_eq!(text, expected.into());
    let (exception, message) = raised(maths.as_proxy().value());
    assert_eq!(exception, Exception::TypeError);
    assert_eq!(message, "a Maths of a Rust program cannot be copied");
}

#[test]
fn errors_say_their_type_and_their_text() {
    let manager = Manager::start().unwrap();
    let maths = manager.share(Maths::new()).unwrap();
    let (exception, message) = raised(maths.divide(1, 0));
    assert_eq!(exception, Exception::Other);
    assert_eq!(message, "Division: cannot divide by 0");
    let (_, message) = raised(maths.fails_oddly());
    assert_eq!(message, "Box<dyn Error + Send + Sync>: odd");
    // An error of this crate is the same for the caller.
    let list = manager.list::<i64>().unwrap();
    assert_eq!(raised_exception(maths.first(&list)), Exception::IndexError);
    list.append(&7).unwrap();
    assert_eq!(maths.first(&list).unwrap(), 7);
}

fn raised_exception<T>(result: Result<T, Error>) -> Exception {
    match result {
        Ok(_) => panic!("it raised nothing"),
        Err(error) => error.exception(),
    }
}

#[test]
fn a_panic_is_an_error_of_the_caller_and_nothing_else() {
    let manager = Manager::start().unwrap();
    let maths = manager.share(Maths::new()).unwrap();
    let (exception, message) = raised(maths.panics());
    assert_eq!(exception, Exception::RemoteError);
    assert_eq!(message, "Maths.panics() panicked: no number is like that");
    assert_eq!(maths.add(1, 1).unwrap(), 2);
}

#[test]
fn methods_that_only_read_run_at_the_same_time() {
    let manager = Manager::start().unwrap();
    let maths = manager.share(Maths {
        meeting: Some(Barrier::new(2)),
        dropped: None,
    });
    let maths = maths.unwrap();
    thread::scope(|scope| {
        let other = scope.spawn(|| maths.meets().unwrap());
        assert_ne!(maths.meets().unwrap(), other.join().unwrap());
    });
}

#[test]
fn an_object_goes_with_its_last_proxy() {
    let manager = Manager::start().unwrap();
    let dropped = Arc::new(AtomicBool::new(false));
    let maths = manager.share(Maths {
        meeting: None,
        dropped: Some(Arc::clone(&dropped)),
    });
    let maths = maths.unwrap();
    let other = maths.clone();
    assert_eq!(other, maths);
    let kept = manager.dict::<String, MathsProxy>().unwrap();
    kept.insert("maths", &maths).unwrap();
    drop((maths, other));
    let maths = kept.get("maths").unwrap().unwrap();
    assert_eq!(maths.add(1, 2).unwrap(), 3);
    assert!(!dropped.load(Ordering::Relaxed));
    kept.clear().unwrap();
    drop(maths);
    assert!(eventually(|| dropped.load(Ordering::Relaxed)));
}

#[test]
fn objects_end_with_their_manager_and_calls_say_so() {
    let manager = Manager::start().unwrap();
    let maths = manager.share(Maths::new()).unwrap();
    manager.shutdown().unwrap();
    let gone = maths.add(1, 2);
    assert!(matches!(gone, Err(Error::HostGone { .. })), "{gone:?}");
}

/// A private type whose block has no `pub`: all of it is exposed.
struct Tally(u64);

#[coheld::expose(proxy = Counter)]
impl Tally {
    fn increment(&mut self, by: u64) -> u64 {
        let before = self.0;
        // Long enough for others to get in between, if they could.
        thread::yield_now();
        self.0 = before + by;
        self.0
    }

    fn value(&self) -> u64 {
        self.0
    }

    fn spoil(&mut self) {
        self.0 = 0;
        panic!("in the middle");
    }

    /// Calls back.
    fn through(&self, other: &Counter) -> coheld::Result<u64> {
        other.value()
    }

    fn change_through(&mut self, other: &Counter) -> coheld::Result<u64> {
        other.value()
    }
}

#[test]
fn methods_that_change_the_object_have_it_for_themselves() {
    let manager = Manager::start().unwrap();
    let counter: Counter = manager.share(Tally(0)).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..200).all(|_| counter.increment(1).unwrap() > 0));
        }
    });
    assert_eq!(counter.value().unwrap(), 800);
    assert_eq!(raised_exception(counter.spoil()), Exception::RemoteError);
    assert_eq!(counter.value().unwrap(), 0);
    assert_eq!(counter.increment(2).unwrap(), 2);
}

#[test]
fn a_method_that_would_wait_for_itself_is_an_error() {
    let manager = Manager::start().unwrap();
    let counter = manager.share(Tally(3)).unwrap();
    assert_eq!(counter.through(&counter).unwrap(), 3);
    let (exception, message) = raised(counter.change_through(&counter));
    assert_eq!(exception, Exception::RuntimeError);
    assert!(
        message.contains("Tally.value() would wait for itself"),
        "{message}"
    );
    let other = manager.share(Tally(4)).unwrap();
    assert_eq!(counter.change_through(&other).unwrap(), 4);
}

struct Shop {
    items: ListProxy<String>,
}

#[coheld::expose]
impl Shop {
    pub fn items(&self) -> ListProxy<String> {
        self.items.clone()
    }

    pub fn basket(&self, owner: String) -> coheld::Result<BasketProxy> {
        coheld::share(Basket {
            owner,
            shop: None,
            content: Vec::new(),
        })
    }

    pub fn fill(
        &self,
        basket: &BasketProxy,
        from: &DictProxy<String, u32>,
    ) -> coheld::Result<usize> {
        for (name, count) in from.items()? {
            for _ in 0..count {
                basket.put(&name)?;
            }
        }
        basket.len()
    }

    pub fn all(&self, baskets: Vec<BasketProxy>) -> coheld::Result<BTreeMap<String, BasketProxy>> {
        let named = |basket: BasketProxy| Ok((basket.owner()?, basket));
        baskets.into_iter().map(named).collect()
    }
}

struct Basket {
    owner: String,
    shop: Option<ShopProxy>,
    content: Vec<String>,
}

#[coheld::expose]
impl Basket {
    pub fn put(&mut self, what: &str) -> usize {
        self.content.push(what.to_owned());
        self.content.len()
    }

    pub fn len(&self) -> usize {
        self.content.len()
    }

    pub fn owner(&self) -> String {
        self.owner.clone()
    }

    pub fn belongs_to(&mut self, shop: Option<ShopProxy>) -> Option<ShopProxy> {
        std::mem::replace(&mut self.shop, shop)
    }
}

#[test]
fn methods_take_and_return_proxies() {
    let manager = Manager::start().unwrap();
    let items = manager.list().unwrap();
    let shop = manager.share(Shop { items }).unwrap();
    shop.items().unwrap().append("pear").unwrap();
    assert_eq!(shop.items().unwrap().to_vec().unwrap(), ["pear"]);

    let basket = shop.basket("Ann".into()).unwrap();
    let wanted = manager.dict().unwrap();
    wanted.insert("pear", &2).unwrap();
    assert_eq!(shop.fill(&basket, &wanted).unwrap(), 2);
    let other = shop.basket("Bob".into()).unwrap();
    let twice = vec![basket.clone(), other, basket.clone()];
    let all = shop.all(twice).unwrap();
    assert_eq!(all["Ann"], basket);
    assert_eq!(all["Bob"].len().unwrap(), 0);
    assert_eq!(basket.belongs_to(Some(shop.clone())).unwrap(), None);
    assert_eq!(basket.belongs_to(None).unwrap(), Some(shop));
    // Nothing on the way is kept.
    drop((all, basket));
    assert!(eventually(|| manager.number_of_objects() <= 2));
}

#[test]
fn a_proxy_of_something_else_is_refused() {
    let manager = Manager::start().unwrap();
    let maths = manager.share(Maths::new()).unwrap();
    let list = manager.list::<i64>().unwrap();
    let text = |result: Result<BasketProxy, Error>| result.unwrap_err().to_string();
    assert_eq!(
        text(BasketProxy::try_from(Proxy::from(maths.clone()))),
        "TypeError: a proxy of a Basket was expected, and this one is of a Maths without a method \
         'put'"
    );
    assert_eq!(
        text(BasketProxy::try_from(Proxy::from(list))),
        "TypeError: a proxy of a Basket was expected, and this one is of a list"
    );
    let shop = manager.share(Shop {
        items: manager.list().unwrap(),
    });
    let call = shop.unwrap().as_proxy().call_method(
        "fill",
        &[
            Value::from(&maths),
            Value::Proxy(manager.dict::<String, u32>().unwrap().into()),
        ],
    );
    let (exception, message) = raised(call);
    assert_eq!(exception, Exception::TypeError);
    assert!(
        message.contains("takes as 'basket' a value of the type `&BasketProxy`"),
        "{message}"
    );
}

/// The simplest executor that there is.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unparks(thread::Thread);

    impl Wake for Unparks {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Arc::new(Unparks(thread::current())).into();
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}

/// Ready the second time that it is asked.
struct Yields(bool);

impl Future for Yields {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

struct Later(i64);

#[coheld::expose(executor = block_on)]
impl Later {
    pub async fn sum(&mut self, by: i64) -> Result<i64, Division> {
        Yields(false).await;
        if by == 0 {
            return Err(Division { by });
        }
        self.0 += by;
        Ok(self.0)
    }

    pub fn now(&self) -> i64 {
        self.0
    }
}

#[test]
fn async_methods_run_under_the_executor_of_the_program() {
    let manager = Manager::start().unwrap();
    let later = manager.share(Later(1)).unwrap();
    assert_eq!(later.sum(2).unwrap(), 3);
    let (_, message) = raised(later.sum(0));
    assert_eq!(message, "Division: cannot divide by 0");
    assert_eq!(later.now().unwrap(), 3);
}
