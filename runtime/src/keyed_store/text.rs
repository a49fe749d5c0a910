use std::fmt::{Display, Write};

/// The text of a key, as its `Display` writes it: on the stack if it has at most [`INLINE`] bytes.
pub(super) struct Text {
    inline: [u8; INLINE],
    length: usize,
    /// The whole text if it is longer than [`INLINE`]; otherwise empty.
    heap: String,
}

const INLINE: usize = 128;

impl Text {
    #[inline]
    pub(super) const fn new() -> Self {
        Self { inline: [0; INLINE], length: 0, heap: String::new() }
    }

    /// Appends the text of `key`. Borrows the buffer, because moving it costs more than writing the text.
    #[inline]
    pub(super) fn append<K: Display + ?Sized>(&mut self, key: &K) -> &Self {
        // Writing to memory never fails. If the `Display` returns an error of its own, the text is what was written before the error.
        _ = write!(self, "{key}");
        self
    }

    pub(super) fn as_str(&self) -> &str {
        // Always UTF-8: only whole strings are written.
        str::from_utf8(self.as_bytes()).unwrap_or("")
    }

    /// Returns the bytes of the text. The map is searched by bytes, which saves a UTF-8 check.
    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        if self.heap.is_empty() { self.inline.get(..self.length).unwrap_or(&[]) } else { self.heap.as_bytes() }
    }
}

impl Write for Text {
    #[inline]
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        if self.heap.is_empty() {
            let end = self.length + part.len();
            if let Some(free) = self.inline.get_mut(self.length..end) {
                free.copy_from_slice(part.as_bytes());
                self.length = end;
                return Ok(());
            }
            self.heap = self.as_str().to_owned();
        }
        self.heap.push_str(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_any_length_are_stored_whole() {
        for parts in [
            vec!["", "example.org", ":", "443"],
            vec!["ä"; 64],
            vec!["ä"; 65],
            vec!["x"; 128],
            vec!["x"; 1_000],
            vec!["twelve bytes"; 12],
        ] {
            let whole = parts.concat();
            let joined = std::fmt::from_fn(|f| parts.iter().try_for_each(|part| f.write_str(part)));
            assert_eq!(Text::new().append(&joined).as_bytes(), whole.as_bytes());
            assert_eq!(Text::new().append(&joined).as_str(), whole);
            assert_eq!(Text::new().append(&whole).as_str(), whole);
        }
    }
}
