//! The gRPC services on a unix socket, and the clients.
//!
//! Feature `server`.

mod observer;
mod options;

pub use observer::{NoObserver, Observer};
pub use options::ServerOptions;

#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::all,
    clippy::wildcard_imports,
    reason = "generated from the proto file"
)]
pub mod services {
    include!("generated/services.rs");
}
