use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::host::{CountSteps, StopAt};

/// A device in memory, and how a mkfs on it fares.
#[derive(Debug, Default)]
struct Fake {
    holds: Mutex<Vec<Signature>>,
    mkfs_ended: Mutex<u32>,
    /// Mkfs is killed this often before it is let through.
    killed: Mutex<u32>,
    /// What a killed mkfs leaves.
    left: Vec<Signature>,
}

impl Target for Fake {
    fn look(&self) -> Result<Vec<Signature>> {
        Ok(self.holds.lock().unwrap().clone())
    }

    fn erase(&self, signatures: &[Signature]) -> Result<()> {
        let mut holds = self.holds.lock().unwrap();
        let first = signatures.first().unwrap();
        holds.retain(|s| s != first);
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        Ok(())
    }

    fn make(&self, kind: FsKind, uuid: Uuid) -> Result<()> {
        let mut holds = self.holds.lock().unwrap();
        assert!(
            holds.iter().all(|s| s.kind == Some(kind) && (s.unfinished || s.uuid.is_none())),
            "mkfs over {holds:?}"
        );
        let mut killed = self.killed.lock().unwrap();
        if *killed > 0 {
            *killed -= 1;
            holds.clone_from(&self.left);
            for left in holds.iter_mut().filter(|s| s.unfinished) {
                left.uuid = Some(uuid);
            }
            let subject = Subject::Program("mkfs".into());
            return Err(Error::new(ErrorKind::Indeterminate, Op::RunProgram, subject, "killed"));
        }
        *self.mkfs_ended.lock().unwrap() += 1;
        *holds = vec![whole(kind, uuid)];
        Ok(())
    }
}

#[derive(Debug)]
struct Token(Mutex<FormatToken>);

impl FormatTokens for Token {
    fn format_token(&self, _: &VolumeId) -> Result<FormatToken> {
        Ok(*self.0.lock().unwrap())
    }

    fn set_format_token(&self, _: &VolumeId, token: FormatToken) -> Result<()> {
        *self.0.lock().unwrap() = token;
        Ok(())
    }

    fn allow_format(&self, _: &VolumeId) -> Result<()> {
        *self.0.lock().unwrap() = FormatToken::Unused;
        Ok(())
    }
}

fn name(kind: FsKind) -> &'static str {
    kind.as_str()
}

fn whole(kind: FsKind, uuid: Uuid) -> Signature {
    Signature::new(name(kind), 0).with_kind(kind).with_uuid(Some(uuid))
}

fn unfinished(kind: FsKind) -> Signature {
    Signature::new(name(kind), 0).with_kind(kind).unfinished()
}

fn uuid(n: u8) -> Uuid {
    Uuid::from_bytes([n; 16])
}

fn call(host: &Host, token: &Token, fake: &Fake, spec: &FormatSpec) -> Result<Ensured<FsIdentity>> {
    format_once(host, token, &"v".parse().unwrap(), fake, spec)
}

fn holding(holds: Vec<Signature>) -> Fake {
    Fake { holds: Mutex::new(holds), ..Fake::default() }
}

fn outcome(
    token: FormatToken,
    holds: Vec<Signature>,
    spec: &FormatSpec,
) -> (Result<Ensured<FsIdentity>>, Fake, FormatToken) {
    let (token, fake) = (Token(Mutex::new(token)), holding(holds));
    let result = call(&Host::system(), &token, &fake, spec);
    let after = *token.0.lock().unwrap();
    (result, fake, after)
}

