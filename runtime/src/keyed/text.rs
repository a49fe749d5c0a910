use std::fmt::{Display, Write};

/// What a key displays, on the stack as long as it is short.
pub(crate) struct Text {
    short: [u8; SHORT],
    length: usize,
    /// All of it, where it is longer.
    long: String,
}

const SHORT: usize = 128;

impl Text {
    #[inline]
    pub(crate) const fn new() -> Self {
        Self { short: [0; SHORT], length: 0, long: String::new() }
    }

    /// With what `key` displays at the end of it: in place, since to move it now costs more than to write it.
    #[inline]
    pub(crate) fn with<K: Display + ?Sized>(&mut self, key: &K) -> &Self {
        // Writing into memory never fails; a `Display` that says so all the same has the key that it wrote until then.
        _ = write!(self, "{key}");
        self
    }

    pub(crate) fn as_str(&self) -> &str {
        // Whole strings were written.
        str::from_utf8(self.as_bytes()).unwrap_or("")
    }

    /// What it is looked for by: nobody has to see first that it is text.
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        if self.long.is_empty() { self.short.get(..self.length).unwrap_or(&[]) } else { self.long.as_bytes() }
    }
}

impl Write for Text {
    #[inline]
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        if self.long.is_empty() {
            let end = self.length + part.len();
            if let Some(free) = self.short.get_mut(self.length..end) {
                free.copy_from_slice(part.as_bytes());
                self.length = end;
                return Ok(());
            }
            self.long = self.as_str().to_owned();
        }
        self.long.push_str(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_any_length_is_kept() {
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
            assert_eq!(Text::new().with(&joined).as_bytes(), whole.as_bytes());
            assert_eq!(Text::new().with(&joined).as_str(), whole);
            assert_eq!(Text::new().with(&whole).as_str(), whole);
        }
    }
}
