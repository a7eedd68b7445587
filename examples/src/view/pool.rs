//! Pools.

use open_local_core::{Capabilities, PoolInfo, ThinUsage};
use serde_json::{Value, json};

use super::{Facts, Grid, capability, size};

/// A pool; all sizes in bytes, the ratio in millionths.
#[must_use]
pub fn json(pool: &PoolInfo) -> Value {
    let (spec, room) = (&pool.spec, &pool.capacity);
    json!({
        "name": pool.id().as_str(),
        "backend": pool.backend,
        "location": spec.location.as_ref().map(|p| p.to_string_lossy()),
        "limit": spec.capacity.map(|n| n.get()),
        "reserve": spec.reserve.get(),
        "overcommit_ppm": spec.overcommit.ppm(),
        "parameters": spec.parameters,
        "capacity": {
            "total": room.total.get(),
            "used": room.used.get(),
            "promised": room.promised.get(),
            "reserved": room.reserved.get(),
            "available": room.available.get(),
            "largest": room.largest.get(),
        },
        "health": super::health(&pool.health),
        "details": pool.details,
    })
}

/// One pool with what it can do and what it promises.
#[must_use]
pub fn full_json(pool: &PoolInfo, can: &Capabilities, thin: Option<&ThinUsage>) -> Value {
    json!({
        "pool": json(pool),
        "capabilities": capability::json(can),
        "thin": thin.map(|usage| json!({
            "data_total": usage.data_total.get(),
            "data_used": usage.data_used.get(),
            "metadata_total": usage.metadata_total.get(),
            "metadata_used": usage.metadata_used.get(),
            "promised": usage.promised.get(),
        })),
    })
}

/// Pools, one a row.
#[must_use]
pub fn table(pools: &[PoolInfo]) -> String {
    let mut grid = Grid::new(
        &["NAME", "BACKEND", "TOTAL>", "USED>", "USED%>", "PROMISED>", "AVAILABLE>", "HEALTH"],
        "there is no pool; make one: open-local pool create NAME",
    );
    for pool in pools {
        let room = &pool.capacity;
        grid.row([
            pool.id().to_string(),
            pool.backend.clone(),
            size::human(room.total),
            size::human(room.used),
            size::percent(room.used_ratio()),
            size::human(room.promised),
            size::human(room.available),
            pool.health.to_string(),
        ]);
    }
    grid.render()
}

/// One pool in full.
#[must_use]
pub fn facts(pool: &PoolInfo, can: &Capabilities) -> String {
    let (spec, room) = (&pool.spec, &pool.capacity);
    let mut facts = Facts::new()
        .with("name", pool.id())
        .with("backend", &pool.backend)
        .with_some("location", spec.location.as_ref().map(|p| p.display()))
        .with("total", size::human(room.total))
        .with("used", size::human(room.used))
        .with("promised", size::human(room.promised))
        .with("reserved", size::human(room.reserved))
        .with("available", size::human(room.available))
        .with("largest volume", size::human(room.largest))
        .with("overcommit", spec.overcommit)
        .with("health", &pool.health)
        .with("snapshots", can.snapshots.as_str())
        .with("clones", can.clones.as_str())
        .with("can", capability::words(can));
    for (name, value) in pool.details.iter().chain(&spec.parameters) {
        facts = facts.with(name, value);
    }
    facts.render()
}