/// Cuts the first call before every step, lets the second through, and looks at the end.
#[test]
fn cut_before_any_step_exactly_one_mkfs_ends() {
    let spec = FormatSpec::new(FsKind::Xfs).replacing("swap").replacing("ext4");
    let starts: [fn() -> Vec<Signature>; 2] =
        [Vec::new, || vec![Signature::new("swap", 4086), whole(FsKind::Ext4, uuid(1))]];
    for start in starts {
        let counter = Arc::new(CountSteps::default());
        let host = Host::system().with_checkpoints(counter.clone());
        let token = Token(Mutex::new(FormatToken::Unused));
        assert!(call(&host, &token, &holding(start()), &spec).unwrap().changed());
        assert!(counter.steps() >= 3);
        for at in 1..=counter.steps() {
            let (token, fake) = (Token(Mutex::new(FormatToken::Unused)), holding(start()));
            let cut = Host::system().with_checkpoints(Arc::new(StopAt::new(at)));
            let error = call(&cut, &token, &fake, &spec).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Indeterminate);
            let done = call(&Host::system(), &token, &fake, &spec).unwrap();
            assert!(done.changed(), "cut at {at}");
            assert_eq!(*fake.mkfs_ended.lock().unwrap(), 1, "cut at {at}");
            assert_eq!(*token.0.lock().unwrap(), FormatToken::Spent);
            let again = call(&Host::system(), &token, &fake, &spec).unwrap();
            assert_eq!(again, Ensured::Unchanged(done.into_inner()));
        }
    }
}

#[test]
fn a_killed_mkfs_is_repeated_with_the_same_uuid() {
    let spec = FormatSpec::new(FsKind::Xfs);
    let no_uuid = Signature::new("xfs", 0).with_kind(FsKind::Xfs);
    for left in [vec![], vec![unfinished(FsKind::Xfs)], vec![no_uuid]] {
        let token = Token(Mutex::new(FormatToken::Unused));
        let fake = Fake { killed: Mutex::new(2), left, ..Fake::default() };
        let first = call(&Host::system(), &token, &fake, &spec).unwrap_err();
        assert_eq!(first.kind(), ErrorKind::Indeterminate);
        let started = *token.0.lock().unwrap();
        assert!(call(&Host::system(), &token, &fake, &spec).is_err());
        assert_eq!(*token.0.lock().unwrap(), started);
        let done = call(&Host::system(), &token, &fake, &spec).unwrap().into_inner();
        assert!(matches!(started, FormatToken::Started { uuid, .. } if uuid == done.uuid));
    }
}

#[test]
fn a_half_made_file_system_of_another_kind_is_a_conflict_and_a_blank_one_is_not() {
    let started = FormatToken::Started { kind: FsKind::Ext4, uuid: uuid(1) };
    let spec = FormatSpec::new(FsKind::Xfs);
    let begun = Signature::new("ext4", 1080).with_kind(FsKind::Ext4);
    let (result, fake, _) = outcome(started, vec![begun], &spec);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(*fake.mkfs_ended.lock().unwrap(), 0);
    let (result, _, after) = outcome(started, vec![], &spec);
    assert_eq!(result.unwrap().into_inner().kind, FsKind::Xfs);
    assert_eq!(after, FormatToken::Spent);
}

#[test]
fn what_is_refused_names_what_is_there_and_the_way_out() {
    let spec = FormatSpec::new(FsKind::Ext4);
    let foreign = || vec![Signature::new("LUKS2 volume", 0)];
    let mine = FormatToken::Started { kind: FsKind::Ext4, uuid: uuid(1) };
    let cases = [
        (FormatToken::Unused, foreign(), "LUKS2 volume"),
        (FormatToken::Unused, vec![whole(FsKind::Ext4, uuid(2))], "ext4"),
        (mine, foreign(), "LUKS2 volume"),
        (mine, vec![whole(FsKind::Ext4, uuid(2))], "ext4"),
        (mine, vec![unfinished(FsKind::Ext4).with_uuid(Some(uuid(2)))], "unfinished"),
        (FormatToken::Spent, vec![], "gone"),
        (FormatToken::Spent, foreign(), "LUKS2 volume"),
    ];
    for (token, holds, named) in cases {
        let (result, fake, after) = outcome(token, holds.clone(), &spec);
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.message().contains(named), "{error}");
        // What the remedy says can be typed as it stands.
        let remedy = error.remedy().unwrap();
        let allowed = token != FormatToken::Unused;
        let allow = "open-local volume allow-format v";
        assert_eq!(remedy.contains(allow), allowed, "{remedy}");
        for signature in &holds {
            let by_name = format!("open-local volume format v --replace \"{}\"", signature.name);
            assert!(remedy.contains(&by_name), "{remedy}");
        }
        assert_eq!((after, fake.look().unwrap()), (token, holds));
    }
}

