use proptest::prelude::*;

use super::*;
use crate::powercut::MemoryBacking;

const SIZE: u64 = 16 * SECTOR;

fn disk() -> PowerDisk {
    PowerDisk::new(MemoryBacking::new(usize::try_from(SIZE).unwrap()))
}

fn answers(session: &mut Session, disk: &mut PowerDisk, bytes: &[u8]) -> Vec<u8> {
    session.take(bytes);
    std::iter::from_fn(|| session.answer(disk)).flatten().collect()
}

fn option(number: u32, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap();
    [b"IHAVEOPT".as_slice(), &number.to_be_bytes(), &length.to_be_bytes(), data].concat()
}

fn go(name: &[u8]) -> Vec<u8> {
    let length = u32::try_from(name.len()).unwrap();
    option(7, &[&length.to_be_bytes(), name, &[0, 0]].concat())
}

fn request(flags: u16, kind: u16, offset: u64, length: u32) -> Vec<u8> {
    [
        &0x2560_9513_u32.to_be_bytes()[..],
        &flags.to_be_bytes(),
        &kind.to_be_bytes(),
        b"handle78",
        &offset.to_be_bytes(),
        &length.to_be_bytes(),
    ]
    .concat()
}

/// A session that reads and writes already.
fn using(disk: &mut PowerDisk) -> Session {
    let (mut session, hello) = Session::new();
    assert_eq!(hello, b"NBDMAGICIHAVEOPT\0\x03");
    assert!(answers(&mut session, disk, &[0, 0, 0, 3]).is_empty());
    let said = answers(&mut session, disk, &go(b""));
    assert!(said.ends_with(&[&[0, 0, 0, 7, 0, 0, 0, 1][..], &[0; 4]].concat()), "{said:?}");
    assert!(said.windows(8).any(|w| w == SIZE.to_be_bytes()));
    session
}

fn error_of(reply: &[u8]) -> u32 {
    assert_eq!(
        (&reply[..4], &reply[8..16]),
        (&0x6744_6698_u32.to_be_bytes()[..], &b"handle78"[..])
    );
    u32::from_be_bytes(reply[4..8].try_into().unwrap())
}

#[test]
fn what_is_written_is_read_and_flushed() {
    let mut disk = disk();
    let mut session = using(&mut disk);
    let write = [request(0, 1, SECTOR, 512), vec![7; 512]].concat();
    // Byte by byte: nothing depends on how it arrives.
    let said: Vec<u8> =
        write.iter().flat_map(|b| answers(&mut session, &mut disk, &[*b])).collect();
    assert_eq!((said.len(), error_of(&said)), (16, 0));
    assert_eq!(disk.status().pending, 1);
    let several = [request(0, 0, SECTOR, 512), request(0, 3, 0, 0)].concat();
    let said = answers(&mut session, &mut disk, &several);
    assert_eq!((said.len(), &said[16..528]), (16 + 512 + 16, &[7; 512][..]));
    assert_eq!((disk.status().pending, disk.status().flushes), (0, 1));
    let zero = request(1, 6, SECTOR, 512);
    assert_eq!(error_of(&answers(&mut session, &mut disk, &zero)), 0);
    assert_eq!(disk.status().pending, 0, "FUA");
    assert!(answers(&mut session, &mut disk, &request(0, 2, 0, 0)).is_empty());
    assert!(session.is_closed());
}

#[test]
fn each_refusal_has_its_number() {
    let mut disk = disk();
    let mut session = using(&mut disk);
    let mut refused = |disk: &mut PowerDisk, bytes: &[u8]| {
        let said = answers(&mut session, disk, bytes);
        assert_eq!(said.len(), 16, "no data");
        error_of(&said)
    };
    assert_eq!(refused(&mut disk, &request(0, 0, SIZE, 512)), 28);
    assert_eq!(refused(&mut disk, &request(0, 0, 0, u32::MAX)), 75);
    assert_eq!(refused(&mut disk, &request(0, 0, 1, 512)), 22);
    assert_eq!(refused(&mut disk, &request(0, 7, 0, 512)), 22);
    assert_eq!(refused(&mut disk, &request(0, 4, 0, u32::MAX)), 28);
    disk.cut(0).unwrap();
    assert_eq!(refused(&mut disk, &request(0, 0, 0, 512)), 108);
}

#[test]
fn the_handshake_knows_one_export() {
    let mut disk = disk();
    let start = |disk: &mut PowerDisk, bytes: &[u8]| {
        let (mut session, _) = Session::new();
        let said = answers(&mut session, disk, &[&[0, 0, 0, 1], bytes].concat());
        (said, session.is_closed())
    };
    let (said, closed) = start(&mut disk, &option(1, b"disk"));
    assert_eq!((said.len(), closed), (134, false), "with its zeroes");
    assert_eq!(start(&mut disk, &option(1, b"other")), (Vec::new(), true));
    let (said, closed) = start(&mut disk, &option(3, b""));
    assert!(said.windows(8).any(|w| w == b"\0\0\0\x04disk") && !closed);
    let (said, closed) = start(&mut disk, &go(b"other"));
    assert!(said.windows(4).any(|w| w == [0x80, 0, 0, 6]) && !closed);
    let (said, closed) = start(&mut disk, &option(8, b""));
    assert!(said.windows(4).any(|w| w == [0x80, 0, 0, 1]) && !closed, "structured replies");
    let (said, closed) = start(&mut disk, &option(2, b""));
    assert!(!said.is_empty() && closed);
    assert!(start(&mut disk, b"not an option, that").1);
    assert!(start(&mut disk, &option(3, b"").repeat(64)).1, "a client that never starts");
    disk.cut(0).unwrap();
    let (said, closed) = start(&mut disk, &go(b""));
    assert!(said.windows(4).any(|w| w == [0x80, 0, 0, 7]) && !closed);
    assert!(start(&mut disk, &option(1, b"")).1);
}

proptest! {
    #[test]
    fn any_bytes_are_answered_within_bounds(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        started in any::<bool>(),
    ) {
        let mut disk = disk();
        let mut session = if started { using(&mut disk) } else { Session::new().0 };
        let said = answers(&mut session, &mut disk, &bytes);
        prop_assert!(said.len() <= 4096);
    }
}
