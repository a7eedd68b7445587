use open_local_core::host::MemoryBlock;
use proptest::prelude::*;

use super::*;

fn header(entries: u64, block: u32) -> Vec<u8> {
    let numbers = [MAGIC, VERSION, entries].map(u64::to_le_bytes).concat();
    let mut bytes = [numbers, block.to_le_bytes().to_vec()].concat();
    bytes.resize(usize::try_from(block).unwrap().max(512), 0);
    bytes
}

fn entry(offset: u64, blocks: u64, flags: u64, mark: &[u8], data: &[u8]) -> Vec<u8> {
    let length = u64::try_from(mark.len()).unwrap();
    let numbers = [offset, blocks, flags, length].map(u64::to_le_bytes).concat();
    let mut bytes = [&numbers, mark].concat();
    bytes.resize(512, 0);
    [&bytes, data].concat()
}

fn log(entries: &[Vec<u8>]) -> MemoryBlock {
    let count = u64::try_from(entries.len()).unwrap();
    MemoryBlock::new([header(count, 512), entries.concat()].concat())
}

#[test]
fn entries_are_read_in_order_with_their_places() {
    let log = log(&[
        entry(8, 2, METADATA, b"", &[1; 1024]),
        entry(0, 0, FLUSH, b"", b""),
        entry(16, 4, DISCARD, b"", b""),
        entry(0, 0, MARK, b"half way", b""),
        entry(1, 1, FUA, b"", &[2; 512]),
    ]);
    let found = read_log(&log).unwrap();
    let data: Vec<_> = found.iter().map(|e| (e.offset, e.length, e.what.clone())).collect();
    assert_eq!(
        data,
        [
            (4096, 1024, What::Data(1024)),
            (0, 0, What::Data(2560)),
            (8192, 2048, What::Discard),
            (0, 0, What::Mark("half way".to_owned())),
            (512, 512, What::Data(4096)),
        ]
    );
    let durable: Vec<_> = found.iter().map(Entry::is_durable).collect();
    assert_eq!(durable, [false, true, false, false, true]);
}

#[test]
fn what_is_no_log_is_refused() {
    for (odd, why) in [
        (vec![0; 512], "no write log"),
        (header(1, 512)[..20].to_vec(), ""),
        (header(0, 100), "impossible size"),
        (header(1, 512), ""),
        ([header(1, 512), entry(0, 9, 0, b"", b"")].concat(), "beyond its end"),
        ([header(1, 512), entry(0, u64::MAX, 0, b"", b"")].concat(), "beyond every disk"),
        ([header(1, 512), entry(0, 0, 1 << 9, b"", b"")].concat(), "unknown flag"),
        ([header(1, 512), entry(0, 0, MARK, &[b'x'; 480], b"")].concat(), ""),
        (header(u64::MAX, 512), ""),
    ] {
        match read_log(&MemoryBlock::new(odd)) {
            Err(error) => assert!(error.to_string().contains(why), "{error}"),
            Ok(found) => assert!(why.is_empty() && found.len() == 1, "{why}: {found:?}"),
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_give_a_log_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = parse_header(&bytes);
        let _ = parse_entry(&bytes, 512, 512);
        let _ = read_log(&MemoryBlock::new(bytes));
    }

    #[test]
    fn any_entry_lies_within_the_log_or_is_refused(
        numbers in any::<[u64; 4]>(),
        small in any::<[bool; 4]>(),
        count in 0_u64..4,
    ) {
        let mut fields = [0; 4];
        for ((field, number), small) in fields.iter_mut().zip(numbers).zip(small) {
            *field = if small { number % 8 } else { number };
        }
        let mut first = fields.map(u64::to_le_bytes).concat();
        first.resize(512, 0);
        let bytes = [header(count, 512), first, vec![0; 4096]].concat();
        let size = u64::try_from(bytes.len()).unwrap();
        if let Ok(found) = read_log(&MemoryBlock::new(bytes)) {
            for entry in found {
                if let What::Data(at) = entry.what {
                    prop_assert!(at + entry.length <= size);
                }
            }
        }
    }
}
