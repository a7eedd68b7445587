//! From what is seen and what is wanted to steps: pure.

mod access;
mod snapshots;
mod volumes;

pub(super) use access::{publish, remove, unpublish};
pub(super) use snapshots::{ensure_snapshot, roll_back};
pub(super) use volumes::{ensure_volume, grow, provisioning};

use open_local_core::Result;

use super::execute::Step;
use super::look::Object;
use crate::cli::Order;
use crate::plan::TagChange;
use crate::pool::tags::Label;

/// The order that makes an object say something else of itself; `None` if it says so.
pub(super) fn relabel(group: &str, object: &Object, label: &Label) -> Result<Option<Order>> {
    let wanted = label.write_over(&object.tags);
    let missing = |from: &[String], of: &[String]| -> Vec<String> {
        of.iter().filter(|tag| !from.contains(tag)).cloned().collect()
    };
    let tags =
        TagChange { add: missing(&object.tags, &wanted), remove: missing(&wanted, &object.tags) };
    if tags.add.is_empty() && tags.remove.is_empty() {
        return Ok(None);
    }
    Order::tag_volume(group, &object.name, &tags).map(Some)
}

/// The step that says of a new volume that it is whole.
fn ready(group: &str, name: &str, making: &Label, ready: &Label) -> Result<Step> {
    let (has, wanted) = (making.write(), ready.write());
    let tags = TagChange {
        add: wanted.iter().filter(|tag| !has.contains(tag)).cloned().collect(),
        remove: has.into_iter().filter(|tag| !wanted.contains(tag)).collect(),
    };
    Order::tag_volume(group, name, &tags).map(Step::Run)
}
