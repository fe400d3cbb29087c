//! Proxies in several processes: tokens travel as text, and the program at the other end is a
//! process of its own that knows nothing else.
//!
//! The other process is this same test binary; `another_process` is what it runs.

mod support;

use std::process::{Child, Command, Stdio};

use coheld::{AUTHKEY_VARIABLE, DictProxy, Error, ListProxy, Manager, Proxy, Token, Value};
use support::{eventually, turn};

const TASK: &str = "COHELD_TEST_TASK";
const TOKEN: &str = "COHELD_TEST_TOKEN";
const ROUNDS: i64 = 20_000;

/// Starts another process that does `task` with the object of `proxy`.
fn start(task: &str, manager: &Manager, proxy: impl Into<Proxy>) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["another_process", "--exact", "--nocapture"])
        .env(TASK, task)
        .env(TOKEN, proxy.into().token().unwrap().to_string())
        .env(AUTHKEY_VARIABLE, manager.authkey_text())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// What the other process does. In a usual run of the tests: nothing.
#[test]
fn another_process() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let token: Token = std::env::var(TOKEN).unwrap().parse().unwrap();
    let authkey = coheld::authkey_from_environment().unwrap();
    let proxy = Proxy::from_token(&token, &authkey).unwrap();
    match task.as_str() {
        "count" => count(&proxy.try_into().unwrap()),
        "give" => {
            let dict = DictProxy::<String, Value>::try_from(proxy).unwrap();
            let attachment = dict.as_proxy().handle().attachment();
            let list = ListProxy::<String>::create(attachment).unwrap();
            list.append("made by another process").unwrap();
            dict.insert("list", &Value::from(&list)).unwrap();
            let job = Value::Dict(vec![(
                Value::from("lists"),
                Value::List(vec![(&list).into()]),
            )]);
            dict.insert("nested", &job).unwrap();
        }
        "work until killed" => {
            let list = ListProxy::<String>::try_from(proxy).unwrap();
            loop {
                list.append("a text that needs a block of its own").unwrap();
                let other = ListProxy::<i64>::create(list.as_proxy().handle().attachment());
                list.append_proxy(other.unwrap()).unwrap();
                // The test takes elements out, too: there may be none.
                drop(list.as_proxy().call_method("pop", &[]));
                drop(list.as_proxy().call_method("pop", &[0.into()]));
            }
        }
        other => panic!("unknown task {other}"),
    }
}

fn count(counts: &DictProxy<String, i64>) {
    for _ in 0..ROUNDS {
        counts.increment("n", 1).unwrap();
    }
}

#[test]
fn two_processes_count_in_one_dict() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let counts = manager.dict::<String, i64>().unwrap();
    let mut children = [
        start("count", &manager, &counts),
        start("count", &manager, &counts),
    ];
    count(&counts);
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(counts.get("n").unwrap(), Some(3 * ROUNDS));
}

#[test]
fn what_another_process_made_outlives_it() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let dict = manager.dict::<String, Value>().unwrap();
    assert!(start("give", &manager, &dict).wait().unwrap().success());
    let Some(Value::Proxy(proxy)) = dict.get("list").unwrap() else {
        panic!("no proxy")
    };
    let list = ListProxy::<String>::try_from(proxy).unwrap();
    assert_eq!(list.to_vec().unwrap(), ["made by another process"]);
    let nested = dict.remove("nested").unwrap().unwrap();
    assert_eq!(
        nested,
        Value::Dict(vec![(
            Value::from("lists"),
            Value::List(vec![(&list).into()])
        )])
    );
    drop((nested, list));
    dict.clear().unwrap();
    assert!(eventually(|| manager.number_of_objects() == 1));
}

#[test]
fn a_killed_process_harms_nobody() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let list = manager.list::<String>().unwrap();
    for _ in 0..5 {
        let mut child = start("work until killed", &manager, &list);
        assert!(eventually(|| list.len().unwrap() > 0));
        for _ in 0..500 {
            list.append("another text that needs a block of its own")
                .unwrap();
            drop(list.as_proxy().call_method("pop", &[0.into()]));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        list.append("afterwards").unwrap();
        list.clear().unwrap();
    }
    assert!(
        eventually(|| manager.number_of_objects() == 1),
        "{}",
        manager.number_of_objects()
    );
    // What the last one had under way is ended by the manager, in its own time.
    let verify = || coheld_store::verify(manager.attachment().segment());
    assert!(eventually(|| verify().is_ok()), "{:?}", verify());
}

#[test]
fn bad_tokens_are_refused_in_words() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let list = manager.list::<i64>().unwrap();
    let token = list.token().unwrap();
    let mut gone = token.clone();
    gone.generation += 1;
    assert!(ListProxy::<i64>::from_token(&gone, manager.authkey()).is_err());
    let mut wild = token.clone();
    wild.offset = 0x1000;
    assert!(ListProxy::<i64>::from_token(&wild, manager.authkey()).is_err());
    let other = DictProxy::<String, i64>::from_token(&token, manager.authkey()).unwrap_err();
    assert_eq!(other.to_string(), "the shared object is a list, not a dict");
    let mut foreign = token.clone();
    foreign.segment_id = [1; 16];
    assert!(matches!(
        ListProxy::<i64>::from_token(&foreign, manager.authkey()),
        Err(Error::BadToken { .. })
    ));
    assert!(matches!(
        ListProxy::<i64>::from_token(&foreign, b"another key"),
        Err(Error::AuthenticationRejected)
    ));
    // The lease of a token is for one proxy, but the object is there for any number of them.
    let same = ListProxy::<i64>::from_token(&token, manager.authkey()).unwrap();
    assert_eq!(same, list);
}
