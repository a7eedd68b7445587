use proptest::prelude::*;

use super::*;

/// A whole message is the same with more behind it, and incomplete when anything is cut off.
fn stable<'a, T: PartialEq + std::fmt::Debug>(
    bytes: &'a [u8],
    parse: impl Fn(&'a [u8]) -> Parsed<T>,
) {
    if let Parsed::Whole(value, taken) = parse(bytes) {
        assert!(taken > 0 && taken <= bytes.len());
        assert_eq!(parse(&bytes[..taken]), Parsed::Whole(value, taken));
        for shorter in 0..taken {
            assert_eq!(parse(&bytes[..shorter]), Parsed::More, "{shorter} of {taken}");
        }
    }
}

fn words(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn option(number: u32, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap();
    words(&[&OPTION.to_be_bytes(), &number.to_be_bytes(), &length.to_be_bytes(), data])
}

fn request(flags: u16, kind: u16, offset: u64, length: u32, data: &[u8]) -> Vec<u8> {
    words(&[
        &REQUEST.to_be_bytes(),
        &flags.to_be_bytes(),
        &kind.to_be_bytes(),
        &7_u64.to_be_bytes(),
        &offset.to_be_bytes(),
        &length.to_be_bytes(),
        data,
    ])
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        stable(&bytes, parse_client_flags);
        stable(&bytes, parse_option);
        stable(&bytes, |bytes| parse_request(bytes, 64));
    }

    #[test]
    fn any_option_gives_an_answer(
        number in 0_u32..12,
        data in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let bytes = option(number, &data);
        stable(&bytes, parse_option);
        let whole = matches!(parse_option(&bytes), Parsed::Whole(_, taken) if taken == bytes.len());
        prop_assert!(whole);
    }

    #[test]
    fn any_request_gives_an_answer(
        flags in any::<u16>(), kind in 0_u16..9, offset in any::<u64>(),
        data in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let length = u32::try_from(data.len()).unwrap();
        stable(&request(flags, kind, offset, length, &data), |bytes| parse_request(bytes, 64));
    }
}

#[test]
fn options_are_told_apart() {
    let go = words(&[&4_u32.to_be_bytes(), b"disk", &1_u16.to_be_bytes(), &3_u16.to_be_bytes()]);
    for (number, data, wanted) in [
        (1, &b"disk"[..], Choice::ExportName(b"disk")),
        (2, b"", Choice::Abort),
        (2, b"why not", Choice::Abort),
        (3, b"", Choice::List),
        (3, b"x", Choice::Malformed),
        (6, &go, Choice::Info(b"disk")),
        (7, &go, Choice::Go(b"disk")),
        (7, &go[..go.len() - 1], Choice::Malformed),
        (7, b"", Choice::Malformed),
        (7, &[255; 6], Choice::Malformed),
        (5, b"", Choice::Unknown),
        (8, b"", Choice::Unknown),
    ] {
        let bytes = option(number, data);
        assert_eq!(parse_option(&bytes), Parsed::Whole((number, wanted), bytes.len()));
    }
    let huge = words(&[&OPTION.to_be_bytes(), &7_u32.to_be_bytes(), &u32::MAX.to_be_bytes()]);
    assert!(matches!(parse_option(&huge), Parsed::Bad(_)));
}

#[test]
fn requests_are_told_apart() {
    let of = |bytes: &[u8]| match parse_request(bytes, 1024) {
        Parsed::Whole(r, _) => format!("{:?} {} {} {}", r.command, r.offset, r.length, r.durable),
        other => format!("{other:?}"),
    };
    assert_eq!(of(&request(0, 0, 512, 99, b"")), "Read 512 99 false");
    assert_eq!(of(&request(1, 1, 0, 2, b"ab")), "Write([97, 98]) 0 2 true");
    assert_eq!(of(&request(0, 1, 0, 2, b"a")), "More");
    assert!(of(&request(0, 1, 0, 1025, b"")).starts_with("Bad"));
    assert_eq!(of(&request(0, 2, 0, 0, b"")), "Disconnect 0 0 false");
    assert_eq!(of(&request(0, 3, 0, 0, b"")), "Flush 0 0 false");
    assert_eq!(of(&request(0, 4, 0, u32::MAX, b"")), "Trim 0 4294967295 false");
    assert_eq!(of(&request(3, 6, 0, 512, b"")), "WriteZeroes 0 512 true");
    assert_eq!(of(&request(16, 6, 0, 512, b"")), "Unknown 0 512 false", "fast zero");
    assert_eq!(of(&request(0, 7, 0, 512, b"")), "Unknown 0 512 false", "block status");
}
