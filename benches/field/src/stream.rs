//! Messages from one process to another, one way: small ones, and large ones.

use std::hint::spin_loop;
use std::time::{Duration, Instant};

use coheld::process::{self, JoinHandle};
use coheld::{Bytes, EventProxy, Manager, QueueProxy};
use criterion::Criterion;
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;
use ipc_channel::ipc::{IpcOneShotServer, IpcReceiver, IpcSender, IpcSharedMemory, channel};

/// Bytes of a large message.
const LARGE: usize = 1 << 20;
/// Messages that may be on their way.
const BACKLOG: usize = 64;

pub fn measure(criterion: &mut Criterion) {
    let manager = Manager::start().unwrap();

    let mut group = criterion.benchmark_group("send a number one way");
    let queue = manager.queue::<u64>(BACKLOG).unwrap();
    let process = process::spawn(fill_queue, queue.clone()).unwrap();
    group.bench_function("coheld", |bench| {
        bench.iter_custom(|count| time(count, || assert!(queue.get().is_ok())));
    });
    end(process);

    let (server, name) = IpcOneShotServer::new().unwrap();
    let process = process::spawn(fill_channel, name).unwrap();
    let (_, numbers): (_, IpcReceiver<u64>) = server.accept().unwrap();
    group.bench_function("ipc-channel", |bench| {
        bench.iter_custom(|count| time(count, || assert!(numbers.recv().is_ok())));
    });
    end(process);

    let (name, ready) = (name_of_service("numbers"), manager.event().unwrap());
    let node = NodeBuilder::new().create::<ipc::Service>().unwrap();
    let service = numbers_service(&node, &name);
    let subscriber = service.subscriber_builder().create().unwrap();
    let process = process::spawn(fill_numbers, (name, ready.clone())).unwrap();
    ready.wait().unwrap();
    group.bench_function("iceoryx2", |bench| {
        bench.iter_custom(|count| {
            time(count, || {
                while subscriber.receive().unwrap().is_none() {
                    spin_loop();
                }
            })
        });
    });
    end(process);
    group.finish();

    let mut group = criterion.benchmark_group("send 1 MiB one way");
    let queue = manager.queue::<Bytes>(BACKLOG).unwrap();
    let process = process::spawn(fill_queue_with_bytes, queue.clone()).unwrap();
    group.bench_function("coheld", |bench| {
        bench.iter_custom(|count| time(count, || assert_eq!(queue.get().unwrap().0.len(), LARGE)));
    });
    end(process);

    let (server, name) = IpcOneShotServer::new().unwrap();
    let process = process::spawn(fill_channel_with_memory, name).unwrap();
    let (_, memory): (_, IpcReceiver<IpcSharedMemory>) = server.accept().unwrap();
    group.bench_function("ipc-channel", |bench| {
        bench.iter_custom(|count| time(count, || assert_eq!(memory.recv().unwrap().len(), LARGE)));
    });
    end(process);

    let (name, ready) = (name_of_service("bytes"), manager.event().unwrap());
    let service = bytes_service(&node, &name);
    let subscriber = service.subscriber_builder().create().unwrap();
    let process = process::spawn(fill_bytes, (name, ready.clone())).unwrap();
    ready.wait().unwrap();
    group.bench_function("iceoryx2", |bench| {
        bench.iter_custom(|count| {
            time(count, || {
                loop {
                    if let Some(sample) = subscriber.receive().unwrap() {
                        assert_eq!(sample.len(), LARGE);
                        break;
                    }
                    spin_loop();
                }
            })
        });
    });
    end(process);
    group.finish();
}

/// How long it takes to receive so many messages.
fn time(count: u64, mut receive: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        receive();
    }
    start.elapsed()
}

fn fill_queue(queue: QueueProxy<u64>) {
    for number in 0.. {
        queue.put(&number).unwrap();
    }
}

fn fill_queue_with_bytes(queue: QueueProxy<Bytes>) {
    let bytes = Bytes(vec![7; LARGE]);
    loop {
        queue.put(&bytes).unwrap();
    }
}

fn fill_channel(name: String) {
    let (numbers, received) = channel::<u64>().unwrap();
    IpcSender::connect(name).unwrap().send(received).unwrap();
    for number in 0.. {
        numbers.send(number).unwrap();
    }
}

fn fill_channel_with_memory(name: String) {
    let (memory, received) = channel::<IpcSharedMemory>().unwrap();
    IpcSender::connect(name).unwrap().send(received).unwrap();
    let bytes = vec![7; LARGE];
    loop {
        memory.send(IpcSharedMemory::from_bytes(&bytes)).unwrap();
    }
}

fn name_of_service(what: &str) -> String {
    format!("coheld-field-{what}-{}", std::process::id())
}

fn numbers_service(node: &Node<ipc::Service>, name: &str) -> PortFactory<ipc::Service, u64, ()> {
    let builder = node.service_builder(&name.try_into().unwrap());
    let builder = builder
        .publish_subscribe::<u64>()
        .enable_safe_overflow(false);
    let builder = builder.subscriber_max_buffer_size(BACKLOG);
    builder.open_or_create().unwrap()
}

fn bytes_service(node: &Node<ipc::Service>, name: &str) -> PortFactory<ipc::Service, [u8], ()> {
    let builder = node.service_builder(&name.try_into().unwrap());
    let builder = builder
        .publish_subscribe::<[u8]>()
        .enable_safe_overflow(false);
    let builder = builder.subscriber_max_buffer_size(BACKLOG);
    builder.open_or_create().unwrap()
}

fn fill_numbers((name, ready): (String, EventProxy)) {
    let node = NodeBuilder::new().create::<ipc::Service>().unwrap();
    let service = numbers_service(&node, &name);
    let builder = service.publisher_builder();
    let builder = builder.backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
    let publisher = builder.create().unwrap();
    ready.set().unwrap();
    for number in 0.. {
        publisher.send_copy(number).unwrap();
    }
}

fn fill_bytes((name, ready): (String, EventProxy)) {
    let node = NodeBuilder::new().create::<ipc::Service>().unwrap();
    let service = bytes_service(&node, &name);
    let builder = service.publisher_builder().initial_max_slice_len(LARGE);
    let builder = builder.backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
    let publisher = builder.create().unwrap();
    let bytes = vec![7; LARGE];
    ready.set().unwrap();
    loop {
        let sample = publisher.loan_slice_uninit(LARGE).unwrap();
        sample.write_from_slice(&bytes).send().unwrap();
    }
}

/// Ends a process that would not end by itself.
fn end(mut process: JoinHandle<()>) {
    process.kill().unwrap();
    drop(process.join());
}
