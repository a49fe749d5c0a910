//! The sequence lock of the settings: concurrent updates and reads.

use loom::{
    hint,
    sync::{self, Arc, Mutex, atomic::AtomicU64},
    thread,
};

use self::seq_lock::SeqLock;
use super::model;

#[allow(clippy::duplicate_mod, dead_code, reason = "compiled a second time, with the types of loom, and used in part")]
#[path = "../settings/seq_lock.rs"]
mod seq_lock;

/// A number whose two words are that number.
type Pair = SeqLock<u64, 2>;

fn pair() -> Arc<Pair> {
    let words = [AtomicU64::new(1), AtomicU64::new(1)];
    Arc::new(SeqLock::from_parts(Mutex::new(1), AtomicU64::new(0), words))
}

fn replace(pair: &Arc<Pair>, value: u64) -> thread::JoinHandle<()> {
    let pair = pair.clone();
    thread::spawn(move || {
        pair.update(|current| {
            *current = value;
            Some([value; 2])
        });
    })
}

/// Reads in a separate thread, because loom explores no interleavings of a main thread that only reads.
fn read(pair: &Arc<Pair>) -> thread::JoinHandle<()> {
    let pair = pair.clone();
    thread::spawn(move || {
        let [first, second] = pair.words();
        assert_eq!(first, second);
    })
}

#[test]
fn a_reader_sees_the_words_of_one_value() {
    model(|| {
        let pair = pair();
        let writer = replace(&pair, 2);
        let reader = read(&pair);
        writer.join().expect("the thread returns");
        reader.join().expect("the thread returns");
        assert_eq!(pair.words(), [2, 2]);
    });
}

#[test]
fn concurrent_writers_leave_the_words_of_the_last_value() {
    model(|| {
        let pair = pair();
        let writers = [replace(&pair, 2), replace(&pair, 3)];
        for writer in writers {
            writer.join().expect("the thread returns");
        }
        assert_eq!(pair.words(), [pair.get(); 2]);
    });
}
