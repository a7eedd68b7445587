//! What plans refuse, and with which reason.

use super::*;
use crate::format::check::{FindingKind, Severity};

fn refused(metadata: &Metadata, operation: Operation, wanted: ErrorKind, reason: &str) {
    let (kind, report) = kind(metadata, operation);
    assert_eq!(kind, wanted, "{report}");
    assert!(report.contains(reason), "{reason} missing in: {report}");
}

#[test]
fn a_group_that_must_not_be_changed_is_refused_with_the_reason() {
    let status = "status = [\"RESIZEABLE\",";
    let cases = [
        (status, "status = [\"EXPORTED\", \"RESIZEABLE\",", "vgimport"),
        (status, "status = [\"SHARED\", \"RESIZEABLE\",", "lock manager"),
        (status, "status = [\"CLUSTERED\", \"RESIZEABLE\",", "lock manager"),
        (status, "status = [\"PVMOVE\", \"RESIZEABLE\",", "being moved"),
        (status, "status = [\"BRANDNEW\", \"RESIZEABLE\",", "BRANDNEW"),
        (status, "status = [", "RESIZEABLE"),
        ("max_lv = 0", "max_lv = 0 lock_type = \"sanlock\"", "sanlock"),
        ("max_lv = 0", "max_lv = 0 system_id = \"elsewhere\"", "elsewhere"),
        ("[\"ALLOCATABLE\"]", "[\"ALLOCATABLE\", \"MISSING\"]", "marked as missing"),
        ("type = \"thin-pool\"", "type = \"thin-pool+SHINY\"", "SHINY"),
        ("type = \"snapshot\"", "type = \"hologram\"", "hologram"),
        ("\"VISIBLE\"]", "\"VISIBLE\", \"LOCKED\"]", "moved or converted"),
    ];
    for (from, to, reason) in cases {
        refused(&changed(&[(from, to)]), linear("new", 1), ErrorKind::Refused, reason);
    }
}

#[test]
fn a_group_of_this_host_is_not_foreign() {
    let ours = changed(&[("max_lv = 0", "max_lv = 0 system_id = \"here\" lock_type = \"none\"")]);
    let dice = Dice::default();
    let context = Context { system_id: Some("here"), ..context(&dice) };
    assert!(plan(&ours, &[linear("new", 1)], &context).is_ok());
    let other = Context { system_id: Some("there"), ..context };
    let error = plan(&ours, &[linear("new", 1)], &other).unwrap_err();
    assert!(error.message().contains("here; this host's is there"), "{}", error.message());
}

#[test]
fn a_group_that_is_not_whole_is_corrupt() {
    let cases = [
        ("\"pv0\", 25, \"pv1\", 0", "\"pv0\", 24, \"pv1\", 0", "uses extent 24 of pv0"),
        ("pe_count = 255", "pe_count = 30", "which has 30"),
        ("origin = \"t1\"", "origin = \"s1\"", "part of itself"),
        ("extent_count = 26", "extent_count = 25", "2 stripes"),
        ("iEql02", "iEql01", "has the UUID"),
        ("pool = \"pool_tdata\"", "pool = \"nothing\"", "nothing"),
    ];
    for (from, to, reason) in cases {
        refused(&changed(&[(from, to)]), linear("new", 1), ErrorKind::Corrupt, reason);
    }
}

#[test]
fn names_lvm_would_refuse_are_refused() {
    let long = "x".repeat(128);
    let doubled = "-".repeat(61);
    let bad = [
        "",
        ".",
        "..",
        "-a",
        "a b",
        "a/b",
        "snapshot1",
        "pvmove9",
        "a_tdata",
        "a_rimage_1",
        long.as_str(),
        &format!("a{doubled}-"),
        &"x".repeat(127),
    ];
    for name in bad {
        let kinds = [kind(&fixture(), linear(name, 1)).0, kind(&fixture(), rename("str", name)).0];
        assert_eq!(kinds, [ErrorKind::InvalidArgument; 2], "{name:?}");
    }
    for name in ["", "a b", long.as_str(), &"y".repeat(126)] {
        let rename = Operation::RenameGroup(name.to_owned());
        assert_eq!(kind(&fixture(), rename).0, ErrorKind::InvalidArgument, "{name:?}");
    }
    // The kernel's name would have exactly 127 characters.
    assert!(run(&fixture(), &[linear(&"x".repeat(124), 1)]).is_ok());
    refused(&fixture(), linear(&"x".repeat(125), 1), ErrorKind::InvalidArgument, "128 characters");
    for tag in ["", "a b", "-a", "a@b", &"t".repeat(1024)] {
        let mut new = NewVolume::new("n", extents(1));
        new.tags = vec![tag.to_owned()];
        let kinds = [
            kind(&fixture(), Operation::CreateVolume(new)).0,
            kind(&fixture(), tagged("str", &[tag], &[])).0,
            kind(&fixture(), Operation::TagGroup(change(&[tag], &[]))).0,
        ];
        assert_eq!(kinds, [ErrorKind::InvalidArgument; 3], "{tag:?}");
    }
    refused(&fixture(), tagged("str", &["a"], &["a"]), ErrorKind::InvalidArgument, "tag a");
}

