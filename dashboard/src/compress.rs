//! Compression: whole responses as gzip, and segments of a stream that all clients share.

use axum::{
    body::{Body, Bytes, HttpBody as _, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use flate2::{Compress, Compression, FlushCompress, GzBuilder, Status};
use std::io::Write as _;

/// The header of a gzip stream: deflate, no file name, no time, an unknown system.
pub(crate) const GZIP_HEADER: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Fast, and close to the best ratio for JSON whose entries resemble each other.
const LEVEL: Compression = Compression::new(4);

/// Responses of at most this size are sent as they are.
const MIN_BYTES: usize = 1024;
/// Responses above this size are compressed on a thread for blocking work.
const MAX_INLINE_BYTES: usize = 64 * 1024;

/// Returns a part of a raw deflate stream that refers to nothing before it and ends at a full byte. Such parts can be joined in any order.
pub(crate) fn segment(plain: &[u8]) -> Vec<u8> {
    let mut compress = Compress::new(LEVEL, false);
    let mut out = Vec::with_capacity(plain.len() / 4 + 64);
    loop {
        let read = usize::try_from(compress.total_in()).unwrap_or(usize::MAX).min(plain.len());
        let before = out.len();
        let status = compress.compress_vec(&plain[read..], &mut out, FlushCompress::Full);
        let is_full = out.len() == out.capacity();
        let is_done = compress.total_in() >= plain.len() as u64 && !is_full;
        // The compressor never fails without a preset dictionary; without progress it is done as well.
        if is_done || !matches!(status, Ok(Status::Ok)) && out.len() == before {
            return out;
        }
        out.reserve(plain.len() / 4 + 64);
    }
}

/// Returns the bytes as a complete gzip file.
fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().write(Vec::with_capacity(plain.len() / 4 + 64), LEVEL);
    // Writing into memory does not fail.
    _ = encoder.write_all(plain);
    encoder.finish().unwrap_or_default()
}

/// Returns true if the client accepts gzip: `Accept-Encoding` names it, or `*`, without `q=0`.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    let codings = accepted.flat_map(|value| value.split(',')).map(|item| {
        let (coding, quality) = item.split_once(';').unwrap_or((item, "q=1"));
        let quality = quality.trim().strip_prefix("q=").and_then(|quality| quality.trim().parse::<f32>().ok());
        (coding.trim().to_ascii_lowercase(), quality.unwrap_or(1.0) > 0.0)
    });
    let mut any = None;
    for (coding, is_accepted) in codings {
        match coding.as_str() {
            "gzip" | "x-gzip" => return is_accepted,
            "*" => any = Some(is_accepted),
            _ => {}
        }
    }
    any.unwrap_or(false)
}

/// Compresses the response to a client that accepts gzip, if its size is known and above [`MIN_BYTES`].
pub(crate) async fn compress_response(request: Request, next: Next) -> Response {
    let is_accepted = accepts_gzip(request.headers());
    let mut response = next.run(request).await;
    let size = response.body().size_hint().exact().and_then(|size| usize::try_from(size).ok());
    let Some(size) = size.filter(|size| *size > MIN_BYTES) else { return response };
    if response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    if !is_accepted {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // A body of a known size is in memory, so this neither waits nor fails.
    let plain = to_bytes(body, size).await.unwrap_or_default();
    let compressed = if plain.len() > MAX_INLINE_BYTES {
        let plain = plain.clone();
        tokio::task::spawn_blocking(move || gzip(&plain)).await.ok()
    } else {
        Some(gzip(&plain))
    };
    let Some(compressed) = compressed else { return Response::from_parts(parts, Body::from(plain)) };
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Response::from_parts(parts, Body::from(Bytes::from(compressed)))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::DeflateDecoder;

    use super::*;

    fn accepts(value: &'static str) -> bool {
        accepts_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]))
    }

    #[test]
    fn accept_encoding_is_understood() {
        for accepted in ["gzip", "GZIP", "deflate, gzip;q=0.5", "br;q=1, *", "*;q=0, gzip", "gzip;q=1.0"] {
            assert!(accepts(accepted), "{accepted}");
        }
        for refused in ["", "br", "gzip;q=0", "*;q=0", "identity", "*, gzip;q=0", "gzip; q=0"] {
            assert!(!accepts(refused), "{refused}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn segments_are_independent_of_each_other() {
        let texts: Vec<String> = (0..6_usize).map(|n| format!("{{\"row\":{n}}}").repeat(n * n * n * 400)).collect();
        for order in [[0, 1, 2, 3, 4, 5], [5, 3, 1, 0, 2, 4], [2, 2, 5, 5, 0, 0]] {
            let joined: Vec<u8> = order.iter().flat_map(|n| segment(texts[*n].as_bytes())).collect();
            let expected: String = order.iter().map(|n| texts[*n].as_str()).collect();
            let mut plain = vec![0; expected.len()];
            DeflateDecoder::new(joined.as_slice()).read_exact(&mut plain).unwrap_or_default();
            assert!(plain == expected.as_bytes(), "{order:?}");
        }
    }

    #[test]
    fn text_that_cannot_be_compressed_is_complete() {
        let mut number = 1_u64;
        let noise: Vec<u8> = (0..200_000)
            .map(|_| {
                number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                number.to_le_bytes()[7]
            })
            .collect();
        let mut plain = vec![0; noise.len()];
        DeflateDecoder::new(segment(&noise).as_slice()).read_exact(&mut plain).unwrap_or_default();
        assert!(plain == noise);
    }
}
