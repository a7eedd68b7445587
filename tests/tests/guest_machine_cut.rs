//! A whole machine loses power: the emulator is killed, its disks lose what was not flushed, and
//! it starts again on what is left.
//!
//! Runs on the host: it serves the disks and starts the guests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use open_local_tests::Scratch;
use open_local_tests::guest::rounds;
use open_local_tests::powercut::fate::{Fate, decide};

const SIZE: &str = "64M";
const BYTES: &str = "67108864";
/// Files that are written and flushed before the power goes.
const ACKNOWLEDGED: u32 = 5;

/// The program that serves a disk; killed when it is dropped.
struct PowerDisk {
    process: Child,
    answers: BufReader<std::process::ChildStdout>,
    socket: PathBuf,
}

impl PowerDisk {
    #[expect(clippy::disallowed_methods, reason = "a server that outlives the guests")]
    fn serve(folder: &Path, name: &str) -> Self {
        let socket = folder.join(format!("{name}.socket"));
        let mut process = Command::new(env!("CARGO_BIN_EXE_open-local-powerdisk"))
            .arg("--file")
            .arg(folder.join(name))
            .args(["--size", BYTES, "--socket"])
            .arg(&socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let mut disk = Self { process, answers, socket };
        assert_eq!(disk.answer(), "ready");
        disk
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn ask(&mut self, command: &str) -> String {
        writeln!(self.process.stdin.as_mut().unwrap(), "{command}").unwrap();
        let answer = self.answer();
        println!("{command}: {answer}");
        answer
    }

    fn as_disk(&self, name: &str) -> String {
        format!("nvme:name={name},size={SIZE},nbd={}", self.socket.display())
    }
}

impl Drop for PowerDisk {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "the runner is a program")]
fn vm_run(disks: &[String], more: &[&str], script: &str) -> Output {
    let program = std::env::var_os("OPEN_LOCAL_VM").expect("run it by `cargo xtask vm test`");
    let disks = disks.iter().flat_map(|disk| ["--disk", disk]);
    let mut run = Command::new(program);
    run.args(["vm", "run"]).args(disks).args(more).args(["--", "sh", "-ec", script]);
    run.output().unwrap()
}

fn said(output: &Output) -> String {
    let (stdout, stderr) = (&output.stdout, &output.stderr);
    format!("{}\n{}", String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr))
}

/// Seeds that lose every write that was not flushed, whatever there is.
fn losing() -> impl Iterator<Item = u64> {
    (0..).filter(|seed| decide(*seed, &[1, 9, 1, 9]).each.iter().all(|fate| *fate == Fate::Lost))
}

/// One writer flushes and one never does.
const WORK: &str = "\
modprobe ext4
block() { tr '\\0' \"$1\" < /dev/zero | head -c 4096 | \
dd of=$GUEST_DISK_RAW bs=4096 seek=$2 iflag=fullblock oflag=direct conv=notrunc$3 status=none; }
block A 0 ,fsync
block B 1
mkfs.ext4 -q $GUEST_DISK_FS
mkdir -p /mnt/fs
mount $GUEST_DISK_FS /mnt/fs
i=1
while :; do
  head -c 300000 /dev/urandom > /tmp/data
  sha256sum < /tmp/data > /tmp/sum
  dd if=/tmp/data of=/mnt/fs/$i conv=fsync status=none
  dd if=/tmp/sum of=/mnt/fs/$i.sum conv=fsync status=none
  sync -f /mnt/fs
  block C 2
  echo acknowledged $i.
  i=$((i + 1))
done
";

const LOOK: &str = "\
modprobe ext4
for at in 0 1 2; do echo block $at: $(dd if=$GUEST_DISK_RAW bs=4096 skip=$at count=1 status=none \
| tr '\\0' 0 | head -c 1); done
mkdir -p /mnt/fs
mount $GUEST_DISK_FS /mnt/fs
for i in $(seq 1 $COUNT); do sha256sum < /mnt/fs/$i | cmp - /mnt/fs/$i.sum && echo whole $i; done
umount /mnt/fs
e2fsck -fn $GUEST_DISK_FS
";

#[test]
fn a_machine_that_loses_power_keeps_what_was_flushed_and_loses_what_was_not() {
    for seed in losing().take(usize::try_from(rounds(1)).unwrap()) {
        let scratch = Scratch::new("machine-cut");
        let mut raw = PowerDisk::serve(scratch.path(), "raw");
        let mut fs = PowerDisk::serve(scratch.path(), "fs");
        let disks = [raw.as_disk("raw"), fs.as_disk("fs")];
        let last = format!("acknowledged {ACKNOWLEDGED}.");
        let output = vm_run(&disks, &["--cut-at", &last], WORK);
        assert!(output.status.success() && said(&output).contains(&last), "{}", said(&output));
        for disk in [&mut raw, &mut fs] {
            let status = disk.ask("status");
            assert!(status.contains("written_back=0"), "{status}");
            assert!(disk.ask(&format!("cut {seed}")).starts_with("cut "));
            assert_eq!(disk.ask("on"), "on");
        }
        let count = format!("COUNT={ACKNOWLEDGED}");
        let output = vm_run(&disks, &["--env", &count], LOOK);
        let text = said(&output);
        assert!(output.status.success(), "{text}");
        for line in ["block 0: A", "block 1: 0", "block 2: 0"] {
            assert!(text.contains(line), "seed {seed}: no {line:?}: {text}");
        }
        for file in 1..=ACKNOWLEDGED {
            assert!(text.contains(&format!("whole {file}\n")), "seed {seed}: {file}: {text}");
        }
    }
}
