//! Making and removing pools.

use super::conflict;
use crate::error::{Error, ErrorKind, Op, Result};
use crate::ids::PoolId;
use crate::sim::state::{PoolState, Stage, World};
use crate::sim::step::Step;
use crate::spec::PoolSpec;

/// The steps that make sure a pool exists.
pub(in crate::sim) fn ensure_pool(world: &World, spec: &PoolSpec) -> Result<Vec<Step>> {
    spec.validate()?;
    let refuse = |kind, message: String, remedy: &str| {
        Err(Error::new(kind, Op::EnsurePool, &spec.id, message).with_remedy(remedy))
    };
    if let Some(key) = spec.parameters.keys().next() {
        return refuse(
            ErrorKind::InvalidArgument,
            format!("there is no parameter {}", crate::Subject::value(key)),
            "the simulator has no parameters; leave it out",
        );
    }
    let finish = Step::FinishPool(spec.id.clone());
    let mut steps = Vec::new();
    match world.pools.get(&spec.id) {
        Some(pool) if pool.stage == Stage::Erasing => steps = remove_steps(pool),
        Some(pool) => {
            same_pool(&pool.spec, spec)?;
            return Ok(match pool.stage {
                Stage::Making => vec![finish],
                _ => Vec::new(),
            });
        }
        None => {}
    }
    if spec.capacity.is_some_and(|capacity| capacity > world.disk) {
        return refuse(
            ErrorKind::OutOfSpace,
            format!("the disk has {}, less than the capacity asked for", world.disk),
            "lower the capacity or leave it out",
        );
    }
    if spec.reserve >= world.disk {
        return refuse(
            ErrorKind::InvalidArgument,
            format!("the reserve leaves nothing of the disk's {}", world.disk),
            "lower the reserve",
        );
    }
    steps.push(Step::RecordPool(spec.clone()));
    steps.push(finish);
    Ok(steps)
}

fn same_pool(there: &PoolSpec, wanted: &PoolSpec) -> Result<()> {
    let text = |field: &dyn std::fmt::Debug| format!("{field:?}");
    let fields = [
        ("location", text(&there.location), text(&wanted.location)),
        ("capacity", text(&there.capacity), text(&wanted.capacity)),
        ("reserve", text(&there.reserve), text(&wanted.reserve)),
        ("overcommit", text(&there.overcommit), text(&wanted.overcommit)),
    ];
    match fields.into_iter().find(|(_, a, b)| a != b) {
        Some((field, a, b)) => Err(conflict(Op::EnsurePool, &wanted.id, field, a, b)),
        None => Ok(()),
    }
}

/// The steps that remove a pool; it must exist.
pub(in crate::sim) fn remove_pool(world: &World, id: &PoolId) -> Result<Vec<Step>> {
    let pool = world.pool(Op::RemovePool, id)?;
    if pool.stage != Stage::Erasing && !(pool.volumes.is_empty() && pool.snapshots.is_empty()) {
        let message = format!(
            "it holds {} volumes and {} snapshots",
            pool.volumes.len(),
            pool.snapshots.len()
        );
        return Err(Error::new(ErrorKind::Busy, Op::RemovePool, id, message)
            .with_remedy("remove them first"));
    }
    Ok(remove_steps(pool))
}

fn remove_steps(pool: &PoolState) -> Vec<Step> {
    let id = &pool.spec.id;
    match pool.stage {
        Stage::Erasing => vec![Step::ForgetPool(id.clone())],
        _ => vec![Step::MarkPoolRemoving(id.clone()), Step::ForgetPool(id.clone())],
    }
}

/// The steps that finish what an interrupted call left of the pool itself.
pub(in crate::sim) fn recover_pool(pool: &PoolState) -> Vec<Step> {
    match pool.stage {
        Stage::Making => vec![Step::FinishPool(pool.spec.id.clone())],
        Stage::Erasing => remove_steps(pool),
        Stage::Ready => Vec::new(),
    }
}
