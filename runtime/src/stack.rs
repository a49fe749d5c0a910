//! Data that the layers of one call exchange.
//!
//! A retry above a breaker must recognise a rejection by that breaker, and a sleep inside a timeout must end before its deadline. Layers
//! exchange such data here and do not import each other.
//!
//! - From the inner layers to the outer ones: an attempt ends with a [`Verdict`] (whether it is retried) and a [`Disposition`] (whether the
//!   function was called). The error of a rejected call may be of any type, so [`rejection_trace`] records rejections on the thread.
//! - From the outer layers to the inner ones: [`scope`] defines the retries, deadlines and stop signals around a call, [`guard`] publishes
//!   them on the thread, and [`lookup`] finds them.
//!
//! # Scopes
//!
//! An attempt of a retry and a call with a timeout publish their scope on the thread while they run or are polled. A future inside such a
//! scope reads it at its first poll and keeps the result, so a later poll by another thread or task does not change the scope of the
//! future. Code that is not `async` reads the scope when it first needs it, since the scope around the code stays the same until it
//! returns.
//!
//! **Invariant:** a future takes a scope only from the task that it is a part of. Tasks are identified by their waker: a future that is
//! polled with another waker belongs to another task. So the scope of a task that polls a `Shared` future is not the scope of the shared
//! future, which others await as well; nor is the scope of a function that calls `block_on` the scope of what `block_on` polls. A
//! combinator with a waker for each of its futures, such as `FuturesUnordered`, therefore counts as a task of its own.
//!
//! **Invariant:** code that is not `async` takes the innermost scope of its thread, unless that scope belongs to code that is not `async`
//! either and a different task has been polled since. tokio reports the task only with the feature `rt-multi-thread`.
//!
//! **Invariant:** a first attempt without a time limit and a stop signal is cheap. Code that is not `async` increments a counter of its
//! thread and decrements it afterwards. A task without a scope around it also writes the two addresses of its waker. Deadlines and the name
//! of a retry are [details](scope::Details) in thread-locals without a destructor. A guard saves the word and the deadline of the scope
//! around it. It saves more only if that scope is in a retry that is past its first attempt or belongs to another task, or if its own scope
//! has stop signals, which are pushed onto a list.

mod disposition;
mod guard;
mod lookup;
mod rejection_trace;
mod scope;
mod thread_state;
mod tokio_task;
mod verdict;

#[cfg(feature = "rt-multi-thread")]
pub(crate) use self::tokio_task::AttemptTask;
pub use self::{disposition::Disposition, verdict::Verdict};
pub(crate) use self::{
    disposition::is_worth_waiting,
    guard::ThreadScope,
    lookup::{FoundScope, attempt_number, signals_of_thread},
    rejection_trace::{LastRejection, RejectionTrace, clear_rejection},
    scope::{Deadline, Details, EnclosingRetries, RetryName, SleepClock},
    thread_state::PackedScope,
};
#[cfg(feature = "tokio")]
pub(crate) use self::{
    guard::TaskScope,
    lookup::{CreationScope, signals_of_task},
};
