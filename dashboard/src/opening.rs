//! The first messages of a stream: the start, the rows, the newest events.

use std::sync::{Arc, OnceLock};

use axum::body::Bytes;

use crate::{
    about::About,
    changes::{self, FIRST_ROWS, MORE_ROWS},
    message::Message,
    reading::{Reading, Row},
};

/// The first messages of all streams that begin with the same reading. Each is made when the first stream gets to it.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) reading: Arc<Reading>,
    start: Message,
    rows: Vec<Arc<Row>>,
    chunks: Vec<OnceLock<Message>>,
}

impl Opening {
    pub(crate) fn new(reading: Arc<Reading>, about: &About) -> Self {
        let start = Message::new(changes::start(&reading, about));
        let rows = reading.worst_first();
        // There is at least one message with rows, even without any.
        let chunks = 1 + rows.len().saturating_sub(FIRST_ROWS).div_ceil(MORE_ROWS);
        Self { reading, start, rows, chunks: (0..chunks).map(|_| OnceLock::new()).collect() }
    }

    pub(crate) fn start(&self, is_compressed: bool) -> Bytes {
        self.start.bytes(is_compressed)
    }

    /// Returns the number of messages with rows.
    pub(crate) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Returns a message with rows; `None` after the last.
    pub(crate) fn chunk(&self, index: usize, is_compressed: bool) -> Option<Bytes> {
        let chunk = self.chunks.get(index)?;
        let message = chunk.get_or_init(|| {
            let begin = if index == 0 { 0 } else { FIRST_ROWS + (index - 1) * MORE_ROWS };
            let end = (FIRST_ROWS + index * MORE_ROWS).min(self.rows.len());
            let rows = self.rows.get(begin..end).unwrap_or_default();
            Message::new(changes::rows(rows, index + 1 == self.chunks.len()))
        });
        Some(message.bytes(is_compressed))
    }
}