#[test]
fn names_that_are_taken_are_a_conflict() {
    refused(&fixture(), rename("str", "lin"), ErrorKind::Conflict, "lin");
    refused(&fixture(), rename("str", "cow1"), ErrorKind::Conflict, "cow1");
    let history = "\nhistorical_logical_volumes {\ngone {\nid = \
                   \"LoOXH7-iSM0-yIzk-2SL7-7LyV-SsQz-iEqlzz\"\norigin = \"t1\"\n}\n}\n";
    let old = changed(&[("physical_volumes {", &format!("{history}physical_volumes {{"))]);
    refused(&old, linear("gone", 1), ErrorKind::Conflict, "remembers");
    refused(&old, rename("str", "gone"), ErrorKind::Conflict, "gone");
    refused(&old, rename("t1", "t9"), ErrorKind::Refused, "the history of gone");
    assert!(run(&old, &[linear("new", 1)]).is_ok());
}

#[test]
fn parts_pools_origins_and_carried_types_are_not_changed() {
    let remove = |name: &str| Operation::RemoveVolume(name.to_owned());
    let write = |name: &str| Operation::SetWritable { name: name.to_owned(), writable: false };
    let cases: [(&str, ErrorKind, &str); 4] = [
        ("lin", ErrorKind::Refused, "the origin of snapshot0"),
        ("cow1", ErrorKind::Refused, "the store of snapshot0"),
        ("snapshot0", ErrorKind::Refused, "hidden part"),
        ("pool_tdata", ErrorKind::Refused, "hidden part"),
    ];
    for (name, kind, reason) in cases {
        for operation in [remove(name), extend(name, 1000), reduce(name, 1)] {
            refused(&fixture(), operation, kind, reason);
        }
    }
    refused(&fixture(), remove("pool"), ErrorKind::Refused, "the pool of t1");
    refused(&fixture(), reduce("pool", 1), ErrorKind::Refused, "the pool of t1");
    refused(&fixture(), reduce("t1", 1), ErrorKind::Refused, "the origin of s1");
    refused(&fixture(), reduce("s1", 1), ErrorKind::Unsupported, "type thin");
    for (name, kind) in [
        ("lin", ErrorKind::Refused),
        ("cow1", ErrorKind::Refused),
        ("pool", ErrorKind::Unsupported),
        ("pool_tdata", ErrorKind::Refused),
    ] {
        refused(&fixture(), write(name), kind, "");
    }
    refused(&fixture(), rename("pool_tdata", "p"), ErrorKind::Refused, "hidden part");
    refused(&fixture(), tagged("pool_tmeta", &["x"], &[]), ErrorKind::Refused, "hidden part");
    refused(&fixture(), tagged("nothing", &["x"], &[]), ErrorKind::NotFound, "no such volume");
    refused(&fixture(), extend("nothing", 9), ErrorKind::NotFound, "no such volume");
}

/// Raid, mirror, cache, writecache, vdo and others, written for tests.
const CARRIED: &str = include_str!("../../../tests/fixtures/carried.vg");

#[test]
fn carried_types_stay_as_they_are_beside_changes_and_are_not_changed() {
    let before = Metadata::parse(CARRIED.as_bytes()).unwrap();
    let plan = run(&before, &[linear("new", 10), linear("newer", 5)]).unwrap();
    others_are_carried(&before, &plan, &[]);
    for lv in &before.group.logical_volumes {
        let name = lv.name.as_str();
        for operation in [
            Operation::RemoveVolume(name.to_owned()),
            extend(name, 100_000),
            reduce(name, 1),
            rename(name, "q"),
            Operation::SetWritable { name: name.to_owned(), writable: false },
        ] {
            let (kind, report) = kind(&before, operation.clone());
            let not_here = matches!(kind, ErrorKind::Unsupported | ErrorKind::Refused);
            assert!(not_here, "{operation:?}: {report}");
        }
        match run(&before, &[tagged(name, &["t"], &[])]) {
            Ok(plan) => {
                assert!(lv.is_visible(), "{name}");
                others_are_carried(&before, &plan, &[name]);
            }
            Err(error) => assert_eq!((error.kind(), lv.is_visible()), (ErrorKind::Refused, false)),
        }
    }
}

