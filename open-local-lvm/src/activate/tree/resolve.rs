//! Tables for the kernel, once the numbers of the tree's own devices are known.

use open_local_core::DeviceNumber;

use super::{Below, Line, Target};
use crate::activate::names::VolumeUuid;
use crate::dm::table::{Area, PoolFeatures, Table, TableLine, Target as DmTarget};

/// The table with numbers; `None` while a device it lies on has none.
pub(in crate::activate) fn resolve(
    lines: &[Line],
    number_of: &dyn Fn(&VolumeUuid) -> Option<DeviceNumber>,
) -> Option<Table> {
    let number = |below: &Below| match below {
        Below::Device(number) => Some(*number),
        Below::Layer(uuid) => number_of(uuid),
    };
    let line = |line: &Line| Some(TableLine::new(line.start, line.length, target(line, &number)?));
    lines.iter().map(line).collect::<Option<Vec<_>>>().map(Table::from_lines)
}

fn target(line: &Line, number: &dyn Fn(&Below) -> Option<DeviceNumber>) -> Option<DmTarget> {
    Some(match &line.target {
        Target::Linear { below, start } => {
            DmTarget::Linear(Area { device: number(below)?, offset: *start })
        }
        Target::Striped { stripe_size, areas } => {
            let area =
                |(below, start): &(Below, _)| Some(Area { device: number(below)?, offset: *start });
            let stripes = areas.iter().map(area).collect::<Option<_>>()?;
            DmTarget::Striped { chunk: *stripe_size, stripes }
        }
        Target::ThinPool(pool) => DmTarget::ThinPool {
            metadata: number(&pool.metadata)?,
            data: number(&pool.data)?,
            block: pool.chunk_size,
            low_water: pool.low_water_mark,
            features: PoolFeatures {
                skip_block_zeroing: pool.skip_block_zeroing,
                ignore_discard: pool.ignore_discard,
                no_discard_passdown: pool.no_discard_passdown,
                read_only: false,
                error_if_no_space: pool.error_if_no_space,
            },
        },
        Target::Thin { pool, device_id, external_origin } => DmTarget::Thin {
            pool: number(pool)?,
            id: *device_id,
            external: external_origin.as_ref().map(number).map_or(Some(None), |n| n.map(Some))?,
        },
    })
}
