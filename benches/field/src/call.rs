//! A question to another process, and its answer: two numbers and their sum.

use std::hint::spin_loop;

use coheld::process::{self, JoinHandle};
use coheld::{Manager, QueueProxy};
use criterion::Criterion;
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::request_response::PortFactory;
use ipc_channel::ipc::{IpcOneShotServer, IpcReceiver, IpcSender, channel};

type Question = (i64, i64);

struct Adder;

#[coheld::expose]
impl Adder {
    pub fn add(&self, one: i64, two: i64) -> i64 {
        one + two
    }
}

pub fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("call another process");

    let manager = Manager::start().unwrap();
    let adders = manager.queue(0).unwrap();
    let access = (manager.address().to_string(), manager.authkey().to_vec());
    let host = process::spawn(host, (access, adders.clone())).unwrap();
    let adder = adders.get().unwrap();
    group.bench_function("coheld", |bench| {
        bench.iter(|| assert_eq!(adder.add(3, 4).unwrap(), 7));
    });
    drop(adder);
    end(host);

    let (questions, answers) = (manager.queue(0).unwrap(), manager.queue(0).unwrap());
    let process = process::spawn(answer_queue, (questions.clone(), answers.clone())).unwrap();
    group.bench_function("coheld, two queues", |bench| {
        bench.iter(|| {
            questions.put(&(3, 4)).unwrap();
            assert_eq!(answers.get().unwrap(), 7);
        });
    });
    end(process);

    let (server, name) = IpcOneShotServer::new().unwrap();
    let process = process::spawn(answer_channel, name).unwrap();
    let (_, (questions, answers)): (_, (IpcSender<Question>, IpcReceiver<i64>)) =
        server.accept().unwrap();
    group.bench_function("ipc-channel", |bench| {
        bench.iter(|| {
            questions.send((3, 4)).unwrap();
            assert_eq!(answers.recv().unwrap(), 7);
        });
    });
    end(process);

    let name = format!("coheld-field-{}", std::process::id());
    let ready = manager.event().unwrap();
    let process = process::spawn(answer_request, (name.clone(), ready.clone())).unwrap();
    ready.wait().unwrap();
    let node = NodeBuilder::new().create::<ipc::Service>().unwrap();
    let service = requests(&node, &name);
    let client = service.client_builder().create().unwrap();
    group.bench_function("iceoryx2", |bench| {
        bench.iter(|| {
            let pending = client.send_copy([3, 4]).unwrap();
            loop {
                if let Some(answer) = pending.receive().unwrap() {
                    assert_eq!(*answer, 7);
                    break;
                }
                spin_loop();
            }
        });
    });
    end(process);
    group.finish();
}

/// Has an object that others call.
fn host(((address, authkey), adders): ((String, Vec<u8>), QueueProxy<AdderProxy>)) {
    let manager = Manager::connect(&address.parse().unwrap(), &authkey).unwrap();
    adders.put(&manager.share(Adder).unwrap()).unwrap();
    loop {
        std::thread::park();
    }
}

fn answer_queue((questions, answers): (QueueProxy<Question>, QueueProxy<i64>)) {
    for question in &questions {
        let (one, two) = question.unwrap();
        answers.put(&(one + two)).unwrap();
    }
}

fn answer_channel(name: String) {
    let (questions, asked) = channel::<Question>().unwrap();
    let (answers, answered) = channel::<i64>().unwrap();
    let server = IpcSender::connect(name).unwrap();
    server.send((questions, answered)).unwrap();
    while let Ok((one, two)) = asked.recv() {
        answers.send(one + two).unwrap();
    }
}

type Requests = PortFactory<ipc::Service, [i64; 2], (), i64, ()>;

fn requests(node: &Node<ipc::Service>, name: &str) -> Requests {
    let builder = node.service_builder(&name.try_into().unwrap());
    let builder = builder.request_response::<[i64; 2], i64>();
    builder.open_or_create().unwrap()
}

fn answer_request((name, ready): (String, coheld::EventProxy)) {
    let node = NodeBuilder::new().create::<ipc::Service>().unwrap();
    let service = requests(&node, &name);
    let server = service.server_builder().create().unwrap();
    ready.set().unwrap();
    loop {
        match server.receive().unwrap() {
            Some(request) => request.send_copy(request[0] + request[1]).unwrap(),
            None => spin_loop(),
        }
    }
}

/// Ends a process that would not end by itself.
fn end(mut process: JoinHandle<()>) {
    process.kill().unwrap();
    drop(process.join());
}
