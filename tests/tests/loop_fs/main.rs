//! File systems on real loop devices, with the programs and the kernel of this machine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod faults;
mod format;
mod freeze;
mod life;
mod mount;
mod probe;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use open_local_core::fs::{Filesystems, FormatSpec, HostFilesystems, MountSpec};
use open_local_core::host::{Host, LoopSpec, Loops, SystemLoops, SystemMounts};
use open_local_core::{Attachment, Bytes, FormatToken, FormatTokens, FsKind, Result, VolumeId};
use open_local_tests::scratch::run;
use open_local_tests::{LoopFixture, Scratch};

/// The token of the one volume of a test.
#[derive(Debug)]
pub(crate) struct Token(pub(crate) Mutex<FormatToken>);

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

/// A device with its token, in a folder of its own.
pub(crate) struct Bench {
    pub(crate) scratch: Scratch,
    pub(crate) disk: LoopFixture,
    pub(crate) token: Token,
}

/// Sizes that the newest mkfs accepts.
pub(crate) fn size_for(kind: FsKind) -> Bytes {
    let mib = match kind {
        FsKind::Xfs => 320,
        FsKind::Btrfs => 160,
        _ => 64,
    };
    Bytes::from_mib(mib).unwrap()
}

impl Bench {
    pub(crate) fn new(test: &str, kind: FsKind) -> Self {
        let scratch = Scratch::new(&format!("{test}-{kind}"));
        let disk = scratch.loop_device("disk", size_for(kind));
        Self { scratch, disk, token: Token(Mutex::new(FormatToken::Unused)) }
    }

    /// With a file system.
    pub(crate) fn formatted(test: &str, kind: FsKind) -> Self {
        let bench = Self::new(test, kind);
        assert!(bench.format(kind).unwrap().changed());
        bench
    }

    pub(crate) fn fs(&self) -> HostFilesystems {
        self.fs_of(self.scratch.host())
    }

    pub(crate) fn fs_of(&self, host: Host) -> HostFilesystems {
        HostFilesystems::new(host, Arc::new(SystemMounts))
    }

    pub(crate) fn device(&self) -> Attachment {
        attachment(&self.disk)
    }

    pub(crate) fn target(&self) -> PathBuf {
        self.scratch.join("target")
    }

    pub(crate) fn format(
        &self,
        kind: FsKind,
    ) -> Result<open_local_core::Ensured<open_local_core::fs::FsIdentity>> {
        self.format_with(&self.fs(), &FormatSpec::new(kind))
    }

    pub(crate) fn format_with(
        &self,
        fs: &HostFilesystems,
        spec: &FormatSpec,
    ) -> Result<open_local_core::Ensured<open_local_core::fs::FsIdentity>> {
        fs.ensure_formatted(&self.token, &"v".parse().unwrap(), &self.device(), spec)
    }

    pub(crate) fn mount(&self) -> MountSpec {
        MountSpec::new(self.disk.path(), self.target())
    }

    pub(crate) fn token_now(&self) -> FormatToken {
        *self.token.0.lock().unwrap()
    }
}

pub(crate) fn attachment(disk: &LoopFixture) -> Attachment {
    let volume: VolumeId = "v".parse().unwrap();
    let block = Bytes::new(512);
    let number = disk.device.number;
    Attachment::new(volume, disk.path(), number, block).with_sequence(disk.device.sequence)
}

/// Runs an oracle with paths as arguments.
pub(crate) fn tool(program: &str, arguments: &[&dyn AsRef<OsStr>]) -> String {
    let arguments: Vec<&OsStr> = arguments.iter().map(|a| a.as_ref()).collect();
    run(program, &arguments)
}

/// A second device with the bytes the first has now.
pub(crate) fn copy(bench: &Bench, name: &str, read_only: bool) -> LoopFixture {
    SystemLoops::default().flush(&bench.disk.device).unwrap();
    let file = bench.scratch.join(name);
    tool("cp", &[&"--sparse=always", &bench.disk.file, &file]);
    let spec = LoopSpec {
        file: &file,
        tag: &open_local_tests::sweep::tag(bench.scratch.run_id()),
        read_only,
        direct_io: false,
        block_size: Bytes::new(512),
    };
    let device = SystemLoops::default().attach(&spec).unwrap();
    LoopFixture { device, file }
}

/// The lines of the mount table that name a target.
pub(crate) fn mounts_at(target: &Path) -> usize {
    let table = std::fs::read("/proc/self/mountinfo").unwrap();
    let table = open_local_core::fs::parse_mountinfo(&table).unwrap();
    table.iter().filter(|m| m.target == target).count()
}
