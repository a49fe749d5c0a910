//! The fields of an entry: written all, written without defaults, or compared with those of an earlier entry.

use std::sync::Arc;

use serde::Serialize;
use steadfast::{Durations, SnapshotConfig, WindowSnapshot};

/// The value of a field.
pub(crate) trait Field: PartialEq {
    /// Returns true for 0, false, an empty text or list, and `None`: values that a row leaves out.
    fn is_default(&self) -> bool;

    /// Appends the value as JSON.
    fn write(&self, out: &mut Vec<u8>);
}

/// The fields of an entry, by name.
pub(crate) trait Fields {
    /// Appends every field.
    fn write_all(&self, object: &mut Object<'_>);

    /// Appends the fields that do not have their default.
    fn write_set(&self, object: &mut Object<'_>);

    /// Appends the fields that differ from those of `old`. A field that now has its default is written as `null`.
    fn write_changes(&self, old: &Self, object: &mut Object<'_>);
}

/// Implements [`Fields`]: the name of each field in JSON, and its path.
macro_rules! fields {
    ($entry:ty { $($name:literal: $($path:ident).+),* $(,)? }) => {
        impl $crate::entry::fields::Fields for $entry {
            fn write_all(&self, object: &mut $crate::entry::fields::Object<'_>) {
                $(object.field($name, &self.$($path).+);)*
            }

            fn write_set(&self, object: &mut $crate::entry::fields::Object<'_>) {
                $(object.field_if_set($name, &self.$($path).+);)*
            }

            fn write_changes(&self, old: &Self, object: &mut $crate::entry::fields::Object<'_>) {
                $(object.field_if_changed($name, &self.$($path).+, &old.$($path).+);)*
            }
        }
    };
}
pub(crate) use fields;

/// A JSON object that is being written.
pub(crate) struct Object<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl<'o> Object<'o> {
    pub(crate) fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_empty: true }
    }

    pub(crate) fn end(self) {
        self.out.push(b'}');
    }

    pub(crate) fn field(&mut self, name: &str, value: &impl Field) {
        value.write(self.key(name));
    }

    /// Appends a field whose value is not compared, such as a list.
    pub(crate) fn value<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        write_json(self.key(name), value);
    }

    /// Appends the name of a field, and returns the buffer for its value.
    pub(crate) fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        write_json(self.out, name);
        self.out.push(b':');
        self.out
    }

    pub(crate) fn field_if_set(&mut self, name: &str, value: &impl Field) {
        if !value.is_default() {
            self.field(name, value);
        }
    }

    pub(crate) fn field_if_changed<F: Field>(&mut self, name: &str, value: &F, old: &F) {
        if value == old {
            return;
        }
        if value.is_default() {
            self.key(name).extend_from_slice(b"null");
        } else {
            self.field(name, value);
        }
    }
}

/// Appends a value as JSON.
pub(crate) fn write_json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Serialization fails only for maps with keys other than strings, and no value contains one.
    _ = serde_json::to_writer(out, value);
}

/// Appends a list, each item by `write`.
pub(crate) fn write_list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Field for $number {
            fn is_default(&self) -> bool {
                *self == <$number>::default()
            }

            fn write(&self, out: &mut Vec<u8>) {
                write_json(out, self);
            }
        }
    )*};
}

numbers!(bool, u32, u64, usize);

impl Field for f64 {
    #[allow(clippy::float_cmp, reason = "the same number, not one that is close")]
    fn is_default(&self) -> bool {
        *self == 0.0
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_json(out, self);
    }
}

/// Values that are either unknown, or never left out.
macro_rules! optional {
    ($($value:ty),*) => {$(
        impl Field for Option<$value> {
            fn is_default(&self) -> bool {
                self.is_none()
            }

            fn write(&self, out: &mut Vec<u8>) {
                $crate::entry::fields::write_json(out, self);
            }
        }
    )*};
}
pub(crate) use optional;

optional!(f64, u32, u64, WindowSnapshot, Durations, &'static str);

impl Field for &'static str {
    fn is_default(&self) -> bool {
        self.is_empty()
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_json(out, *self);
    }
}

impl Field for Arc<str> {
    fn is_default(&self) -> bool {
        self.is_empty()
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_json(out, &**self);
    }
}

impl Field for Option<Arc<str>> {
    fn is_default(&self) -> bool {
        self.is_none()
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_json(out, &self.as_deref());
    }
}

impl Field for SnapshotConfig {
    fn is_default(&self) -> bool {
        false
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_json(out, self);
    }
}

impl Field for Durations {
    fn is_default(&self) -> bool {
        false
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_json(out, self);
    }
}

impl<T: Serialize + PartialEq> Field for Vec<T> {
    fn is_default(&self) -> bool {
        self.is_empty()
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_json(out, self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Entry {
        name: &'static str,
        count: u64,
        known: Option<u64>,
        list: Vec<u64>,
    }

    fields!(Entry { "name": name, "count": count, "known": known, "list": list });

    fn written(write: impl FnOnce(&mut Object<'_>)) -> String {
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        write(&mut object);
        object.end();
        String::from_utf8(out).unwrap_or_default()
    }

    #[test]
    fn defaults_are_left_out_of_a_row_and_null_in_a_change() {
        let old = Entry { name: "a\"", count: 0, known: Some(0), list: vec![1] };
        assert_eq!(written(|object| old.write_all(object)), r#"{"name":"a\"","count":0,"known":0,"list":[1]}"#);
        assert_eq!(written(|object| old.write_set(object)), r#"{"name":"a\"","known":0,"list":[1]}"#);
        let new = Entry { name: "a\"", count: 2, known: None, list: Vec::new() };
        assert_eq!(written(|object| new.write_changes(&old, object)), r#"{"count":2,"known":null,"list":null}"#);
        assert_eq!(written(|object| old.write_changes(&new, object)), r#"{"count":null,"known":0,"list":[1]}"#);
        assert_eq!(written(|object| old.write_changes(&old, object)), "{}");
    }
}
