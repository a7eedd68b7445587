//! Requests as nobody should make them: refused by field, never a panic, never a path elsewhere.

use open_local_csi::{Code, proto};
use proptest::prelude::*;

use crate::ask;
use crate::lab::{Lab, code};

fn long() -> String {
    "x".repeat(1 << 20)
}

#[test]
fn names_and_paths_of_a_megabyte_are_refused() {
    let lab = Lab::sim();
    let driver = &lab.driver;
    let invalid = Some(Code::InvalidArgument);
    assert_eq!(code(&driver.create_volume(&ask::create(&long()))), invalid);
    assert_eq!(code(&driver.delete_volume(&ask::delete(&long()))), invalid);
    assert_eq!(code(&driver.create_snapshot(&ask::snapshot(&long(), "v"))), invalid);
    assert_eq!(code(&driver.create_snapshot(&ask::snapshot("s", &long()))), invalid);
    assert_eq!(code(&driver.create_volume_group_snapshot(&ask::group("g", &[&long()]))), invalid);
    let path = format!("/{}", long());
    assert_eq!(code(&driver.node_unstage_volume(&ask::unstage("v", &path))), invalid);
    assert_eq!(code(&driver.node_unpublish_volume(&ask::unpublish("v", &path))), invalid);
    assert_eq!(code(&driver.node_get_volume_stats(&ask::stats("v", &path))), invalid);
    let mut request = ask::create("v");
    request.parameters.insert(long(), long());
    assert_eq!(code(&driver.create_volume(&request)), invalid);
}

#[test]
fn paths_that_lead_elsewhere_are_refused_and_messages_are_short() {
    let lab = Lab::sim();
    let volume = lab.staged("v");
    for path in ["/pods/../etc", "/pods/./x", "/", "//", "/pods/\0x", "pods/x", "/pods/\nx"] {
        let published =
            lab.driver.node_publish_volume(&ask::publish(&volume, &lab.staging("v"), path));
        assert_eq!(code(&published), Some(Code::InvalidArgument), "{path:?}");
        assert!(published.unwrap_err().message().len() <= 2048);
        let gone = lab.driver.node_unpublish_volume(&ask::unpublish("v", path));
        assert_eq!(code(&gone), Some(Code::InvalidArgument), "{path:?}");
    }
    let left = lab.driver.node_get_volume_stats(&ask::stats("v", &lab.staging("v")));
    assert!(left.is_ok(), "{left:?}");
}

#[test]
fn sizes_at_the_edges_are_refused_or_granted_and_nothing_overflows() {
    let lab = Lab::sim();
    let edges = [i64::MIN, -1, 0, 1, 511, 512, 513, i64::MAX - 1, i64::MAX];
    for required in edges {
        for limit in edges {
            let mut request = ask::create("v");
            request.capacity_range = ask::range(required, limit);
            if let Ok(made) = lab.driver.create_volume(&request) {
                let bytes = made.volume.unwrap().capacity_bytes;
                assert!(bytes >= required && (limit == 0 || bytes <= limit), "{required} {limit}");
                lab.driver.delete_volume(&ask::delete("v")).unwrap();
            }
        }
    }
}

#[test]
fn what_is_not_utf8_is_no_message() {
    use prost::Message;
    // Field 1, two bytes that are no text.
    let bytes = [0x0a, 0x02, 0xff, 0xfe];
    assert!(proto::DeleteVolumeRequest::decode(bytes.as_slice()).is_err());
    assert!(proto::CreateVolumeRequest::decode(bytes.as_slice()).is_err());
}

/// Reads a message if the bytes are one, and makes the call.
fn send<M: prost::Message + Default, A>(
    bytes: &[u8],
    call: impl Fn(&M) -> open_local_csi::Answer<A>,
) {
    if let Ok(message) = M::decode(bytes)
        && let Err(status) = call(&message)
    {
        assert!(!status.message().is_empty() && status.message().len() <= 2048);
        assert_ne!(status.code(), Code::Internal, "{status}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever message comes to whatever call: an answer, and no error of ours.
    #[test]
    fn any_message_gets_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in ".{0,40}") {
        let lab = Lab::sim();
        let d = &lab.driver;
        let mut named = vec![0x0a, u8::try_from(text.len().min(127)).unwrap()];
        named.extend(text.bytes().take(127));
        named.extend(&bytes);
        for bytes in [&bytes, &named] {
            send(bytes, |m| d.create_volume(m));
            send(bytes, |m| d.delete_volume(m));
            send(bytes, |m| d.validate_volume_capabilities(m));
            send(bytes, |m| d.list_volumes(m));
            send(bytes, |m| d.get_capacity(m));
            send(bytes, |m| d.create_snapshot(m));
            send(bytes, |m| d.delete_snapshot(m));
            send(bytes, |m| d.list_snapshots(m));
            send(bytes, |m| d.get_snapshot(m));
            send(bytes, |m| d.controller_expand_volume(m));
            send(bytes, |m| d.controller_get_volume(m));
            send(bytes, |m| d.controller_modify_volume(m));
            send(bytes, |m| d.create_volume_group_snapshot(m));
            send(bytes, |m| d.delete_volume_group_snapshot(m));
            send(bytes, |m| d.get_volume_group_snapshot(m));
            send(bytes, |m| d.node_stage_volume(m));
            send(bytes, |m| d.node_unstage_volume(m));
            send(bytes, |m| d.node_publish_volume(m));
            send(bytes, |m| d.node_unpublish_volume(m));
            send(bytes, |m| d.node_get_volume_stats(m));
            send(bytes, |m| d.node_expand_volume(m));
        }
        prop_assert_eq!(d.in_flight(), 0);
    }
}
