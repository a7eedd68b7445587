//! The one checksum of the format.

/// What it starts from (lvm2 `INITIAL_CRC`; recomputed on samples of 2.03.16).
const INITIAL: u32 = 0xf597_a6cf;
/// CRC-32, reflected.
const POLYNOMIAL: u32 = 0xedb8_8320;

const TABLES: [[u32; 256]; 8] = tables();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks every index")]
#[expect(clippy::cast_possible_truncation, reason = "below 256")]
const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0u32; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

/// Bytes of one of four lanes, whose checksums are reckoned side by side: each step of one has to
/// wait for the step before it, but not for those of its neighbours.
const LANE: usize = 1024;

/// What a checksum becomes when a lane of zeroes follows, by each of its four bytes.
const BEHIND: [[u32; 256]; 4] = behind_tables();

/// A linear map of checksums, by what it makes of each bit.
type Map = [u32; 32];

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks every index")]
const fn applied(map: &Map, mut crc: u32) -> u32 {
    let mut sum = 0;
    let mut bit = 0;
    while crc != 0 {
        if crc & 1 == 1 {
            sum ^= map[bit];
        }
        crc >>= 1;
        bit += 1;
    }
    sum
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks every index")]
#[expect(clippy::cast_possible_truncation, reason = "below 256")]
const fn behind_tables() -> [[u32; 256]; 4] {
    let mut map: Map = [0; 32];
    let mut bit = 0;
    while bit < 32 {
        let crc = 1u32 << bit;
        map[bit] = (crc >> 8) ^ TABLES[0][(crc & 0xff) as usize];
        bit += 1;
    }
    // One byte of zeroes so far; each turn doubles that.
    let mut bytes = 1;
    while bytes < LANE {
        let mut twice: Map = [0; 32];
        bit = 0;
        while bit < 32 {
            twice[bit] = applied(&map, map[bit]);
            bit += 1;
        }
        map = twice;
        bytes *= 2;
    }
    let mut tables = [[0u32; 256]; 4];
    let mut table = 0;
    while table < 4 {
        let mut byte = 0;
        while byte < 256 {
            tables[table][byte] = applied(&map, (byte as u32) << (8 * table));
            byte += 1;
        }
        table += 1;
    }
    tables
}

/// The entry of a table; the lookup never misses, since an index is a byte.
const fn entry(table: &[u32; 256], index: u8) -> u32 {
    #[expect(clippy::indexing_slicing, reason = "a byte is a valid index of 256 entries")]
    table[index as usize]
}

/// The checksum of label sectors, metadata-area headers and metadata texts.
///
/// CRC-32 with the reflected polynomial `0xedb88320`, the initial value `0xf597a6cf` and no final
/// inversion.
#[must_use]
pub fn crc(data: &[u8]) -> u32 {
    crc_continued(INITIAL, data)
}

/// Continues a checksum, for a text in two parts: `crc_continued(crc(a), b)` is that of both.
#[must_use]
pub fn crc_continued(before: u32, data: &[u8]) -> u32 {
    let (lanes, rest) = data.as_chunks::<LANE>();
    let (fours, single) = lanes.as_chunks::<4>();
    let mut crc = before;
    for four in fours {
        crc = side_by_side(crc, four);
    }
    for lane in single {
        crc = in_turn(crc, lane);
    }
    in_turn(crc, rest)
}

fn side_by_side(before: u32, [a, b, c, d]: &[[u8; LANE]; 4]) -> u32 {
    let [mut first, mut second, mut third, mut fourth] = [before, 0, 0, 0];
    let [a, b, c, d] = [a, b, c, d].map(|lane| lane.as_chunks::<8>().0.iter());
    for (((a, b), c), d) in a.zip(b).zip(c).zip(d) {
        first = eight(first, a);
        second = eight(second, b);
        third = eight(third, c);
        fourth = eight(fourth, d);
    }
    behind(behind(behind(first) ^ second) ^ third) ^ fourth
}

/// What a checksum becomes when a lane of zeroes follows. The checksum of a lane that was begun
/// with zero, added to that, is the one of both lanes.
const fn behind(crc: u32) -> u32 {
    let [w, x, y, z] = crc.to_le_bytes();
    let [t0, t1, t2, t3] = &BEHIND;
    entry(t0, w) ^ entry(t1, x) ^ entry(t2, y) ^ entry(t3, z)
}

const fn eight(crc: u32, [a, b, c, d, e, f, g, h]: &[u8; 8]) -> u32 {
    let [t0, t1, t2, t3, t4, t5, t6, t7] = &TABLES;
    let [w, x, y, z] = (crc ^ u32::from_le_bytes([*a, *b, *c, *d])).to_le_bytes();
    entry(t7, w)
        ^ entry(t6, x)
        ^ entry(t5, y)
        ^ entry(t4, z)
        ^ entry(t3, *e)
        ^ entry(t2, *f)
        ^ entry(t1, *g)
        ^ entry(t0, *h)
}

fn in_turn(before: u32, data: &[u8]) -> u32 {
    let (words, rest) = data.as_chunks::<8>();
    let mut crc = words.iter().fold(before, eight);
    let [first, ..] = &TABLES;
    for byte in rest {
        let [low, ..] = (crc ^ u32::from(*byte)).to_le_bytes();
        crc = (crc >> 8) ^ entry(first, low);
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bit_by_bit(mut crc: u32, data: &[u8]) -> u32 {
        for byte in data {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            }
        }
        crc
    }

    #[test]
    fn the_polynomial_is_that_of_crc_32() {
        // The check value of CRC-32 (ISO-HDLC), with its own start and final inversion.
        assert_eq!(!crc_continued(!0, b"123456789"), 0xcbf4_3926);
    }

    proptest! {
        #[test]
        fn eight_at_a_time_is_the_same_as_one(data: Vec<u8>, cut: proptest::sample::Index) {
            prop_assert_eq!(crc(&data), bit_by_bit(INITIAL, &data));
            let (a, b) = data.split_at(cut.index(data.len() + 1));
            prop_assert_eq!(crc_continued(crc(a), b), crc(&data));
        }

        #[test]
        fn lanes_side_by_side_are_the_same_as_in_turn(
            data in proptest::collection::vec(any::<u8>(), 3 * LANE..9 * LANE + 100),
        ) {
            prop_assert_eq!(crc(&data), bit_by_bit(INITIAL, &data));
        }
    }
}
