//! Any backend for asynchronous programs: its calls on a bounded pool of blocking threads.
//!
//! Feature `tokio`.
//!
//! Calls to storage block for as long as the device takes, so they must not run on the threads
//! that drive futures. [`AsyncBackend`] gives each to tokio's blocking pool, within [`Limits`]:
//!
//! - **A hung device blocks its own pool, nothing else.** Calls that name a pool count against
//!   that pool's own bound first, and against the bound of all only while they run. The bound of
//!   all should be several times that of one pool; both are exhausted only when so many pools
//!   hang at once.
//! - **What does not fit is refused at once** with [`crate::ErrorKind::Busy`]: no more calls wait than the
//!   bounds allow.
//! - **Every call has a deadline.** If it had not started by then it never does, and the answer is
//!   [`crate::ErrorKind::Timeout`]: nothing was changed. If it had, the answer is
//!   [`crate::ErrorKind::Indeterminate`], and it goes on to its end in its place within the
//!   bounds; the same call, made again, finds out what became of it.
//! - **Dropping a future cancels nothing.** From its first poll on, a call that was not refused
//!   runs, or misses its deadline, whether or not anybody waits: half an operation is worse than
//!   one whose answer nobody reads.
//! - **A panic in a backend is an error**, [`crate::ErrorKind::Indeterminate`], and gives its place back.
//!   (With `panic = "abort"` it ends the process.)
//!
//! The runtime needs its timer (`enable_time`). When a program ends, [`AsyncBackend::shutdown`]
//! waits for what runs. Dropping a tokio runtime waits for its blocking threads without a bound;
//! after a shutdown that timed out, end the runtime with `shutdown_background`.
//!
//! ```
//! # #[cfg(feature = "sim")] {
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use open_local_core::adapter::{AsyncBackend, Limits};
//! use open_local_core::sim::{Machine, SimBackend};
//! use open_local_core::{Bytes, PoolId, PoolSpec, VolumeId, VolumeSpec};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
//! # runtime.block_on(async {
//! let backend = Arc::new(SimBackend::new(&Machine::new(1)));
//! let backend = AsyncBackend::new(backend, Limits::default());
//! let id = PoolId::new("fast")?;
//! let _ = backend.ensure_pool(PoolSpec::new(id.clone())).await?;
//! let pool = backend.open_pool(id).await?.with_deadline(Duration::from_secs(10));
//! let spec = VolumeSpec::new(VolumeId::new("data")?, Bytes::GIB);
//! let made = pool.ensure_volume(spec).await?;
//! assert_eq!(made.into_inner().size, Bytes::GIB);
//! backend.shutdown(Duration::from_secs(30)).await?;
//! # Ok::<(), open_local_core::Error>(())
//! # })?;
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backend;
mod call;
#[cfg(feature = "snapshot")]
mod groups;
mod lanes;
mod pool;

#[cfg(test)]
mod tests;

pub use backend::AsyncBackend;
pub use lanes::{Bound, Limits};
pub use pool::AsyncPool;
