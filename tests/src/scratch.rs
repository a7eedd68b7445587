//! A folder and devices of one test, removed when it ends.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use open_local_core::Bytes;
use open_local_core::host::{
    Host, LoopDevice, LoopSpec, Loops, MountCalls, Roots, SystemLoops, SystemMounts,
};

use crate::sweep;

/// Beginning of every name that a test run makes.
pub const PREFIX: &str = "open-local-test-";

static NEXT: AtomicU64 = AtomicU64::new(1);

/// Fails with what is missing if the tier can't run here.
///
/// # Panics
/// If the process is not root or there is no loop control device.
#[expect(clippy::panic, reason = "a tier that lacks something must fail, and this is a test")]
pub fn require_root() {
    if !nix::unistd::geteuid().is_root() {
        panic!("this tier needs root: run it with sudo");
    }
    if !Path::new("/dev/loop-control").exists() {
        panic!("this tier needs loop devices: /dev/loop-control is missing (modprobe loop)");
    }
}

/// A folder of one test. When it is dropped, everything mounted below it is unmounted, loop
/// devices with its run id are detached, and the folder is removed.
#[derive(Debug)]
pub struct Scratch {
    run: String,
    folder: PathBuf,
    /// Backing files: in memory where there is room, since the many flushes of
    /// these tests are about their order and not about the disk below.
    backing: PathBuf,
}

impl Scratch {
    /// A new folder on the disk that holds `/var/tmp`, named after the process and a counter.
    ///
    /// # Panics
    /// If it can't be made, or the tier's needs are not met.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test that can't have its folder must fail")]
    pub fn new(test: &str) -> Self {
        require_root();
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let run = format!("{PREFIX}{}-{number}-{test}", std::process::id());
        let folder = Path::new("/var/tmp").join(&run);
        fs::create_dir(&folder).expect("make the test's folder");
        let backing = sweep::memory_folder(&run).unwrap_or_else(|| folder.join("backing"));
        fs::create_dir(&backing).expect("make the folder of backing files");
        Self { run, folder, backing }
    }

    /// The same with the backing files on the disk below, for those who measure flushes.
    ///
    /// # Panics
    /// As [`Self::new`].
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test that can't have its folder must fail")]
    pub fn on_disk(test: &str) -> Self {
        let mut scratch = Self::new(test);
        let backing = scratch.folder.join("backing");
        fs::create_dir_all(&backing).expect("make the folder of backing files");
        scratch.backing = backing;
        scratch
    }

    /// The run id: a prefix of everything this test makes.
    #[must_use]
    pub fn run_id(&self) -> &str {
        &self.run
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// A path in the folder.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The machine, with our own state and locks inside the folder.
    #[must_use]
    pub fn host(&self) -> Host {
        Host::system().with_roots(Roots::with_own_folders_under(&self.folder))
    }

    /// A loop device over a new sparse file in the folder.
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test that can't have its device must fail")]
    pub fn loop_device(&self, name: &str, size: Bytes) -> LoopFixture {
        let file = self.backing_file(name, size);
        let loops = SystemLoops::default();
        let spec = LoopSpec {
            file: &file,
            tag: &sweep::tag(&self.run),
            read_only: false,
            direct_io: false,
            block_size: Bytes::new(512),
        };
        let device = loops.attach(&spec).expect("attach a loop device");
        LoopFixture { device, file }
    }

    /// A new sparse file for a loop device.
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test that can't have its file must fail")]
    pub fn backing_file(&self, name: &str, size: Bytes) -> PathBuf {
        let file = self.backing.join(name);
        let backing = fs::File::create_new(&file).expect("make the backing file");
        backing.set_len(size.get()).expect("size the backing file");
        file
    }

    /// A new file system on a loop device, mounted in the folder: a small disk of its own that
    /// can be filled. `mkfs` is the program with its options; answers the mount target.
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test that can't have its disk must fail")]
    pub fn disk(&self, name: &str, size: Bytes, kind: &str) -> PathBuf {
        let device = self.loop_device(&format!("{}.disk", name.replace('/', "-")), size);
        run(&format!("mkfs.{kind}"), &["-q".as_ref(), device.path().as_os_str()]);
        self.mount(name, device.path(), kind).expect("mount the disk")
    }

    /// Mounts what a device holds in the folder; answers the target.
    ///
    /// # Errors
    /// As the operating system gives them.
    pub fn mount(&self, name: &str, device: &Path, kind: &str) -> io::Result<PathBuf> {
        let target = self.join(name);
        if !target.exists() {
            fs::create_dir(&target)?;
        }
        let flags = open_local_core::host::MountFlags::default();
        SystemMounts.mount(device, &target, kind, flags, "")?;
        Ok(target)
    }
}

/// Runs a program of the system to its end.
///
/// # Panics
/// If it can't be started or fails.
#[expect(clippy::disallowed_methods, clippy::panic, reason = "an oracle outside the SDK")]
pub fn run(program: &str, arguments: &[&std::ffi::OsStr]) -> String {
    let output = std::process::Command::new(program).args(arguments).output();
    match output {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).into_owned()
        }
        other => panic!("{program} {arguments:?}: {other:?}"),
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::env::var_os("KEEP").is_some() {
            eprintln!("KEEP: left {} as it is", self.folder.display());
            return;
        }
        for problem in sweep::remove_run(&self.run) {
            eprintln!("left behind by {}: {problem}", self.run);
        }
    }
}

/// An attached loop device; the [`Scratch`] detaches it.
#[derive(Debug)]
pub struct LoopFixture {
    /// The device as attached.
    pub device: LoopDevice,
    /// Its backing file.
    pub file: PathBuf,
}

impl LoopFixture {
    /// The device node.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.device.path
    }
}
