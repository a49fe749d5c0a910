//! A message of the stream, which many clients get.

use std::sync::OnceLock;

use axum::body::Bytes;

use crate::compress;

/// A message, as text and compressed. It is compressed at most once for all clients.
#[derive(Debug)]
pub(crate) struct Message {
    plain: Bytes,
    compressed: OnceLock<Bytes>,
}

impl Message {
    pub(crate) fn new(plain: Vec<u8>) -> Self {
        Self { plain: plain.into(), compressed: OnceLock::new() }
    }

    /// Returns the bytes for a client. The first call for a compressed message takes time: it is made on a thread for blocking work.
    pub(crate) fn bytes(&self, is_compressed: bool) -> Bytes {
        if is_compressed {
            self.compressed.get_or_init(|| compress::segment(&self.plain).into()).clone()
        } else {
            self.plain.clone()
        }
    }
}
