//! What works in the metadata alone, without a kernel.

use open_local_core::{
    Backend, Bytes, ErrorKind, FormatToken, Health, Phase, PoolExt, PublishSpec, VolumeId,
    VolumeSpec,
};

use crate::lab::{Lab, id, mib};

fn vol(name: &str) -> VolumeId {
    name.parse().unwrap()
}

fn made() -> Lab {
    let lab = Lab::new(&[64, 64]);
    let spec = Lab::spec(&["sda", "sdb"]);
    assert!(lab.backend().ensure_pool(&spec).unwrap().changed());
    assert!(!lab.backend().ensure_pool(&spec).unwrap().changed());
    lab
}

#[test]
fn volumes_are_made_grown_and_removed_in_the_metadata_alone() {
    let lab = made();
    let pool = lab.pool();
    let room = pool.info().unwrap();
    assert_eq!(room.health, Health::Healthy);
    // Two disks of 64 MiB less 17 MiB each, in extents of 4 MiB.
    assert_eq!(room.capacity.available, mib(88));
    let spec = VolumeSpec::new(vol("snapshot-1"), mib(5)).with_tag("team", "a b#c");
    let made = pool.ensure_volume(&spec).unwrap();
    assert!(made.changed());
    assert_eq!((made.get().size, made.get().requested), (mib(8), mib(5)));
    assert_eq!(made.get().tags, spec.tags);
    assert!(!pool.ensure_volume(&spec).unwrap().changed());
    let group = lab.group();
    let lv = group.logical("ol.v.snapshot-1").unwrap();
    assert!(lv.flags.has("NOAUTOACTIVATE"));
    assert!(pool.grow_volume(&spec.id, mib(60)).unwrap().changed());
    assert!(!pool.ensure_volume(&spec).unwrap().changed());
    let more = pool.grow_volume(&spec.id, mib(92)).unwrap_err();
    assert_eq!(more.kind(), ErrorKind::OutOfSpace);
    let tokens = pool.require_format_tokens().unwrap();
    assert_eq!(tokens.format_token(&spec.id).unwrap(), FormatToken::Unused);
    tokens.set_format_token(&spec.id, FormatToken::Spent).unwrap();
    assert!(tokens.set_format_token(&spec.id, FormatToken::Unused).is_err());
    let publish = pool.publish(&PublishSpec::new(spec.id.clone())).unwrap_err();
    assert_eq!(publish.kind(), ErrorKind::Unsupported);

    assert!(pool.remove_volume(&spec.id).unwrap().changed());
    assert!(!pool.remove_volume(&spec.id).unwrap().changed());
    let listed = pool.volumes().unwrap();
    assert_eq!(listed.len(), 1);
    assert!(matches!(listed[0].phase, Phase::Erasing(_)));
    assert_eq!(pool.info().unwrap().capacity.available, mib(28));
    assert_eq!(lab.backend().remove_pool(&id()).unwrap_err().kind(), ErrorKind::Busy);
    let piece = pool.maintain(mib(20)).unwrap();
    assert_eq!((piece.done, piece.left), (mib(20), mib(40)));
    // Another process goes on where this one was.
    let piece = lab.pool().maintain(Bytes::MAX).unwrap();
    assert_eq!((piece.done, piece.left), (mib(40), Bytes::ZERO));
    assert!(pool.volumes().unwrap().is_empty());
    assert!(lab.backend().remove_pool(&id()).unwrap().changed());
    assert!(!lab.backend().remove_pool(&id()).unwrap().changed());
    assert!(lab.backend().list_pools().unwrap().is_empty());
}
