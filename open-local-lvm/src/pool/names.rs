//! Which volume of a group has which of our names (pure).
//!
//! A volume of ours is called as its id wherever LVM takes that, so that what the original made
//! under the same name is the same volume. Volumes and snapshots share the names of a group, LVM
//! keeps some names for itself (those that begin with `snapshot`, as the ids of CSI snapshots do),
//! and the kernel's names of devices are short: where an id does not fit, the volume gets a name
//! made from it, and a tag keeps the id. The same id always gives the same name.
//!
//! | Name | Stands for |
//! |---|---|
//! | the id | a volume |
//! | `ol.v.ID` | a volume whose id LVM keeps for itself |
//! | `ol.s.ID` | a snapshot |
//! | `ol.h.HASH` | either, where that is too long or holds a reserved part |
//! | `ol.e.UUID` | what is being erased |
//! | `ol.r.HASH` | the next content of a volume while it is rolled back |

use open_local_core::{SnapshotId, VolumeId};

use crate::format::names::{MAX_NAME, check_new_volume_name};

/// What the names begin with that are made here.
const OURS: &str = "ol.";

/// Whether a volume of this group may be called so: LVM takes it, and so does the kernel.
fn fits(group: &str, name: &str) -> bool {
    let doubled = |text: &str| text.len() + text.bytes().filter(|byte| *byte == b'-').count();
    check_new_volume_name(name).is_ok() && doubled(group) + 1 + doubled(name) <= MAX_NAME
}

/// A hash of 128 bits that never changes (FNV-1a). Two ids with one hash are told apart by the
/// tag that keeps the id, and the second is refused.
fn hash(kind: &str, id: &str) -> String {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    const START: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    let bytes = kind.bytes().chain([0]).chain(id.bytes());
    let sum = bytes.fold(START, |sum, byte| (sum ^ u128::from(byte)).wrapping_mul(PRIME));
    format!("{sum:032x}")
}

/// The name a volume of ours has in a group.
#[must_use]
pub fn volume_name(group: &str, id: &VolumeId) -> String {
    let id = id.as_str();
    if !id.starts_with(OURS) && fits(group, id) {
        return id.to_owned();
    }
    made(group, "v", id)
}

/// The name a snapshot of ours has in a group.
#[must_use]
pub fn snapshot_name(group: &str, id: &SnapshotId) -> String {
    made(group, "s", id.as_str())
}

fn made(group: &str, kind: &str, id: &str) -> String {
    let plain = format!("{OURS}{kind}.{id}");
    if fits(group, &plain) { plain } else { format!("{OURS}h.{}", hash(kind, id)) }
}

/// The name of what is being erased, from the UUID it has in the group.
#[must_use]
pub fn erasing_name(uuid: &crate::format::id::LvmId) -> String {
    format!("{OURS}e.{}", hash("e", &uuid.to_plain()))
}

/// The name of the next content of a volume while it is rolled back.
#[must_use]
pub fn rolling_name(volume: &str) -> String {
    format!("{OURS}r.{}", hash("r", volume))
}

/// Whether a name was made here: such a one stands for an id only together with its tag.
#[must_use]
pub fn is_made(name: &str) -> bool {
    name.starts_with(OURS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn volume(id: &str) -> String {
        volume_name("vg", &id.parse().unwrap())
    }

    #[test]
    fn a_volume_is_called_as_its_id_unless_lvm_does_not_take_it() {
        assert_eq!(volume("local-0c5b2a86"), "local-0c5b2a86");
        assert_eq!(volume("snapshot-1"), "ol.v.snapshot-1");
        assert_eq!(volume("ol.v.snapshot-1"), "ol.v.ol.v.snapshot-1");
        assert!(volume("a_tdata").starts_with("ol.h."));
        assert!(volume(&"x-".repeat(50)).starts_with("ol.h."));
        let snapshot = snapshot_name("vg", &"snapshot-1".parse().unwrap());
        assert_eq!(snapshot, "ol.s.snapshot-1");
    }

    #[test]
    fn names_do_not_change_between_versions() {
        assert_eq!(volume("a_tdata"), "ol.h.a288a3d1ed067b562142b74b57c1f5ad");
    }

    proptest! {
        #[test]
        fn every_id_has_a_name_that_lvm_takes_and_no_two_have_the_same(
            group in "[a-z][a-z-]{0,19}",
            one in "[a-zA-Z0-9][a-zA-Z0-9._+-]{0,99}",
            two in "(ol[.][vshe][.])?[a-zA-Z0-9][a-zA-Z0-9._+-]{0,60}",
        ) {
            let v = |id: &str| volume_name(&group, &id.parse().unwrap());
            let s = |id: &str| snapshot_name(&group, &id.parse().unwrap());
            for name in [v(&one), s(&one), v(&two), s(&two), rolling_name(&v(&one))] {
                prop_assert!(fits(&group, &name), "{name}");
            }
            prop_assert_ne!(v(&one), s(&two));
            prop_assert_eq!(v(&one) == v(&two), one == two);
            prop_assert_eq!(s(&one) == s(&two), one == two);
            if let Ok(inner) = v(&one).parse::<VolumeId>() {
                prop_assert_eq!(volume_name(&group, &inner) == v(&one), !is_made(&v(&one)));
            }
        }
    }
}
