//! The answers to requests with an id, so that a repeated request gets the same answer and has no second effect.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tokio::{sync::OnceCell, time::Instant};

use crate::{override_request::OverrideRequest, responses};

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) json: String,
}

/// The answers of the last [`LIFETIME`], at most [`MAX_IDS`].
#[derive(Debug, Default)]
pub(crate) struct RequestIds {
    /// Oldest first.
    entries: Mutex<VecDeque<Entry>>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Entry {
    id: String,
    /// The hash of the request without its sender.
    request: u64,
    at: Instant,
    /// The answer, as soon as it is known.
    answer: Arc<OnceCell<Answer>>,
}

/// The error of [`RequestIds::answer_cell`]: the id belongs to a request with other content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdInUse;

/// The time for which an answer is kept.
const LIFETIME: Duration = Duration::from_mins(10);

/// The maximum number of answers. Beyond it, the oldest is forgotten.
const MAX_IDS: usize = 1_000;

impl RequestIds {
    /// Returns the cell for the answer to a request: the same one for the same id. The first request fills it, and repeated ones wait for
    /// that.
    pub(crate) fn answer_cell(
        &self,
        id: &str,
        request: &OverrideRequest,
        now: Instant,
    ) -> Result<Arc<OnceCell<Answer>>, IdInUse> {
        let request = self.hasher.hash_one(request);
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        while entries.front().is_some_and(|oldest| now.saturating_duration_since(oldest.at) >= LIFETIME) {
            entries.pop_front();
        }
        if let Some(known) = entries.iter().find(|entry| entry.id == id) {
            return if known.request == request { Ok(known.answer.clone()) } else { Err(IdInUse) };
        }
        if entries.len() == MAX_IDS {
            entries.pop_front();
        }
        let answer = Arc::new(OnceCell::new());
        entries.push_back(Entry { id: id.to_owned(), request, at: now, answer: answer.clone() });
        Ok(answer)
    }
}

impl Answer {
    pub(crate) fn error(status: StatusCode, message: &str) -> Self {
        Self { status, json: serde_json::json!({ "error": message }).to_string() }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (self.status, responses::json(self.json)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::override_request::RequestBody;

    fn request(reason: &str) -> OverrideRequest {
        let body = serde_json::json!({ "breaker": "payments", "action": "disable", "reason": reason });
        let body: RequestBody = serde_json::from_value(body).expect("a valid body");
        body.validate().expect("a valid request")
    }

    fn is_same(a: &Arc<OnceCell<Answer>>, b: &Arc<OnceCell<Answer>>) -> bool {
        Arc::ptr_eq(a, b)
    }

    #[test]
    fn the_same_id_gives_the_same_answer_for_ten_minutes() -> Result<(), IdInUse> {
        let (ids, begun) = (RequestIds::default(), Instant::now());
        let first = ids.answer_cell("id-1", &request("a"), begun)?;
        let almost = begun + LIFETIME - Duration::from_millis(1);
        assert!(is_same(&first, &ids.answer_cell("id-1", &request("a"), almost)?));
        assert!(!is_same(&first, &ids.answer_cell("id-2", &request("a"), almost)?));
        assert!(!is_same(&first, &ids.answer_cell("id-1", &request("a"), begun + LIFETIME)?));
        Ok(())
    }

    #[test]
    fn an_id_is_not_reused_for_another_request() {
        let (ids, now) = (RequestIds::default(), Instant::now());
        assert!(ids.answer_cell("id-1", &request("a"), now).is_ok());
        assert_eq!(ids.answer_cell("id-1", &request("b"), now).err(), Some(IdInUse));
        assert!(ids.answer_cell("id-1", &request("b"), now + LIFETIME).is_ok());
    }

    #[test]
    fn the_number_of_answers_is_bounded() -> Result<(), IdInUse> {
        let (ids, now) = (RequestIds::default(), Instant::now());
        let first = ids.answer_cell("id-0", &request("a"), now)?;
        for number in 1..=MAX_IDS {
            ids.answer_cell(&format!("id-{number}"), &request("a"), now)?;
        }
        assert_eq!(ids.entries.lock().unwrap_or_else(PoisonError::into_inner).len(), MAX_IDS);
        assert!(!is_same(&first, &ids.answer_cell("id-0", &request("a"), now)?), "the oldest is forgotten");
        Ok(())
    }
}
