//! Requests of the Container Storage Interface as they come over the wire, and the settings of the
//! program that serves it.

use open_local_core::{ErrorKind, Subject};
use open_local_csi::Answer;
use open_local_csi::Code;
use open_local_csi::context::VolumeContext;
use open_local_csi::proto;
use open_local_csi::request::{
    CreateGroup, CreateSnapshot, CreateVolume, DeleteSnapshot, DeleteVolume, ExpandOnNode,
    ExpandVolume, GetCapacity, GetVolume, ListSnapshots, ModifyVolume, NamedGroup, Page, Publish,
    Stage, Stats, Unpublish, Unstage, ValidateCapabilities,
};
use open_local_examples::csi::file;
use open_local_examples::csi::pools::Definition;
use open_local_examples::csi::settings::Settings;
use prost::Message;
use std::path::{Component, Path};

/// The first byte chooses the call, the rest is its message.
pub(crate) fn request(data: &[u8]) {
    let Some((which, bytes)) = data.split_first() else {
        return;
    };
    match which % 20 {
        0 => read(bytes, CreateVolume::read, |one| name(one.wanted.id.as_str())),
        1 => read(bytes, DeleteVolume::read, drop_checked),
        2 => read(bytes, ValidateCapabilities::read, drop_checked),
        3 => read(bytes, list_volumes, drop_checked),
        4 => read(bytes, GetVolume::read, drop_checked),
        5 => read(bytes, ModifyVolume::read, drop_checked),
        6 => read(bytes, GetCapacity::read, drop_checked),
        7 => read(bytes, ExpandVolume::read, |one| assert!(!one.size.required.is_zero())),
        8 => read(bytes, CreateSnapshot::read, |one| name(one.wanted.id.as_str())),
        9 => read(bytes, DeleteSnapshot::read, drop_checked),
        10 => read(bytes, ListSnapshots::read, drop_checked),
        11 => read(bytes, CreateGroup::read, |one| assert!(!one.volumes.is_empty())),
        12 => read(bytes, NamedGroup::delete, drop_checked),
        13 => read(bytes, NamedGroup::get, drop_checked),
        14 => read(bytes, Stage::read, |one| path(&one.staging)),
        15 => read(bytes, Unstage::read, |one| path(&one.staging)),
        16 => read(bytes, Publish::read, |one| {
            path(&one.target);
            one.staging.iter().for_each(|at| path(at));
        }),
        17 => read(bytes, Unpublish::read, |one| path(&one.target)),
        18 => read(bytes, Stats::read, |one| one.path.iter().for_each(|at| path(at))),
        _ => read(bytes, ExpandOnNode::read, |one| one.path.iter().for_each(|at| path(at))),
    }
}

/// Keys and values, a line each.
pub(crate) fn context(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let map = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let _ = VolumeContext::read(&map);
}

/// A configuration file, and each of its lines as the definition of a pool.
pub(crate) fn settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for line in text.lines() {
        match line.parse::<Definition>() {
            Ok(pool) => assert!(!pool.backend.is_empty() && pool.spec.validate().is_ok()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}"),
        }
    }
    let error = match file::layer(text, Path::new("/csi.yaml")) {
        Ok(layer) => Settings::read(&layer).err(),
        Err(mistakes) => Some(mistakes.into_error(&Subject::Host)),
    };
    if let Some(error) = error {
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.remedy().is_some(), "{error}");
    }
}

fn list_volumes(message: &proto::ListVolumesRequest) -> Answer<Page> {
    Page::read(message.max_entries, &message.starting_token)
}

fn drop_checked<T>(_: T) {}

/// A message is read or refused by a code of the request, and its `Debug` can be printed.
fn read<M: Message + Default + std::fmt::Debug, T>(
    bytes: &[u8],
    read: impl Fn(&M) -> Answer<T>,
    check: impl Fn(T),
) {
    let Ok(message) = M::decode(bytes) else {
        return;
    };
    let _ = format!("{message:?}");
    match read(&message) {
        Ok(request) => check(request),
        Err(status) => {
            let codes = [Code::InvalidArgument, Code::OutOfRange, Code::Aborted];
            assert!(codes.contains(&status.code()), "{status}");
            assert!(!status.message().is_empty());
        }
    }
}

fn name(id: &str) {
    assert_eq!(Path::new(id).components().count(), 1);
    assert!(!id.starts_with('.') && id.len() <= 128);
}

/// Absolute, below the root, and nowhere else.
fn path(path: &Path) {
    assert!(path.is_absolute() && path.components().count() > 1);
    let mut parts = path.components().skip(1);
    assert!(parts.all(|part| matches!(part, Component::Normal(_))), "{}", path.display());
}
