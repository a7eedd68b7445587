//! A backend whose removals of volumes block until the gate of their name opens.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};

use super::HANGS;
use crate::change::{Change, Plan};
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::ids::{PoolId, VolumeId};
use crate::info::{Attachment, PoolInfo, VolumeInfo};
use crate::outcome::{Ensured, Grown, Removed};
use crate::spec::{PoolSpec, PublishSpec, Source, VolumeSpec};
use crate::units::Bytes;
use crate::{Backend, Capabilities, Pool};

#[derive(Debug, Default)]
struct State {
    open: BTreeSet<String>,
    inside: usize,
    most: usize,
    began: usize,
    ended: usize,
}

/// The backend and all its pools; clones share the gates.
#[derive(Debug, Clone, Default)]
pub(super) struct Gated(Arc<(Mutex<State>, Condvar)>);

impl Gated {
    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.0.lock().unwrap())
    }

    pub(super) fn open(&self, gate: &str) {
        self.with(|s| s.open.insert(gate.to_owned()));
        self.0.1.notify_all();
    }

    /// Calls before a gate now, the most there ever were at once, all that began, all that ended.
    pub(super) fn inside(&self) -> usize {
        self.with(|s| s.inside)
    }

    pub(super) fn most(&self) -> usize {
        self.with(|s| s.most)
    }

    pub(super) fn began(&self) -> usize {
        self.with(|s| s.began)
    }

    pub(super) fn ended(&self) -> usize {
        self.with(|s| s.ended)
    }

    fn pass(&self, gate: &str) {
        let mut state = self.0.0.lock().unwrap();
        state.began += 1;
        state.inside += 1;
        state.most = state.most.max(state.inside);
        let shut = |s: &mut State| !s.open.contains(gate);
        let (mut state, waited) = self.0.1.wait_timeout_while(state, HANGS, shut).unwrap();
        state.inside -= 1;
        state.ended += 1;
        assert!(!waited.timed_out(), "nobody opened {gate}");
    }
}

fn none<T>() -> Result<T> {
    let error = Error::new(ErrorKind::Unsupported, Op::Conformance, Subject::Host, "no");
    Err(error)
}

impl Backend for Gated {
    fn name(&self) -> &str {
        "gated"
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities::MINIMAL
    }
    fn list_pools(&self) -> Result<Vec<PoolInfo>> {
        Ok(Vec::new())
    }
    fn open_pool(&self, _: &PoolId) -> Result<Arc<dyn Pool>> {
        Ok(Arc::new(self.clone()))
    }
    fn ensure_pool(&self, _: &PoolSpec) -> Result<Ensured<PoolInfo>> {
        none()
    }
    fn remove_pool(&self, _: &PoolId) -> Result<Removed<PoolInfo>> {
        none()
    }
}

impl Pool for Gated {
    fn info(&self) -> Result<PoolInfo> {
        none()
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities::MINIMAL
    }
    fn volume(&self, _: &VolumeId) -> Result<VolumeInfo> {
        none()
    }
    fn volumes(&self) -> Result<Vec<VolumeInfo>> {
        Ok(Vec::new())
    }
    fn ensure_volume(&self, _: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        none()
    }
    fn grow_volume(&self, _: &VolumeId, _: Bytes) -> Result<Grown<VolumeInfo>> {
        none()
    }
    fn publish(&self, _: &PublishSpec) -> Result<Ensured<Attachment>> {
        none()
    }
    fn unpublish(&self, _: &Source) -> Result<Removed<Attachment>> {
        none()
    }
    fn remove_volume(&self, id: &VolumeId) -> Result<Removed<VolumeInfo>> {
        self.pass(id.as_str());
        Ok(Removed::WasAbsent)
    }
    fn plan(&self, _: &Change) -> Result<Plan> {
        none()
    }
}
