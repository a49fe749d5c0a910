//! The time to wait in the details of a gRPC status: `google.rpc.RetryInfo`.
//!
//! The details are the message `google.rpc.Status` in the encoding of
//! [Protocol Buffers](https://protobuf.dev/programming-guides/encoding/), of which few fields are needed:
//!
//! ```text
//! google.rpc.Status          { 3: repeated google.protobuf.Any details }
//! google.protobuf.Any        { 1: string type_url, 2: bytes value }
//! google.rpc.RetryInfo       { 1: google.protobuf.Duration retry_delay }
//! google.protobuf.Duration   { 1: int64 seconds, 2: int32 nanos }
//! ```

use std::{iter, time::Duration};

const TYPE: &str = "google.rpc.RetryInfo";

/// Returns the `retry_delay` in the details of a status; of several, the longest. Returns `None` if there is none, if it is negative, and
/// if the details are malformed.
pub(super) fn retry_delay(details: &[u8]) -> Option<Duration> {
    let mut longest = None;
    for field in fields(details) {
        let (number, value) = field?;
        if let (3, Value::Bytes(detail)) = (number, value) {
            longest = longest.max(delay_in(detail));
        }
    }
    longest
}

/// Returns the `retry_delay` in an `Any`, if it contains a `RetryInfo`.
fn delay_in(any: &[u8]) -> Option<Duration> {
    let type_url = str::from_utf8(bytes_field(any, 1)?).ok()?;
    if type_url.rsplit('/').next() != Some(TYPE) {
        return None;
    }
    let delay = bytes_field(bytes_field(any, 2)?, 1)?;
    let [seconds, nanos] = [1, 2].map(|number| integer_field(delay, number));
    let (seconds, nanos) = (u64::try_from(seconds?).ok()?, u32::try_from(nanos?).ok()?);
    (nanos < 1_000_000_000).then(|| Duration::new(seconds, nanos))
}

/// The value of a field, by its wire type.
#[derive(Clone, Copy)]
enum Value<'a> {
    Integer(u64),
    Bytes(&'a [u8]),
    /// A number of a fixed size, which no field of these messages has.
    Fixed,
}

/// Returns the last value of a field that contains a string, bytes or a message.
fn bytes_field(message: &[u8], number: u64) -> Option<&[u8]> {
    match last_value(message, number)?? {
        Value::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

/// Returns the last value of a field that contains an integer, or zero, the default.
fn integer_field(message: &[u8], number: u64) -> Option<i64> {
    match last_value(message, number)? {
        None => Some(0),
        Some(Value::Integer(value)) => Some(value.cast_signed()),
        Some(_) => None,
    }
}

/// Returns the last value of a field; `Some(None)` if the message does not contain it, `None` if the message is malformed.
#[allow(clippy::option_option, reason = "both levels end in `?`")]
fn last_value(message: &[u8], number: u64) -> Option<Option<Value<'_>>> {
    let mut last = None;
    for field in fields(message) {
        let (found, value) = field?;
        if found == number {
            last = Some(value);
        }
    }
    Some(last)
}

/// Iterates over the numbers and values of the fields of a message. The last item is `None` if the message is malformed.
fn fields(mut message: &[u8]) -> impl Iterator<Item = Option<(u64, Value<'_>)>> {
    iter::from_fn(move || {
        if message.is_empty() {
            return None;
        }
        let field = field(&mut message);
        if field.is_none() {
            message = &[];
        }
        Some(field)
    })
}

/// Reads a field from the start of the message.
fn field<'a>(message: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let tag = varint(message)?;
    let value = match tag & 7 {
        0 => Value::Integer(varint(message)?),
        1 => take(message, 8).map(|_| Value::Fixed)?,
        2 => {
            let length = varint(message)?;
            Value::Bytes(take(message, usize::try_from(length).ok()?)?)
        }
        5 => take(message, 4).map(|_| Value::Fixed)?,
        _ => return None,
    };
    Some((tag >> 3, value))
}

