//! Thin pools and their volumes: what is asked, what it does to a group, and what the kernel is
//! told.
//!
//! A pool is a visible volume over two hidden ones, data (`_tdata`) and metadata (`_tmeta`); thin
//! volumes have virtual extents and a number in the pool, their device. A volume is made and
//! deleted in the kernel by messages, and group and kernel each keep a count of transactions, so
//! that a crash between the two shows. The order is always the same:
//!
//! 1. the group is committed with the messages and a count that is one higher;
//! 2. the messages are sent, then the kernel's count is set to the same;
//! 3. the messages are dropped from the group by a commit, or with the next one there is
//!    ([`super::Operation::ClearMessages`]): with equal counts nobody sends them again.
//!
//! [`settle`] says where a pool stands in this order, and [`Sending`] how an interrupted second
//! step is done again. All operations of one plan on a pool share one transaction.
//!
//! A plan that makes or deletes a volume is refused as `Busy` while the pool has messages of an
//! earlier transaction: call [`settle`] first, and put `ClearMessages` before it.
//!
//! ```
//! use open_local_core::Bytes;
//! use open_local_core::host::SystemEntropy;
//! use open_local_lvm::plan::thin::{NewThin, NewThinPool, Settlement, settle};
//! use open_local_lvm::plan::{
//!     Context, Geometry, LayoutOptions, NewGroup, NewPhysical, Operation, Size, create_group,
//!     plan,
//! };
//!
//! # let context = Context {
//! #     host: "node-1",
//! #     time: 1_800_000_000,
//! #     description: "an example",
//! #     system_id: None,
//! #     entropy: &SystemEntropy,
//! # };
//! # let disk = NewPhysical {
//! #     device: "/dev/sdb".to_owned(),
//! #     geometry: Geometry::plain("10GiB".parse()?),
//! #     options: LayoutOptions::default(),
//! # };
//! # let group = create_group(&NewGroup::new("data", vec![disk]), &context)?.metadata;
//! let size = |text: &str| Ok::<_, open_local_core::Error>(Size::AtLeast(text.parse::<Bytes>()?));
//! let pool = NewThinPool::new("pool", size("5GiB")?);
//! let with_pool = plan(&group, &[Operation::CreateThinPool(pool)], &context)?.metadata;
//!
//! let volume = NewThin::empty("db", "pool", size("100GiB")?);
//! let plan = plan(&with_pool, &[Operation::CreateThin(volume)], &context)?;
//! // Committed, but the kernel is still at transaction 0:
//! let Settlement::Pending(transaction) = settle(plan.group(), "pool", 0)? else { panic!() };
//! assert_eq!(transaction.messages[0].to_string(), "create_thin 1");
//! // Sent, and the kernel's count set:
//! assert_eq!(settle(plan.group(), "pool", 1)?, Settlement::Done(1));
//! # Ok::<(), open_local_core::Error>(())
//! ```

mod clear;
mod device_id;
mod grow;
mod messages;
mod part;
mod pool;
mod pool_options;
mod pool_size;
mod promise;
mod remove;
mod remove_pool;
mod roll_back;
mod sending;
mod settle;
mod spare;
mod spec;
mod volume;
mod words;

pub(super) use part::{is_pool, thin_of};
pub use pool_size::{MAX_CHUNK, MAX_METADATA, MIN_CHUNK, MIN_METADATA, PoolSize, PoolSizeRequest};
pub use promise::Promised;
pub use sending::{Answer, KernelMessage, Sending};
pub use settle::{Settlement, Transaction, settle};
pub use spec::{Discards, NewThin, NewThinPool, PoolChange, ThinSource};