#[test]
fn sizes_and_stripes_that_are_not_possible_are_refused() {
    let striped = |stripes, size: Option<u64>| {
        let mut new = NewVolume::new("n", extents(10));
        (new.stripes, new.stripe_size) = (stripes, size.map(Bytes::new));
        Operation::CreateVolume(new)
    };
    let invalid = ErrorKind::InvalidArgument;
    refused(&fixture(), linear("n", 0), invalid, "at least one extent");
    refused(&fixture(), reduce("str", 0), invalid, "at least one extent");
    refused(&fixture(), linear("n", 1 << 32), invalid, "larger extents");
    refused(&fixture(), linear("n", u64::MAX), invalid, "larger extents");
    refused(&fixture(), extend("str", u64::MAX), invalid, "larger extents");
    refused(&fixture(), striped(0, None), invalid, "1 to 128");
    refused(&fixture(), striped(129, None), invalid, "1 to 128");
    for size in [0, 2048, 5000, 8 << 20] {
        refused(&fixture(), striped(2, Some(size)), invalid, "power of two");
    }
    refused(&fixture(), striped(3, None), ErrorKind::OutOfSpace, "in 3 stripes");
    refused(&fixture(), linear("n", 400), ErrorKind::OutOfSpace, "\"n\": 400 extents asked");
    let limited = changed(&[("max_lv = 0", "max_lv = 6")]);
    refused(&limited, linear("n", 1), ErrorKind::OutOfSpace, "limited to 6");
    let odd = changed(&[("max_lv = 0", "max_lv = 0 allocation_policy = \"newest\"")]);
    refused(&odd, linear("n", 1), ErrorKind::Unsupported, "newest");
}

#[test]
fn one_operation_that_fails_makes_all_void() {
    let error = run(&fixture(), &[linear("a", 1), linear("b", 4000)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfSpace);
    let last = changed(&[("seqno = 9", "seqno = 4294967295")]);
    refused(&last, linear("a", 1), ErrorKind::Refused, "sequence number");
    assert!(run(&last, &[]).unwrap().is_empty());
}

/// The text of a group that breaks a rule is not written, however it came about.
#[test]
fn no_text_that_breaks_a_rule_is_written() {
    let breaks: [Spoiled<VolumeGroup>; 12] = [
        ("UUID", |g| g.logical_volumes[1].id = g.logical_volumes[0].id),
        ("stands twice", |g| g.logical_volumes[1].name = "str".to_owned()),
        ("has no segment", |g| g.logical_volumes[0].segments.clear()),
        ("begins at extent", |g| {
            g.logical_mut("lin").unwrap().segments[1].start_extent = Extents::new(26);
        }),
        ("which has 255", |g| {
            g.logical_mut("lin").unwrap().segments[1].extent_count = Extents::new(1000);
        }),
        ("uses too", |g| {
            let again = g.logical("str").unwrap().segments.clone();
            g.logical_mut("lin").unwrap().segments = again;
        }),
        ("which has 0", |g| g.physical_volumes[1].key = "pv7".to_owned()),
        ("2 stripes", |g| {
            g.logical_mut("str").unwrap().segments[0].extent_count = Extents::new(25);
        }),
        ("name is made of", |g| g.logical_volumes[0].name = "a b".to_owned()),
        ("says something else", |g| {
            g.unknown.push(crate::format::text::Entry::value("seqno", 3u32))
        }),
        ("more than the device", |g| g.physical_volumes[0].pe_count = Extents::new(1000)),
        ("out of range", |g| {
            let lv = g.logical_mut("t1").unwrap();
            lv.segments[0].extent_count = Extents::new(1 << 33);
        }),
    ];
    for (reason, break_it) in breaks {
        let mut metadata = fixture();
        break_it(&mut metadata.group);
        let error = validate::proven(&metadata).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.message().contains(reason), "{reason}: {}", error.message());
    }
    assert!(validate::proven(&fixture()).is_ok());
}

#[test]
fn every_finding_that_forbids_a_change_has_a_remedy() {
    let against = FindingKind::ALL.iter().filter(|kind| kind.severity() >= Severity::Refuse);
    assert!(against.map(|kind| guards::remedy(*kind)).all(|remedy| !remedy.is_empty()));
}
