//! Scripts for device-mapper, run on any implementation and told as text.
//!
//! The simulated kernel is kept honest so: a script runs on it and on a real kernel, and both
//! must tell the same. A script is lines; a name is a device's, in tables too.
//!
//! | Line | Does |
//! |---|---|
//! | `create NAME [UUID]` | makes a device |
//! | `load NAME TABLE`, `loadro …` | gives it a table; ` / ` between its lines |
//! | `clear NAME`, `remove NAME`, `rename NAME NEW` | |
//! | `suspend NAME`, `quick NAME` | the second without flush and freeze |
//! | `resume NAME` | |
//! | `table NAME`, `status NAME`, `deps NAME`, `info NAME` | |
//! | `message NAME TEXT` | |
//! | `write NAME OFFSET LENGTH BYTE`, `read NAME OFFSET LENGTH` | in KiB |
//! | `flush NAME`, `discard NAME OFFSET LENGTH` | |
//! | `hold NAME`, `release NAME` | opens it with a claim until released |
//! | `make NAME TABLE` | create, load and resume |
//!
//! An answer is what was asked for, or the error's kind (of I/O: its number), and after a change
//! what the kernel says of the device. Left out is what may differ: numbers of devices, and how
//! many blocks a pool's metadata takes.

mod player;
mod scripts;
mod simulated;

pub use player::{Player, Stage};
pub use scripts::ALL;
pub use simulated::on_simulation;
