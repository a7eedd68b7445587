//! What the fixtures of the test tiers read.

use open_local_core::host::MemoryBlock;
use open_local_tests::dm::log_format::{What, read_log};
use open_local_tests::powercut::session::Session;
use open_local_tests::powercut::wire::{Parsed, parse_client_flags, parse_option, parse_request};
use open_local_tests::powercut::{MemoryBacking, PowerDisk};

const DISK: usize = 64 << 10;

/// A connection answers the same however its bytes arrive, and a message is whole or not.
pub(crate) fn nbd(data: &[u8]) {
    whole(data, parse_client_flags);
    whole(data, parse_option);
    whole(data, |bytes| parse_request(bytes, 4096));
    // Messages of a few bytes may ask for much, so that only a few bytes are taken.
    let data = data.get(..512).unwrap_or(data);
    let at_once = converse(data.chunks(data.len().max(1)));
    assert_eq!(at_once, converse(data.chunks(1)));
}

fn converse<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, bool) {
    let mut disk = PowerDisk::new(MemoryBacking::new(DISK));
    let (mut session, mut said) = Session::new();
    for piece in pieces {
        session.take(piece);
        said.extend(std::iter::from_fn(|| session.answer(&mut disk)).flatten());
    }
    (said, session.is_closed())
}

fn whole<'a, T: PartialEq + std::fmt::Debug>(
    bytes: &'a [u8],
    parse: impl Fn(&'a [u8]) -> Parsed<T>,
) {
    if let Parsed::Whole(value, taken) = parse(bytes) {
        let (used, _) = bytes.split_at(taken);
        assert_eq!(parse(used), Parsed::Whole(value, taken));
        let (cut, _) = bytes.split_at(taken - 1);
        assert_eq!(parse(cut), Parsed::More);
    }
}

/// What an entry refers to is in the log.
pub(crate) fn write_log(data: &[u8]) {
    let size = u64::try_from(data.len()).unwrap();
    for entry in read_log(&MemoryBlock::new(data.to_vec())).unwrap_or_default() {
        if let What::Data(at) = entry.what {
            assert!(at + entry.length <= size, "{entry:?}");
        }
    }
}
