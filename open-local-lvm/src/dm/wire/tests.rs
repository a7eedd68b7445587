use proptest::prelude::*;

use super::*;

/// A header with a payload, as the kernel answers.
fn answer(targets: u32, flags: u32, payload: &[u8]) -> Answer {
    let request =
        Request { target_count: targets, flags, payload: payload.into(), ..Request::default() };
    Answer::new(&request.buffer(0).unwrap())
}

#[test]
fn a_call_lies_where_the_kernel_reads_it() {
    let request = Request::new_device("name", "uuid").with_flags(READ_ONLY);
    let table = "0 8 linear 7:0 1\n8 8 zero".parse().unwrap();
    let buffer = request.with_table(&table).unwrap().buffer(1000).unwrap();
    let answer = Answer::new(&buffer);
    let bytes = &answer.0;
    assert_eq!((u32_at(bytes, 0).unwrap(), u32_at(bytes, 16).unwrap()), (4, 312));
    assert_eq!(usize_at(bytes, 12).unwrap(), bytes.len());
    assert!(bytes.len() >= 1312);
    assert_eq!((&bytes[48..53], &bytes[176..181]), (&b"name\0"[..], &b"uuid\0"[..]));
    assert_eq!((answer.target_count().unwrap(), answer.flags().unwrap()), (2, READ_ONLY));
    assert_eq!(&bytes[312 + 24..312 + 31], b"linear\0");
    assert_eq!(&bytes[312 + 40..312 + 46], b"7:0 1\0");
    let next = usize_at(bytes, 312 + 20).unwrap();
    assert_eq!((next, u64_at(bytes, 312 + next).unwrap()), (48, 8));
    assert_eq!(&bytes[312 + 48 + 24..312 + 48 + 29], b"zero\0");
}

#[test]
fn names_that_would_run_over_are_refused() {
    let long = "x".repeat(128);
    assert!(Request::new_device(&long, "").buffer(0).is_err());
    assert!(Request::new_device("a", &"x".repeat(129)).buffer(0).is_err());
    let full = Request::new_device(&"x".repeat(127), &"y".repeat(128)).buffer(0).unwrap();
    let info = Answer::new(&full).info().unwrap();
    assert_eq!((info.name.len(), info.uuid.len()), (127, 128));
    let target = Target::Other { name: "a_very_long_name".into(), arguments: String::new() };
    let table = Table::single(Sectors::new(1), target);
    assert!(Request::default().with_table(&table).is_err());
}

#[test]
fn minor_numbers_above_255_are_whole() {
    let number = DeviceNumber::new(254, 70_000);
    let buffer = Request::about(&number.into()).buffer(0).unwrap();
    assert_eq!(Answer::new(&buffer).info().unwrap().number, number);
}

#[test]
fn a_list_is_read_to_its_end() {
    let mut payload = Vec::new();
    for (nth, (name, next)) in [("first", 56u32), ("second-one", 0)].into_iter().enumerate() {
        let start = payload.len();
        payload.extend((0xfe00 + u64::try_from(nth).unwrap()).to_ne_bytes());
        payload.extend(next.to_ne_bytes());
        payload.extend(name.bytes().chain([0]));
        payload.resize(payload.len().next_multiple_of(8), 0);
        payload.extend(7u32.to_ne_bytes());
        payload.extend(LISTED_UUID.to_ne_bytes());
        payload.extend(b"LVM-x\0");
        payload.resize(start + 56, 0);
    }
    let devices = answer(0, 0, &payload).devices().unwrap();
    assert_eq!(devices.len(), 2);
    assert_eq!(
        (devices[1].name.as_str(), devices[1].number),
        ("second-one", DeviceNumber::new(254, 1))
    );
    assert_eq!(devices[0].uuid.as_deref(), Some("LVM-x"));
    assert!(answer(0, 0, &[0; 16]).devices().unwrap().is_empty());
}

proptest! {
    #[test]
    fn any_answer_is_read_or_refused(
        targets: u32,
        flags: u32,
        start in 0..600u32,
        size in 0..4000u32,
        payload in prop::collection::vec(prop_oneof![Just(0u8), Just(8), Just(40), any::<u8>()], 0..300),
    ) {
        let mut answer = answer(targets, flags, &payload);
        answer.0[16..20].copy_from_slice(&start.to_ne_bytes());
        answer.0[12..16].copy_from_slice(&size.to_ne_bytes());
        let _ = answer.info();
        let _ = answer.devices();
        let _ = answer.versions();
        let _ = answer.table();
        let _ = answer.status();
        let _ = answer.deps();
        let _ = answer.text();
    }
}
