//! A map of numbers: one entry read, written, counted up.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Mutex, PoisonError};

use coheld::Manager;
use criterion::Criterion;
use heed::types::U64;
use heed::{Database, EnvFlags, EnvOpenOptions, byteorder::NativeEndian};

/// Entries of each map.
const ENTRIES: u64 = 10_000;

pub fn measure(criterion: &mut Criterion) {
    let manager = Manager::start().unwrap();
    let dict = manager.dict::<u64, i64>().unwrap();
    dict.extend((0..ENTRIES).map(|key| (key, 7))).unwrap();

    let map: Mutex<HashMap<u64, u64>> = Mutex::new((0..ENTRIES).map(|key| (key, key)).collect());
    let lock = || map.lock().unwrap_or_else(PoisonError::into_inner);

    // In memory, and without waiting for any disk: Coheld does not either.
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut options = EnvOpenOptions::new();
    options.map_size(64 << 20);
    // SAFETY: nobody else has the files of this folder, and nothing has to survive this program.
    let environment = unsafe {
        options.flags(EnvFlags::NO_SYNC | EnvFlags::NO_META_SYNC | EnvFlags::WRITE_MAP);
        options.open(folder.path()).unwrap()
    };
    let mut transaction = environment.write_txn().unwrap();
    let database: Database<U64<NativeEndian>, U64<NativeEndian>> =
        environment.create_database(&mut transaction, None).unwrap();
    for key in 0..ENTRIES {
        database.put(&mut transaction, &key, &key).unwrap();
    }
    transaction.commit().unwrap();

    let mut keys = (0..ENTRIES).cycle().map(|step| step * 7_919 % ENTRIES);
    let mut next = || keys.next().unwrap();

    let mut group = criterion.benchmark_group("read an entry");
    group.bench_function("coheld", |bench| {
        bench.iter(|| black_box(dict.get(&next()).unwrap()));
    });
    group.bench_function("LMDB", |bench| {
        bench.iter(|| {
            let transaction = environment.read_txn().unwrap();
            black_box(database.get(&transaction, &next()).unwrap())
        });
    });
    group.bench_function("one process", |bench| {
        bench.iter(|| black_box(lock().get(&next()).copied()));
    });
    group.finish();

    let mut group = criterion.benchmark_group("write an entry");
    group.bench_function("coheld", |bench| {
        bench.iter(|| dict.insert(&next(), &7).unwrap());
    });
    group.bench_function("LMDB", |bench| {
        bench.iter(|| {
            let mut transaction = environment.write_txn().unwrap();
            database.put(&mut transaction, &next(), &7).unwrap();
            transaction.commit().unwrap();
        });
    });
    group.bench_function("one process", |bench| {
        bench.iter(|| lock().insert(next(), 7));
    });
    group.finish();

    let mut group = criterion.benchmark_group("count an entry up");
    group.bench_function("coheld", |bench| {
        bench.iter(|| dict.increment(&next(), 1).unwrap());
    });
    group.bench_function("LMDB", |bench| {
        bench.iter(|| {
            let mut transaction = environment.write_txn().unwrap();
            let key = next();
            let old = database.get(&transaction, &key).unwrap().unwrap_or(0);
            database.put(&mut transaction, &key, &(old + 1)).unwrap();
            transaction.commit().unwrap();
        });
    });
    group.bench_function("one process", |bench| {
        bench.iter(|| *lock().entry(next()).or_default() += 1);
    });
    group.finish();

    let mut group = criterion.benchmark_group("read all 10,000 entries");
    group.bench_function("coheld", |bench| {
        bench.iter(|| black_box(dict.items().unwrap()));
    });
    group.bench_function("LMDB", |bench| {
        bench.iter(|| {
            let transaction = environment.read_txn().unwrap();
            let entries = database.iter(&transaction).unwrap();
            black_box(entries.map(Result::unwrap).collect::<Vec<(u64, u64)>>())
        });
    });
    group.bench_function("one process", |bench| {
        bench.iter(|| {
            let map = lock();
            black_box(
                map.iter()
                    .map(|(key, value)| (*key, *value))
                    .collect::<Vec<_>>(),
            )
        });
    });
    group.finish();
}
