//! Random calls give the same results and error numbers on the simulated and the real files.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use proptest::sample::select;

use crate::host::{FileIo, FileKind, FileLock, Files, OpenMode, SystemFiles};
use crate::sim::SimFiles;
use crate::units::Bytes;

#[derive(Debug, Clone)]
enum Call {
    CreateDir(String),
    CreateNew(String),
    Open(String, OpenMode),
    Close(usize),
    Write(usize, u64, usize, u8),
    Read(usize, u64, usize),
    SetLen(usize, u64),
    Allocate(usize, u64, u64),
    NextData(usize, u64),
    Flush(usize),
    StatHandle(usize),
    Stat(String),
    List(String),
    Reflink(String, String),
    Rename(String, String),
    RemoveFile(String),
    RemoveDir(String),
    SyncDir(String),
    Space(String),
    Lock(String),
    Unlock(usize),
}

fn name() -> impl Strategy<Value = String> {
    let long = "n".repeat(256);
    let names = [
        "a", "b", "c", "d", "e", "d/a", "d/b", "d/e", "d/e/a", "e/a", "a/a", "l", "l/a", "l/e",
        "o", "o/a", "d/..", "d/../a", "", "a\0", &long,
    ];
    let common = select(names.map(str::to_owned).to_vec());
    prop_oneof![
        3 => common,
        2 => select(["a", "b", "d", "d/a", "d/b"].map(str::to_owned).to_vec()),
    ]
}

fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => 0u64..20_000,
        2 => select(vec![0, 511, 512, 4095, 4096, 4097, 8192, 1 << 20]),
        1 => select(vec![u64::MAX, 1 << 63]),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let slot = 0usize..4;
    let mode = select(vec![OpenMode::Read, OpenMode::ReadWrite, OpenMode::ReadWrite]);
    prop_oneof![
        2 => name().prop_map(Call::CreateDir),
        4 => name().prop_map(Call::CreateNew),
        4 => (name(), mode).prop_map(|(n, m)| Call::Open(n, m)),
        1 => slot.clone().prop_map(Call::Close),
        6 => (slot.clone(), offset(), 0usize..9000, 1u8..)
            .prop_map(|(s, o, l, b)| Call::Write(s, o, l, b)),
        4 => (slot.clone(), offset(), 0usize..9000).prop_map(|(s, o, l)| Call::Read(s, o, l)),
        2 => (slot.clone(), offset()).prop_map(|(s, l)| Call::SetLen(s, l)),
        1 => (slot.clone(), offset(), offset()).prop_map(|(s, o, l)| Call::Allocate(s, o, l)),
        2 => (slot.clone(), offset()).prop_map(|(s, o)| Call::NextData(s, o)),
        1 => slot.clone().prop_map(Call::Flush),
        1 => slot.clone().prop_map(Call::StatHandle),
        2 => name().prop_map(Call::Stat),
        2 => name().prop_map(Call::List),
        2 => (name(), name()).prop_map(|(a, b)| Call::Reflink(a, b)),
        4 => (name(), name()).prop_map(|(a, b)| Call::Rename(a, b)),
        2 => name().prop_map(Call::RemoveFile),
        2 => name().prop_map(Call::RemoveDir),
        1 => name().prop_map(Call::SyncDir),
        1 => name().prop_map(Call::Space),
        2 => name().prop_map(Call::Lock),
        1 => slot.prop_map(Call::Unlock),
    ]
}

/// One of the two worlds.
struct World<'a> {
    files: &'a dyn Files,
    base: PathBuf,
    handles: [Option<Box<dyn FileIo>>; 4],
    locks: [Option<Box<dyn FileLock>>; 4],
    next: usize,
}

/// What a call answered, as far as the two worlds must agree.
fn told<T: Debug>(answer: io::Result<T>) -> String {
    match answer {
        Ok(value) => format!("{value:?}"),
        Err(error) => match error.raw_os_error() {
            Some(number) => format!("{}", io::Error::from_raw_os_error(number)),
            None => format!("{:?}", error.kind()),
        },
    }
}

