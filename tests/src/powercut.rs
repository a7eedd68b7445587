//! A disk that loses power: what was not flushed may be lost, torn or come in another order.
//!
//! Killing an emulator loses nothing that it completed, so a test of what survives a power cut
//! needs a disk with a cache of its own. This one keeps every write since the last flush in
//! memory; a cut drops, tears or reorders some of them as its seed says, writes what is left to
//! the backing, and refuses everything until the power is back.
//!
//! | Module | Holds |
//! |---|---|
//! | [`disk`] | the disk: overlay, flush, cut (no machine) |
//! | [`fate`] | what becomes of each write, from a seed (pure) |
//! | [`wire`] | the NBD protocol: parsers and replies (pure, total) |
//! | [`session`] | one connection: bytes in, bytes out (no socket) |
//! | [`backing`] | what lies below: memory, or a sparse file |
//! | [`server`] | a unix socket and threads around all that |
//!
//! The program `open-local-powerdisk` serves such a disk to an emulator; a guest serves one to
//! its own kernel's nbd driver.

pub mod backing;
pub mod disk;
pub mod fate;
pub mod server;
pub mod session;
pub mod wire;

pub use backing::{Backing, FileBacking, MemoryBacking};
pub use disk::{Aftermath, PowerDisk, Refused, Status};
pub use server::Server;
