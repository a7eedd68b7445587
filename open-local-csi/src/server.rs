//! The gRPC services on a unix socket, and the clients.
//!
//! Feature `server`.
//!
//! Each call runs on a thread of its own, of which there are a bounded number, and is carried to
//! its end whether or not anybody still waits for it: a call that a client gave up is neither
//! stopped half-way nor forgotten, and the same call made again finds it under way or done.
//!
//! ```no_run
//! use std::sync::Arc;
//! use open_local_csi::server::{NoObserver, ServerOptions, serve};
//! # async fn run(driver: open_local_csi::service::Driver) -> open_local_core::Result<()> {
//! let options = ServerOptions::new("/run/csi/csi.sock");
//! let stop = async { /* until a signal comes */ };
//! serve(driver, options, Arc::new(NoObserver), stop).await
//! # }
//! ```

mod calls;
mod observer;
mod options;
mod serving;
mod socket;

pub use observer::{NoObserver, Observer};
pub use options::ServerOptions;
pub use serving::serve;

/// Servers and clients of the services, generated.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    clippy::wildcard_imports,
    reason = "generated from the proto file"
)]
pub mod services {
    include!("generated/services.rs");
}

#[cfg(test)]
mod tests;
