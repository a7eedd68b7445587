//! What may happen to a pool of the `file` backend beside a cut: looks that fail, images that
//! others use, records from old copies, names used again, other disks in its place.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "file/lab.rs"]
mod lab;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lab::{Lab, POOL, SIZE, pool_id, snapshot, summary, volume};
use open_local_core::file::FileBackend;
use open_local_core::host::{Checkpoints, Files, Frozen, LoopSpec, Loops, OpenMode, Quiescer};
use open_local_core::sim::sim_host;
use open_local_core::{
    Attachment, Backend, Bytes, Error, ErrorKind, FormatToken, Health, Op, Phase, Pool, PoolSpec,
    PublishSpec, Result, SnapshotSpec, Source, Subject, VolumeSource, VolumeSpec,
};

const EIO: i32 = 5;
const BOTH: [bool; 2] = [true, false];

fn double() -> Bytes {
    SIZE.checked_mul(2).unwrap()
}

fn image(name: &str) -> PathBuf {
    Path::new(POOL).join("volumes").join(format!("{name}.img"))
}

fn record(name: &str) -> PathBuf {
    Path::new(POOL).join("volumes").join(format!("{name}.meta"))
}

fn bytes_of(lab: &Lab, path: &Path) -> Vec<u8> {
    let file = lab.files.open(path, OpenMode::Read).unwrap();
    let mut bytes = vec![0; file.size().unwrap().to_usize().unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

fn content(lab: &Lab, pool: &dyn Pool, source: impl Into<Source>) -> String {
    summary(&lab.read(pool, &source.into()).unwrap())
}

fn token(pool: &dyn Pool, name: &str) -> FormatToken {
    let tokens = pool.format_tokens().unwrap();
    tokens.format_token(&volume(name)).unwrap()
}

fn snap(pool: &dyn Pool, name: &str, of: &str) -> Result<()> {
    let spec = SnapshotSpec::new(snapshot(name), volume(of));
    pool.snapshots().unwrap().ensure_snapshot(&spec).map(drop)
}

/// Does something once, before the first step with this text.
struct Before<F>(&'static str, Mutex<Option<F>>);

impl<F> std::fmt::Debug for Before<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl<F: FnOnce() + Send> Checkpoints for Before<F> {
    fn before(&self, _op: Op, _subject: &Subject, step: &str) -> Result<()> {
        let act = (step.contains(self.0)).then(|| self.1.lock().unwrap().take());
        if let Some(Some(act)) = act {
            act();
        }
        Ok(())
    }
}

fn backend_with(lab: &Lab, act: (&'static str, impl FnOnce() + Send + 'static)) -> FileBackend {
    let before = Before(act.0, Mutex::new(Some(act.1)));
    let host = sim_host(Arc::clone(&lab.files), 77).with_checkpoints(Arc::new(before));
    FileBackend::new(host, Arc::new(lab.loops.clone()))
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    result.map(drop).unwrap_err().kind()
}

#[test]
fn an_image_that_cannot_be_looked_at_is_not_taken_for_absent() {
    for reflink in BOTH {
        let lab = Lab::filled(reflink, 0);
        let pool = lab.open().unwrap();
        let old: Source = volume("old").into();
        let _ = pool.publish(&PublishSpec::new(old.clone())).unwrap();
        lab.files.set_unreadable(image("old"), Some(EIO));
        assert_eq!(kind(pool.remove_volume(&volume("old"))), ErrorKind::Io);
        assert_eq!(kind(pool.unpublish(&old)), ErrorKind::Io);
        assert_eq!(kind(pool.publish(&PublishSpec::new(old.clone()))), ErrorKind::Io);
        let tokens = pool.format_tokens().unwrap();
        assert_eq!(kind(tokens.allow_format(&volume("old"))), ErrorKind::Io);
        let snapshots = pool.snapshots().unwrap();
        let back = snapshots.roll_back(&volume("old"), &snapshot("ones"));
        assert_eq!(kind(back), ErrorKind::Io);
        let health = pool.volume(&volume("old")).unwrap().health;
        assert!(matches!(&health, Health::Failed(why) if !why.contains("remove")), "{health:?}");
        lab.files.set_unreadable(image("old"), None);
        let info = lab.open().unwrap().volume(&volume("old")).unwrap();
        assert_eq!(info.health, Health::Healthy);
        assert!(info.attachment.is_some());
        assert_eq!(lab.loops.list().unwrap().len(), 1);
    }
}

#[test]
fn a_record_that_cannot_be_read_is_not_taken_for_absent() {
    let lab = Lab::filled(true, 0);
    let pool = lab.open().unwrap();
    for path in [record("old"), Path::new(POOL).join("volumes")] {
        lab.files.set_unreadable(&path, Some(EIO));
        let spec = VolumeSpec::new(volume("old"), SIZE);
        assert_eq!(kind(pool.ensure_volume(&spec)), ErrorKind::Io, "{path:?}");
        assert!(pool.remove_volume(&volume("old")).is_err() || path != record("old"));
        lab.files.set_unreadable(&path, None);
    }
    // A pool whose record is lost is not made anew over volumes that can't be listed.
    lab.files.remove_file(&Path::new(POOL).join("pool.meta")).unwrap();
    let folder = Path::new("/var/lib/open-local/file/pools/p");
    lab.files.remove_file(folder).unwrap();
    lab.files.set_unreadable(Path::new(POOL).join("volumes"), Some(EIO));
    let again = lab.backend().ensure_pool(&PoolSpec::new(pool_id()).at(POOL));
    assert_eq!(kind(again), ErrorKind::Io);
}

#[test]
fn what_a_failing_call_finds_in_its_way_is_not_undone() {
    for reflink in BOTH {
        for from in [None, Some(VolumeSource::Snapshot(snapshot("ones")))] {
            let lab = Lab::filled(reflink, 0);
            let files = Arc::clone(&lab.files);
            let act = move || files.add_file(image("new"), b"somebody's").unwrap();
            let step = match (reflink, &from) {
                (true, Some(_)) => "share the blocks",
                _ => "make the image",
            };
            let pool = backend_with(&lab, (step, act)).open_pool(&pool_id()).unwrap();
            let mut spec = VolumeSpec::new(volume("new"), SIZE);
            spec.source = from;
            let error = pool.ensure_volume(&spec).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.report());
            assert_eq!(bytes_of(&lab, &image("new")), b"somebody's");
            assert!(lab.files.stat(&record("new")).is_err());
        }
    }
}

#[test]
fn a_growth_that_fails_never_cuts_the_file_under_its_device() {
    let start = Lab::filled(true, 0);
    for n in 1..100 {
        let lab = start.fork(n);
        let pool = lab.open().unwrap();
        let at = pool.publish(&PublishSpec::new(volume("old"))).unwrap();
        let device = at.into_inner().number;
        lab.files.fail_at(n, EIO);
        if pool.grow_volume(&volume("old"), double()).is_ok() {
            assert!(n > 5, "only {n} calls");
            return;
        }
        let file = lab.files.stat(&image("old")).unwrap().size;
        let shown = lab.loops.open(device).unwrap().size().unwrap();
        assert!(shown <= file, "call {n}: {shown} shown of {file}");
        let _ = pool.grow_volume(&volume("old"), double()).unwrap();
        assert_eq!(pool.volume(&volume("old")).unwrap().size, double());
    }
    panic!("the growth never succeeds");
}

#[test]
fn a_growth_that_fails_takes_back_only_what_it_added() {
    let start = Lab::filled(true, 0);
    let old_record = bytes_of(&start, &record("old"));
    let pool = start.open().unwrap();
    let _ = pool.grow_volume(&volume("old"), double()).unwrap();
    start.write(pool.as_ref(), &volume("old").into(), 7);
    let whole = bytes_of(&start, &image("old"));
    start.files.add_file(record("old"), &old_record).unwrap();
    let health = pool.volume(&volume("old")).unwrap().health;
    assert!(matches!(health, Health::Degraded(_)), "{health:?}");
    let goal = SIZE.checked_mul(3).unwrap();
    for n in 1..100 {
        let lab = start.fork(n);
        let pool = lab.open().unwrap();
        lab.files.fail_at(n, EIO);
        if pool.grow_volume(&volume("old"), goal).is_ok() {
            assert!(n > 5);
            return;
        }
        let now = bytes_of(&lab, &image("old"));
        assert!(now.starts_with(&whole), "call {n}: {} left", now.len());
    }
    panic!("the growth never succeeds");
}

#[test]
fn a_copy_is_not_taken_up_from_another_snapshot_of_the_same_name() {
    let lab = Lab::filled(false, 0);
    let before = lab.files.operations();
    let spec =
        VolumeSpec::new(volume("new"), SIZE).from_source(VolumeSource::Snapshot(snapshot("ones")));
    let mut cut = 0;
    for n in 1.. {
        let lab = lab.fork(n);
        lab.files.kill_at(n);
        let pool = lab.open();
        if pool.and_then(|pool| pool.ensure_volume(&spec)).is_ok() {
            break;
        }
        lab.files.revive();
        let pool = lab.open().unwrap();
        let made = pool.volume(&volume("new"));
        let done = made.is_ok_and(|info| info.phase == Phase::Ready);
        let snapshots = pool.snapshots().unwrap();
        let _ = snapshots.remove_snapshot(&snapshot("ones")).unwrap();
        snap(pool.as_ref(), "ones", "old").unwrap();
        let _ = pool.ensure_volume(&spec).unwrap();
        let new = content(&lab, pool.as_ref(), volume("new"));
        // Finished before the snapshot was replaced, or made of the new one alone.
        let byte = if done { 1 } else { 2 };
        assert_eq!(new, format!("{}x{byte}", SIZE.get()), "call {n}");
        assert_eq!(token(pool.as_ref(), "new") == FormatToken::Spent, new.ends_with("x2"));
        cut += 1;
    }
    assert!(cut > 20, "{cut} cuts since {before}");
}

#[test]
fn a_clone_that_is_begun_anew_has_the_token_of_its_content() {
    for reflink in BOTH {
        let lab = Lab::filled(reflink, 0);
        let pool = lab.open().unwrap();
        let _ = pool.ensure_volume(&VolumeSpec::new(volume("src"), SIZE)).unwrap();
        let spec =
            VolumeSpec::new(volume("new"), SIZE).from_source(VolumeSource::Volume(volume("src")));
        let files = Arc::clone(&lab.files);
        let text = if reflink { "share the blocks" } else { "copy the content" };
        let killed = backend_with(&lab, (text, move || files.kill())).open_pool(&pool_id());
        assert!(killed.unwrap().ensure_volume(&spec).is_err());
        lab.files.revive();
        let tokens = pool.format_tokens().unwrap();
        tokens.set_format_token(&volume("src"), FormatToken::Spent).unwrap();
        let _ = pool.ensure_volume(&spec).unwrap();
        assert_eq!(token(pool.as_ref(), "new"), FormatToken::Spent);
    }
}

#[test]
fn a_volume_is_not_rolled_back_to_a_snapshot_of_an_earlier_one() {
    for reflink in BOTH {
        for size in [SIZE, Bytes::new(SIZE.get() / 2)] {
            let lab = Lab::filled(reflink, 0);
            let pool = lab.open().unwrap();
            let _ = pool.remove_volume(&volume("old")).unwrap();
            let _ = pool.ensure_volume(&VolumeSpec::new(volume("old"), size)).unwrap();
            let snapshots = pool.snapshots().unwrap();
            let error = snapshots.roll_back(&volume("old"), &snapshot("ones")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.report());
            assert!(error.message().contains("earlier"), "{}", error.report());
            let whole = size.get();
            assert_eq!(content(&lab, pool.as_ref(), volume("old")), format!("{whole}x0"));
        }
    }
}

#[test]
fn what_lies_behind_a_cut_growth_is_in_no_copy() {
    for reflink in BOTH {
        let lab = Lab::filled(reflink, 0);
        let pool = lab.open().unwrap();
        let files = Arc::clone(&lab.files);
        let killed = backend_with(&lab, ("resize", move || files.kill())).open_pool(&pool_id());
        let at = pool.publish(&PublishSpec::new(volume("old"))).unwrap().into_inner();
        assert!(killed.unwrap().grow_volume(&volume("old"), double()).is_err());
        lab.files.revive();
        let _ = pool.unpublish(&at.source).unwrap();
        let file = lab.files.open(&image("old"), OpenMode::ReadWrite).unwrap();
        assert_eq!(file.size().unwrap(), double());
        file.write_at(SIZE.get(), b"behind the end").unwrap();
        snap(pool.as_ref(), "now", "old").unwrap();
        let spec = VolumeSpec::new(volume("new"), double())
            .from_source(VolumeSource::Volume(volume("old")));
        let _ = pool.ensure_volume(&spec).unwrap();
        let whole = SIZE.get();
        assert_eq!(content(&lab, pool.as_ref(), snapshot("now")), format!("{whole}x2"));
        let wanted = format!("{whole}x2 {whole}x0");
        assert_eq!(content(&lab, pool.as_ref(), volume("new")), wanted);
    }
}

#[test]
fn an_image_that_somebody_elses_loop_device_has_is_left_alone() {
    for reflink in BOTH {
        let lab = Lab::filled(reflink, 0);
        let pool = lab.open().unwrap();
        let path = image("old");
        let theirs = lab
            .loops
            .attach(&LoopSpec {
                file: &path,
                tag: "theirs",
                read_only: false,
                direct_io: false,
                block_size: Bytes::new(512),
            })
            .unwrap();
        let old: Source = volume("old").into();
        let clone =
            VolumeSpec::new(volume("new"), SIZE).from_source(VolumeSource::Volume(volume("old")));
        let snapshots = pool.snapshots().unwrap();
        let tokens = pool.format_tokens().unwrap();
        for kind in [
            kind(pool.remove_volume(&volume("old"))),
            kind(pool.publish(&PublishSpec::new(old.clone()))),
            kind(pool.ensure_volume(&clone)),
            kind(snap(pool.as_ref(), "now", "old")),
            kind(snapshots.roll_back(&volume("old"), &snapshot("ones"))),
            kind(tokens.allow_format(&volume("old"))),
        ] {
            assert_eq!(kind, ErrorKind::Busy);
        }
        // And it is not ours to detach.
        assert!(!pool.unpublish(&old).unwrap().changed());
        lab.loops.detach(&theirs).unwrap();
        let _ = pool.remove_volume(&volume("old")).unwrap();
    }
}

#[test]
fn a_volume_whose_image_lost_its_name_while_published_is_not_removed() {
    let lab = Lab::filled(true, 0);
    let pool = lab.open().unwrap();
    let _ = pool.publish(&PublishSpec::new(volume("old"))).unwrap();
    lab.files.remove_file(&image("old")).unwrap();
    // Its content is still there behind the device, and there only.
    assert_eq!(kind(pool.remove_volume(&volume("old"))), ErrorKind::Corrupt);
    assert!(lab.files.stat(&record("old")).is_ok());
}

#[test]
fn a_device_with_its_tag_on_another_file_is_not_its_own() {
    let lab = Lab::filled(true, 0);
    let pool = lab.open().unwrap();
    let old: Source = volume("old").into();
    let first = pool.publish(&PublishSpec::new(old.clone())).unwrap();
    // As after the image was restored from a backup under its device.
    let bytes = bytes_of(&lab, &image("old"));
    lab.files.rename(&image("old"), Path::new("/srv/was")).unwrap();
    lab.files.add_file(image("old"), &bytes).unwrap();
    assert!(!pool.unpublish(&old).unwrap().changed());
    let second = pool.publish(&PublishSpec::new(old.clone())).unwrap();
    assert!(second.changed());
    assert_ne!(first.into_inner().device, second.into_inner().device);
    let health = pool.volume(&volume("old")).unwrap().health;
    assert!(matches!(health, Health::Degraded(_)), "{health:?}");
}

#[test]
fn another_pool_in_its_place_is_not_worked_on() {
    let lab = Lab::filled(true, 0);
    let pool = lab.open().unwrap();
    lab.files.rename(Path::new(POOL), Path::new("/srv/away")).unwrap();
    let mut host = sim_host(Arc::clone(&lab.files), 9);
    host.roots.state = "/other".into();
    let other = FileBackend::new(host, Arc::new(lab.loops.clone()));
    let _ = other.ensure_pool(&PoolSpec::new(pool_id()).at(POOL)).unwrap();
    let theirs = other.open_pool(&pool_id()).unwrap();
    let _ = theirs.ensure_volume(&VolumeSpec::new(volume("old"), SIZE)).unwrap();
    lab.write(theirs.as_ref(), &volume("old").into(), 9);
    let whole = SIZE.get();
    assert_eq!(kind(pool.remove_volume(&volume("old"))), ErrorKind::Corrupt);
    assert_eq!(kind(pool.publish(&PublishSpec::new(volume("old")))), ErrorKind::Corrupt);
    let tokens = pool.format_tokens().unwrap();
    assert_eq!(kind(tokens.format_token(&volume("old"))), ErrorKind::Corrupt);
    assert_eq!(kind(tokens.allow_format(&volume("old"))), ErrorKind::Corrupt);
    assert_eq!(content(&lab, theirs.as_ref(), volume("old")), format!("{whole}x9"));
}

/// Freezes everything, and thaws as told.
#[derive(Debug, Default)]
struct Fake {
    frozen: AtomicU32,
    /// How often thawing fails.
    stuck: AtomicU32,
    /// Whether somebody else thaws it meanwhile.
    thawed: bool,
}

impl Quiescer for Fake {
    fn freeze_device(&self, _: &Attachment, _: Duration) -> Result<Frozen> {
        self.frozen.store(1, Ordering::SeqCst);
        let (intent, targets) = ("x".to_owned(), Vec::new());
        Ok(Frozen { intent, targets })
    }

    fn thaw(&self, _: &Frozen) -> Result<bool> {
        let left = self.stuck.load(Ordering::SeqCst);
        if left > 0 {
            self.stuck.store(left - 1, Ordering::SeqCst);
            return Err(Error::new(ErrorKind::Io, Op::Thaw, Subject::Host, "stuck"));
        }
        self.frozen.store(0, Ordering::SeqCst);
        Ok(!self.thawed)
    }

    fn sweep(&self) -> Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

fn snapshot_of_published(lab: &Lab, fake: &Arc<Fake>) -> Result<()> {
    let backend = lab.backend().with_quiescer(Arc::clone(fake) as _);
    let pool = backend.open_pool(&pool_id())?;
    let _ = pool.publish(&PublishSpec::new(volume("old")))?;
    snap(pool.as_ref(), "now", "old")
}

#[test]
fn a_thaw_that_fails_is_tried_again() {
    for reflink in BOTH {
        let lab = Lab::filled(reflink, 0);
        let fake = Arc::new(Fake::default());
        fake.stuck.store(1, Ordering::SeqCst);
        assert_eq!(kind(snapshot_of_published(&lab, &fake)), ErrorKind::Io);
        assert_eq!(fake.frozen.load(Ordering::SeqCst), 0, "it is left frozen");
    }
}

#[test]
fn a_copy_of_what_somebody_else_thawed_is_thrown_away() {
    for reflink in BOTH {
        let lab = Lab::filled(reflink, 0);
        let fake = Arc::new(Fake { thawed: true, ..Fake::default() });
        assert_eq!(kind(snapshot_of_published(&lab, &fake)), ErrorKind::Busy);
        let pool = lab.open().unwrap();
        let snapshots = pool.snapshots().unwrap();
        assert_eq!(kind(snapshots.snapshot(&snapshot("now"))), ErrorKind::NotFound);
    }
}

#[test]
fn shared_blocks_are_not_promised_twice() {
    let lab = Lab::filled(true, 0);
    let pool = lab.open().unwrap();
    let total = Bytes::new(40 * SIZE.get());
    for name in ["a", "b", "c"] {
        snap(pool.as_ref(), name, "old").unwrap();
    }
    // Somebody else fills the disk but for four volumes.
    let others = total.get() - lab.files.used().get() - 4 * SIZE.get();
    lab.files.set_total(total);
    let zeroes = vec![1; usize::try_from(others).unwrap()];
    lab.files.add_file("/srv/others", &zeroes).unwrap();
    let capacity = pool.info().unwrap().capacity;
    let free = lab.files.space(Path::new(POOL)).unwrap().available;
    assert!(capacity.available <= free, "{} are promised of {free}", capacity.available);
}
