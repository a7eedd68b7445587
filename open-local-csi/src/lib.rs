#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod context;
pub mod errors;
pub mod names;
pub mod parameters;
pub mod proto;
pub mod request;
pub mod service;

#[cfg(feature = "server")]
pub mod server;

mod rpc;

pub use errors::{Answer, Code, Status};
pub use rpc::Rpc;