impl<'a> World<'a> {
    fn new(files: &'a dyn Files, base: PathBuf) -> Self {
        Self { files, base, handles: [const { None }; 4], locks: [const { None }; 4], next: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { PathBuf::new() } else { self.base.join(name) }
    }

    fn keep(&mut self, file: io::Result<Box<dyn FileIo>>) -> String {
        let slot = self.next % 4;
        told(file.map(|file| {
            self.handles[slot] = Some(file);
            self.next += 1;
        }))
    }

    fn with(&self, slot: usize, act: impl FnOnce(&dyn FileIo) -> String) -> String {
        self.handles[slot].as_deref().map_or_else(|| "closed".into(), act)
    }

    fn call(&mut self, call: &Call) -> String {
        let files = self.files;
        match call {
            Call::CreateNew(n) => self.keep(files.create_new(&self.path(n))),
            Call::Open(n, mode) => self.keep(files.open(&self.path(n), *mode)),
            Call::Close(slot) => told(Ok(self.handles[*slot].take().is_some())),
            Call::Write(s, o, l, b) => self.with(*s, |f| told(f.write_at(*o, &vec![*b; *l]))),
            Call::Read(slot, offset, len) => self.with(*slot, |file| {
                let mut buf = vec![0xEE; *len];
                told(file.read_at(*offset, &mut buf).map(|()| buf))
            }),
            Call::SetLen(s, len) => self.with(*s, |f| told(f.set_len(Bytes::new(*len)))),
            Call::Allocate(s, o, len) => self.with(*s, |f| told(f.allocate(*o, *len))),
            Call::NextData(slot, offset) => self.with(*slot, |file| {
                if file.stat().unwrap().kind != FileKind::File {
                    return "no file".into();
                }
                told(file.next_data(*offset))
            }),
            Call::Flush(s) => self.with(*s, |f| told(f.flush())),
            Call::StatHandle(s) => self.with(*s, |f| told(f.stat().map(comparable))),
            Call::Lock(n) => {
                let lock = files.try_lock(&self.path(n));
                let slot = self.next % 4;
                told(lock.map(|lock| {
                    let held = lock.is_some();
                    if held {
                        self.locks[slot] = lock;
                        self.next += 1;
                    }
                    held
                }))
            }
            Call::Unlock(slot) => told(Ok(self.locks[*slot].take().is_some())),
            about_paths => self.call_path(about_paths),
        }
    }

    fn call_path(&self, call: &Call) -> String {
        let files = self.files;
        match call {
            Call::CreateDir(n) => told(files.create_dir(&self.path(n))),
            Call::Stat(n) => told(files.stat(&self.path(n)).map(comparable)),
            Call::List(n) => told(files.list(&self.path(n))),
            Call::Reflink(a, b) => told(files.reflink(&self.path(a), &self.path(b))),
            Call::Rename(a, b) => told(files.rename(&self.path(a), &self.path(b))),
            Call::RemoveFile(n) => told(files.remove_file(&self.path(n))),
            Call::RemoveDir(n) => told(files.remove_dir(&self.path(n))),
            Call::SyncDir(n) => told(files.sync_dir(&self.path(n))),
            Call::Space(n) => told(files.space(&self.path(n)).map(|space| space.read_only)),
            other => unreachable!("{other:?} is no call about paths alone"),
        }
    }

    /// Everything below a folder, with content.
    fn tree(&self, folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for name in self.files.list(folder).unwrap() {
            let path = folder.join(name);
            let stat = self.files.stat(&path).unwrap();
            let shown = path.strip_prefix(&self.base).unwrap();
            let mut content = Vec::new();
            if stat.kind == FileKind::File {
                let file = self.files.open(&path, OpenMode::Read).unwrap();
                content.resize(stat.size.to_usize().unwrap().min(1 << 16), 0);
                file.read_at(0, &mut content).unwrap();
            }
            found.push(format!("{shown:?} {:?} {content:?}", comparable(stat)));
            if stat.kind == FileKind::Directory {
                found.extend(self.tree(&path));
            }
        }
        found
    }
}

fn comparable(stat: crate::host::FileStat) -> (FileKind, Option<Bytes>) {
    let sized = stat.kind != FileKind::Directory;
    (stat.kind, sized.then_some(stat.size))
}

/// A folder of the machine that is gone afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("open-local-model-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the real file system can do.
#[derive(Debug, Clone, Copy)]
struct Abilities {
    reflink: bool,
    allocate: bool,
    blocks_of_4k: bool,
}

fn abilities() -> Abilities {
    let scratch = Scratch::new();
    let (a, b) = (scratch.0.join("a"), scratch.0.join("b"));
    let file = SystemFiles.create_new(&a).unwrap();
    file.set_len(Bytes::new(16384)).unwrap();
    file.write_at(0, b"x").unwrap();
    let blocks_of_4k = file.next_data(0).unwrap() == Some((0, 4096));
    let allocate = file.allocate(0, 4096).is_ok();
    let reflink = SystemFiles.reflink(&a, &b).is_ok();
    Abilities { reflink, allocate, blocks_of_4k }
}

fn agree(calls: &[Call], can: Abilities) -> Result<(), TestCaseError> {
    let scratch = Scratch::new();
    let simulated = SimFiles::new(1);
    simulated.set_reflink(can.reflink);
    simulated.add_folder(&scratch.0).unwrap();
    for (link, target) in [("l", "d"), ("o", "o")] {
        std::os::unix::fs::symlink(target, scratch.0.join(link)).unwrap();
        simulated.add_symlink(scratch.0.join(link), target).unwrap();
    }
    let mut sim = World::new(&simulated, scratch.0.clone());
    let mut real = World::new(&SystemFiles, scratch.0.clone());
    // Which unwritten blocks count as data is the real file system's own affair.
    let mut exact = can.blocks_of_4k;
    for call in calls {
        match call {
            Call::Allocate(..) if !can.allocate => continue,
            Call::Allocate(..) => exact = false,
            Call::NextData(..) if !exact => continue,
            _ => {}
        }
        prop_assert_eq!(sim.call(call), real.call(call), "{:?}", call);
    }
    prop_assert_eq!(sim.tree(&scratch.0), real.tree(&scratch.0));
    Ok(())
}

#[test]
fn random_calls_answer_as_on_the_real_machine() {
    let can = abilities();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(calls in prop::collection::vec(call(), 1..80))| {
        agree(&calls, can)?;
    });
}

