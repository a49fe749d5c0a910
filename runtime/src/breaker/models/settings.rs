//! Settings that are replaced while others read them.

use loom::{
    hint,
    sync::{self, Arc, Mutex, atomic::AtomicU64},
    thread,
};

use self::published::Published;
use super::model;

#[allow(
    clippy::duplicate_mod,
    dead_code,
    reason = "it is compiled once more, with the types of loom, and used in part"
)]
#[path = "../settings/published.rs"]
mod published;

/// A number, and twice the same number.
type Pair = Published<u64, 2>;

fn pair() -> Arc<Pair> {
    let words = [AtomicU64::new(1), AtomicU64::new(1)];
    Arc::new(Published::of(Mutex::new(1), AtomicU64::new(0), words))
}

fn replace(pair: &Arc<Pair>, value: u64) -> thread::JoinHandle<()> {
    let pair = pair.clone();
    thread::spawn(move || {
        pair.change(|current| {
            *current = value;
            Some([value; 2])
        });
    })
}

/// Reads in a thread of its own: loom does not go back over a main thread that does nothing but look.
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
        writer.join().expect("ends well");
        reader.join().expect("ends well");
        assert_eq!(pair.words(), [2, 2]);
    });
}

#[test]
fn two_writers_leave_the_words_of_the_last() {
    model(|| {
        let pair = pair();
        let writers = [replace(&pair, 2), replace(&pair, 3)];
        for writer in writers {
            writer.join().expect("ends well");
        }
        assert_eq!(pair.words(), [pair.value(); 2]);
    });
}
