//! File systems and mounts.

use open_local_core::fs::{FsIdentity, FsUsage, Mounted};
use serde_json::{Value, json};

use super::{Facts, size};

/// `{"kind", "uuid", "label"}`.
#[must_use]
pub fn identity_json(identity: &FsIdentity) -> Value {
    json!({
        "kind": identity.kind.as_str(),
        "uuid": identity.uuid.to_string(),
        "label": identity.label,
    })
}

/// `{"target", "source", "number", "kind", "read_only", "options"}`.
#[must_use]
pub fn mounted_json(mounted: &Mounted) -> Value {
    json!({
        "target": mounted.target.to_string_lossy(),
        "source": mounted.source.to_string_lossy(),
        "number": mounted.number.to_string(),
        "kind": mounted.kind,
        "read_only": mounted.read_only,
        "options": mounted.options,
    })
}

/// Bytes and inodes.
#[must_use]
pub fn usage_json(usage: &FsUsage) -> Value {
    json!({
        "total": usage.total.get(),
        "used": usage.used.get(),
        "available": usage.available.get(),
        "inodes": usage.inodes,
        "inodes_used": usage.inodes_used,
    })
}

/// Bytes and inodes, for people.
#[must_use]
pub fn usage_facts(usage: &FsUsage) -> String {
    let inodes = if usage.inodes == 0 {
        format!("{} (made as needed)", usage.inodes_used)
    } else {
        format!("{} of {}", usage.inodes_used, usage.inodes)
    };
    Facts::new()
        .with("total", size::human(usage.total))
        .with("used", size::human(usage.used))
        .with("available", size::human(usage.available))
        .with("inodes used", inodes)
        .render()
}