/// Reads an integer: seven bits in each byte, the lowest first. The highest bit of a byte is set if another byte follows.
fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Reads `length` bytes.
fn take<'a>(message: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = message.split_at_checked(length)?;
    *message = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Details that the crate `tonic-types` encodes: `ErrorDetails::with_retry_info(Some(Duration::from_millis(1_500)))`, followed by a
    /// `DebugInfo`, in a status `ResourceExhausted` with the message `busy`.
    const FROM_TONIC_TYPES: &[u8] =
        b"\x08\x08\x12\x04busy\x1a6\x0a(type.googleapis.com/google.rpc.RetryInfo\x12\x0a\x0a\x08\x08\x01\x10\x80\xca\xb5\xee\x01\x1a;\
        \x0a(type.googleapis.com/google.rpc.DebugInfo\x12\x0f\x0a\x05frame\x12\x06detail";

    fn encode_varint(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                bytes.push(low & 0x7f);
                return bytes;
            }
            bytes.push(low | 0x80);
        }
    }

    fn integer(number: u64, value: i64) -> Vec<u8> {
        [encode_varint(number << 3), encode_varint(value.cast_unsigned())].concat()
    }

    fn bytes(number: u64, content: &[u8]) -> Vec<u8> {
        [encode_varint(number << 3 | 2), encode_varint(content.len() as u64), content.to_vec()].concat()
    }

    fn detail(type_url: &str, value: &[u8]) -> Vec<u8> {
        bytes(3, &[bytes(1, type_url.as_bytes()), bytes(2, value)].concat())
    }

    /// Returns details with a code, a message and a `RetryInfo`.
    fn details(seconds: i64, nanos: i64) -> Vec<u8> {
        let delay = bytes(1, &[integer(1, seconds), integer(2, nanos)].concat());
        let info = detail("type.googleapis.com/google.rpc.RetryInfo", &delay);
        [integer(1, 8), bytes(2, b"quota exceeded"), info].concat()
    }

    #[test]
    fn a_retry_info_is_found_among_the_details() {
        assert_eq!(retry_delay(&details(7, 500_000_000)), Some(Duration::from_millis(7_500)));
        assert_eq!(
            retry_delay(&[detail("x/google.rpc.DebugInfo", b"text"), details(7, 0)].concat()),
            Some(Duration::from_secs(7))
        );
        assert_eq!(retry_delay(&[details(3, 0), details(7, 0), details(5, 0)].concat()), Some(Duration::from_secs(7)));
        assert_eq!(retry_delay(FROM_TONIC_TYPES), Some(Duration::from_millis(1_500)));
    }

    #[test]
    fn a_delay_without_fields_is_zero() {
        let url = "type.googleapis.com/google.rpc.RetryInfo";
        assert_eq!(retry_delay(&detail(url, &bytes(1, &[]))), Some(Duration::ZERO));
        assert_eq!(retry_delay(&detail(url, &[])), None);
    }

    #[test]
    fn invalid_details_have_no_delay() {
        let valid = details(7, 0);
        let checks: [(&str, Vec<u8>); 9] = [
            ("empty", vec![]),
            ("text", b"not a message".to_vec()),
            ("negative seconds", details(-7, 0)),
            ("negative nanos", details(7, -1)),
            ("too many nanos", details(7, 1_000_000_000)),
            ("another type", detail("type.googleapis.com/google.rpc.RetryInfo2", &bytes(1, &integer(1, 7)))),
            ("truncated", valid[..valid.len() - 1].to_vec()),
            ("valid, then garbage", [valid.as_slice(), &[0xff]].concat()),
            ("an endless integer", vec![0xff; 32]),
        ];
        for (name, details) in checks {
            assert_eq!(retry_delay(&details), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_details_panic(details in vec(any::<u8>(), 0..64)) {
            retry_delay(&details);
        }

        #[test]
        fn no_damaged_details_panic(seconds: i64, nanos: i64, position: prop::sample::Index, byte: u8) {
            let mut details = details(seconds, nanos);
            let position = position.index(details.len());
            details[position] = byte;
            retry_delay(&details);
        }

        #[test]
        fn each_valid_delay_is_read(seconds in 0..=i64::MAX, nanos in 0..1_000_000_000_u32) {
            let expected = Duration::new(seconds.cast_unsigned(), nanos);
            prop_assert_eq!(retry_delay(&details(seconds, nanos.into())), Some(expected));
        }
    }
}