/// Room is counted right, no two files have one number, and a clean machine survives every cut.
fn is_sound(files: &SimFiles, base: &Path) -> Result<(), TestCaseError> {
    prop_assert_eq!(files.used(), files.fork(0).used());
    let paths = files.paths();
    let inodes: BTreeSet<u64> = paths.iter().map(|p| files.stat(p).unwrap().inode).collect();
    prop_assert_eq!(inodes.len(), paths.len());
    let before = World::new(files, base.into()).tree(base);
    let rebooted = files.fork(0);
    rebooted.reboot();
    for seed in 0..4 {
        prop_assert_eq!(&World::new(&rebooted, base.into()).tree(base), &before);
        prop_assert_eq!(rebooted.used(), rebooted.fork(0).used());
        rebooted.power_cut(seed);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_history_of_calls_kills_and_power_cuts_leaves_a_sound_machine(
        parts in prop::collection::vec(
            (prop::collection::vec(call(), 1..30), 1u64..40, any::<u64>(), any::<bool>()),
            1..5,
        ),
        reflink in any::<bool>(),
    ) {
        let base = Path::new("/base");
        let files = SimFiles::new(1);
        files.set_reflink(reflink);
        files.set_total(Bytes::new(64 << 10));
        files.add_folder(base).unwrap();
        files.add_symlink("/base/l", "d").unwrap();
        for (calls, kill, seed, cut) in parts {
            let files = files.clone();
            let mut world = World::new(&files, base.into());
            files.kill_at(kill);
            let calls = calls.iter().filter(|call| !matches!(call, Call::StatHandle(_) | Call::NextData(..)));
            for call in calls {
                world.call(call);
            }
            if cut {
                files.power_cut(seed % 16);
            }
            files.revive();
            is_sound(&files, base)?;
        }
    }
}
