//! Where group and kernel stand: every row of the table.

use super::*;

/// The pool of [`furnished`], at a transaction and with these messages.
fn at(transaction: u64, messages: &[ThinMessage]) -> VolumeGroup {
    let mut group = furnished().group;
    let lv = group.logical_mut("pool").unwrap();
    let SegmentKind::ThinPool(pool) = &mut lv.segments[0].kind else { panic!() };
    pool.transaction_id = transaction;
    pool.messages = messages.to_vec();
    group
}

fn create(lv: &str) -> ThinMessage {
    ThinMessage::Create { lv: lv.to_owned() }
}

const DELETE: ThinMessage = ThinMessage::Delete { device_id: 9 };

#[test]
fn every_state_has_one_answer() {
    let pending = |group: &VolumeGroup, kernel| match settle(group, "pool", kernel).unwrap() {
        Settlement::Pending(Transaction { messages, origins, from, to, .. }) => {
            let messages: Vec<String> = messages.iter().map(ToString::to_string).collect();
            (messages.join(", "), origins.join(", "), from, to)
        }
        other => panic!("{other:?}"),
    };
    // Equal counts: nothing is sent, whatever the group still has.
    for transaction in [0, 1, 7, u64::MAX] {
        assert_eq!(
            settle(&at(transaction, &[]), "pool", transaction).unwrap(),
            Settlement::Settled
        );
    }
    let lazily = settle(&at(5, &[create("v"), DELETE]), "pool", 5).unwrap();
    assert_eq!(lazily, Settlement::Done(2));
    // The kernel is one behind: the messages are sent.
    let own = |text: &str, origins: &str| (text.to_owned(), origins.to_owned(), 4, 5);
    assert_eq!(pending(&at(5, &[create("v")]), 4), own("create_thin 1", ""));
    assert_eq!(pending(&at(5, &[create("s")]), 4), own("create_snap 2 1", "v"));
    assert_eq!(pending(&at(5, &[DELETE]), 4), own("delete 9", ""));
    let all = at(5, &[create("v"), create("s"), DELETE]);
    assert_eq!(pending(&all, 4), own("create_thin 1, create_snap 2 1, delete 9", "v"));
}

#[test]
fn every_state_nobody_can_go_on_from_is_refused_with_the_remedy() {
    let other = ThinMessage::Other(vec![crate::format::text::Entry::value("shrink", 1u32)]);
    let far = ThinMessage::Delete { device_id: 1 << 24 };
    let cases = [
        // The kernel is ahead.
        (at(5, &[]), 6, ErrorKind::Refused, "vgcfgrestore"),
        (at(5, &[DELETE]), 6, ErrorKind::Refused, "vgcfgrestore"),
        (at(0, &[]), u64::MAX, ErrorKind::Refused, "kernel is at transaction 18446744073709551615"),
        // One behind without messages, and further behind.
        (at(5, &[]), 4, ErrorKind::Refused, "with 0 messages"),
        (at(5, &[DELETE]), 3, ErrorKind::Refused, "poolmetadata"),
        (at(5, &[]), 0, ErrorKind::Refused, "older than the group's text"),
        // Messages that make no sense.
        (at(5, &[create("gone")]), 4, ErrorKind::Corrupt, "gone"),
        (at(5, &[create("pool")]), 4, ErrorKind::Corrupt, "no volume of the pool"),
        (at(5, &[far]), 4, ErrorKind::Corrupt, "24 bits"),
        (at(5, &[other]), 4, ErrorKind::Unsupported, "lvm2 tools"),
    ];
    for (group, kernel, kind, reason) in cases {
        let error = settle(&group, "pool", kernel).unwrap_err();
        assert_eq!(error.kind(), kind, "{}", error.report());
        assert!(error.report().to_string().contains(reason), "{}", error.report());
    }
    assert_eq!(settle(&furnished().group, "v", 0).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(settle(&furnished().group, "no", 0).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn answers_lead_on_or_to_an_error_and_never_in_a_circle() {
    let creates = ["create_thin 1", "create_snap 2 1"];
    for (name, origin) in [("v", false), ("s", true)] {
        let group = at(5, &[create(name)]);
        let Settlement::Pending(transaction) = settle(&group, "pool", 4).unwrap() else { panic!() };
        let text = |sending: &Sending<'_>| sending.message().map(|message| message.to_string());
        let wanted = creates[usize::from(origin)];
        // What nobody knows is neither deleted nor taken.
        let device = transaction.makes().next().unwrap();
        let mut sending = Sending::new(&transaction);
        assert_eq!(sending.stranger(), Some(device));
        let unknown = sending.answered(Answer::Exists).unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::Conflict);
        assert!(unknown.to_string().contains("knows nothing of it"), "{unknown}");
        assert_eq!(text(&sending).as_deref(), Some(wanted));
        // What is as somebody else's transaction wants it is taken as it is.
        let mut sending = Sending::new(&transaction).with_made([device]);
        assert_eq!(sending.stranger(), None);
        sending.answered(Answer::Exists).unwrap();
        assert_eq!(text(&sending).as_deref(), Some("set_transaction_id 4 5"));
        // A leftover is deleted and made again, once.
        let mut sending = Sending::new(&transaction).with_leftovers([device]);
        assert_eq!(sending.stranger(), None);
        assert_eq!(text(&sending).as_deref(), Some(wanted));
        sending.answered(Answer::Exists).unwrap();
        assert!(text(&sending).unwrap().starts_with("delete"), "{sending:?}");
        sending.answered(Answer::Done).unwrap();
        assert_eq!(text(&sending).as_deref(), Some(wanted));
        let again = sending.clone().answered(Answer::Exists).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Conflict);
        sending.answered(Answer::Done).unwrap();
        assert_eq!(text(&sending).as_deref(), Some("set_transaction_id 4 5"));
        assert!(sending.clone().answered(Answer::Exists).is_err());
        sending.answered(Answer::Done).unwrap();
        assert_eq!(text(&sending), None);
        let missing = Sending::new(&transaction).answered(Answer::Missing).unwrap_err();
        let wanted = if origin { ErrorKind::NotFound } else { ErrorKind::Corrupt };
        assert_eq!(missing.kind(), wanted);
    }
    let group = at(5, &[DELETE]);
    let Settlement::Pending(transaction) = settle(&group, "pool", 4).unwrap() else { panic!() };
    for answer in [Answer::Done, Answer::Missing] {
        let mut sending = Sending::new(&transaction);
        sending.answered(answer).unwrap();
        let last = KernelMessage::SetTransactionId { from: 4, to: 5 };
        assert_eq!(sending.message(), Some(last));
    }
    assert!(Sending::new(&transaction).answered(Answer::Exists).is_err());
    let errors = [(17, Some(Answer::Exists)), (61, Some(Answer::Missing)), (28, None), (16, None)];
    for (errno, answer) in errors {
        assert_eq!(Answer::from_errno(errno), answer);
    }
}
