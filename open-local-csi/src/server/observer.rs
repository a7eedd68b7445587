//! Who wants to know of each call: metrics and logs.

use std::fmt::Debug;
use std::time::Duration;

use crate::errors::Code;
use crate::rpc::Rpc;

/// Told of every call; must not block.
pub trait Observer: Debug + Send + Sync {
    /// A call was taken up.
    fn begun(&self, rpc: Rpc);

    /// A call was answered, or would have been had its caller waited: `None` is OK.
    fn ended(&self, rpc: Rpc, code: Option<Code>, took: Duration);
}

/// Wants to know nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn begun(&self, _rpc: Rpc) {}
    fn ended(&self, _rpc: Rpc, _code: Option<Code>, _took: Duration) {}
}
