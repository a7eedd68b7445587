//! Which pools a volume of a class may come from.

use open_local_core::{Bytes, Capabilities, Capacity, PoolInfo, Provisioning};

use crate::parameters::VolumeClass;
use crate::request::Capability;
use crate::service::{Candidate, Driver, PoolEntry};

impl Driver {
    /// The pools that serve a class and can be used in these ways, with their room as this class
    /// sees it. A pool that can't be read has none, and says so in the log.
    pub(super) fn candidates(&self, class: &VolumeClass, ways: &[Capability]) -> Vec<Candidate> {
        let serving = self.pools.iter().filter(|entry| entry.serves(class));
        serving.filter_map(|entry| candidate(entry, class, ways)).collect()
    }
}

fn candidate(entry: &PoolEntry, class: &VolumeClass, ways: &[Capability]) -> Option<Candidate> {
    let capabilities = entry.pool.capabilities();
    if !capabilities.block && ways.iter().any(Capability::is_block) {
        return None;
    }
    let provisioning = provisioning(&capabilities, class)?;
    let mut info = match entry.pool.info() {
        Ok(info) => info,
        Err(error) => {
            tracing::warn!(pool = %entry.name, error = %error.report(), "the pool can't be read");
            return None;
        }
    };
    if !erases(&info, class) {
        return None;
    }
    if provisioning == Provisioning::Thin {
        info.capacity = within_ratio(&info, class);
        if !behaves_when_full(entry, class) {
            return None;
        }
    }
    let (name, media) = (entry.name.clone(), entry.media);
    Some(Candidate { name, media, info, capabilities, provisioning })
}

/// Thin or thick, as the class asks, or thin where the pool makes both; `None` if it can't.
pub(super) fn provisioning(can: &Capabilities, class: &VolumeClass) -> Option<Provisioning> {
    let default = if can.thin { Provisioning::Thin } else { Provisioning::Thick };
    let wanted = class.provisioning.unwrap_or(default);
    let able = match wanted {
        Provisioning::Thin => can.thin,
        _ => can.thick,
    };
    able.then_some(wanted)
}

/// The room of a pool for a class that allows it to promise less than it may.
fn within_ratio(info: &PoolInfo, class: &VolumeClass) -> Capacity {
    let mut capacity = info.capacity;
    if let Some(ratio) = class.overcommit {
        let room = capacity.total.saturating_sub(capacity.reserved);
        let left = ratio.floor_of(room).saturating_sub(capacity.promised);
        let least = |size: Bytes| size.min(left);
        capacity.available = least(capacity.available);
        capacity.largest = least(capacity.largest);
    }
    capacity
}

/// Whether the pool erases what is removed as the class asks for.
pub(in crate::service) fn erases(info: &PoolInfo, class: &VolumeClass) -> bool {
    let Some(wanted) = &class.erase else {
        return true;
    };
    let how = info.details.get("erase").or_else(|| info.spec.parameters.get("erase"));
    how.map_or("none", String::as_str) == wanted
}

/// Whether writes to a full pool do what the class asks for.
fn behaves_when_full(entry: &PoolEntry, class: &VolumeClass) -> bool {
    use open_local_core::FullPolicy;
    let Some(wanted) = &class.when_full else {
        return true;
    };
    let policy = entry.pool.thin().and_then(|thin| thin.thin_policy().ok());
    policy.is_some_and(|policy| match policy.when_full {
        FullPolicy::Queue => wanted == "queue",
        _ => wanted == "error",
    })
}