#[test]
fn only_what_was_given_up_by_name_is_erased() {
    let holds = vec![Signature::new("swap", 4086), Signature::new("FAT", 510)];
    let spec = FormatSpec::new(FsKind::Ext4).replacing("swap");
    let (result, fake, _) = outcome(FormatToken::Unused, holds.clone(), &spec);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(fake.look().unwrap(), holds);
    // A name given up helps nobody once the token is spent.
    let (result, ..) = outcome(FormatToken::Spent, holds, &spec.replacing("FAT"));
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Refused);
}

#[test]
fn another_kind_on_a_formatted_volume_is_a_conflict() {
    let spec = FormatSpec::new(FsKind::Ext4);
    let (result, ..) = outcome(FormatToken::Spent, vec![whole(FsKind::Xfs, uuid(1))], &spec);
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("xfs") && error.message().contains("ext4"), "{error}");
}

fn any_signature() -> impl Strategy<Value = Signature> {
    prop_oneof![
        Just(Signature::new("LVM2 physical volume", 512)),
        (0u8..3).prop_map(|n| whole(FsKind::Ext4, uuid(n))),
        (0u8..3).prop_map(|n| whole(FsKind::Xfs, uuid(n))),
        (0u8..3).prop_map(|n| unfinished(FsKind::Xfs).with_uuid(Some(uuid(n)))),
        Just(unfinished(FsKind::Btrfs)),
    ]
}

fn any_token() -> impl Strategy<Value = FormatToken> {
    prop_oneof![
        Just(FormatToken::Unused),
        Just(FormatToken::Spent),
        (prop::sample::select(&FsKind::ALL[..]), 0u8..3)
            .prop_map(|(kind, n)| { FormatToken::Started { kind, uuid: uuid(n) } }),
    ]
}

proptest! {
    #[test]
    fn no_whole_file_system_and_no_foreign_signature_is_ever_written_over(
        token in any_token(),
        holds in prop::collection::vec(any_signature(), 0..3),
        kind in prop::sample::select(&FsKind::ALL[..]),
    ) {
        let precious = holds.iter().any(|s| s.kind.is_none() || (!s.unfinished && s.uuid.is_some()));
        let (_, fake, _) = outcome(token, holds.clone(), &FormatSpec::new(kind));
        if precious || token == FormatToken::Spent {
            prop_assert_eq!(*fake.mkfs_ended.lock().unwrap(), 0);
            prop_assert_eq!(fake.look().unwrap(), holds);
        }
    }
}

/// Neither the protocol nor the machine is reached: a mixed-up pair is told before.
#[test]
fn the_token_of_one_volume_is_none_for_another() {
    use crate::fs::{Filesystems, HostFilesystems};
    use crate::ids::SnapshotId;
    use crate::units::Bytes;

    let fs = HostFilesystems::new(Host::system(), Arc::new(crate::host::SystemMounts));
    let volume: VolumeId = "v".parse().unwrap();
    let snapshot: SnapshotId = "v".parse().unwrap();
    let other: VolumeId = "other".parse().unwrap();
    let number = crate::DeviceNumber::new(0, 0);
    let of = |source: Source| Attachment::new(source, "/nowhere", number, Bytes::new(512));
    for device in [of(other.into()), of(snapshot.into())] {
        let token = Token(Mutex::new(FormatToken::Unused));
        let spec = FormatSpec::new(FsKind::Ext4);
        let error = fs.ensure_formatted(&token, &volume, &device, &spec).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.message().contains(&device.source.to_string()));
        assert_eq!(*token.0.lock().unwrap(), FormatToken::Unused);
    }
    assert!(check_pair(&volume, &of(volume.clone().into())).is_ok());
}
