//! One run of the guest: started, watched under deadlines, ended by its pid.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use super::disk::Disk;
use super::host::Host;
use super::initramfs::{self, Root};
use super::judge::{self, Evidence};
use super::modules;
use super::protocol::{Ending, Item, JOB, Job, KERNEL_LOG, Message};
use super::qemu::{self, CONSOLE_FILE, CONTROL_FILE, STDERR_FILE, STDOUT_FILE};
use super::run_folder::RunFolder;
use crate::Result;
use crate::process::{Call, Outlet, Running, Watch, pause};

/// The longest way to the first item; an idle machine takes a twentieth of it without hardware
/// acceleration.
const START: Duration = Duration::from_secs(120);
/// The longest pause between two items, and after the last until the machine is off.
const BETWEEN: Duration = Duration::from_secs(60);
/// What an item may take beyond its own limit: the guest kills it first.
const GRACE: Duration = Duration::from_secs(45);
/// Most bytes of output of a run.
const MOST_OUTPUT: u64 = 256 << 20;
/// Modules for device-mapper, in every guest: the kernel would load most of them by itself, but
/// lists of targets would lack them until then.
const MODULES: [&str; 7] =
    ["dm-mod", "dm-thin-pool", "dm-snapshot", "dm-flakey", "dm-log-writes", "dm-delay", "loop"];
const EMULATOR_FILE: &str = "qemu.log";

/// What the machine is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) disks: Vec<Disk>,
    pub(crate) udev: bool,
    /// In MiB.
    pub(crate) memory: u32,
    pub(crate) processors: u32,
}

/// What a watcher wants after an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    GoOn,
    /// The machine loses its power now.
    Cut,
}

/// Told of everything as it comes.
pub(super) trait Watcher {
    /// What items wrote is in the share.
    fn message(&mut self, message: &Message, share: &Path);
    fn stdout(&mut self, bytes: &[u8]) -> Wish;
    fn stderr(&mut self, bytes: &[u8]);
}

/// How a run went.
#[derive(Debug)]
pub(super) struct Outcome {
    /// How each item that ended did so.
    pub(super) endings: Vec<(usize, Ending)>,
    /// Why it is not to be believed; empty for a good run.
    pub(super) complaints: Vec<String>,
    /// Whether a watcher cut it off.
    pub(super) cut: bool,
    /// The end of the console's log.
    pub(super) console: String,
    pub(super) folder: RunFolder,
    /// From the start of the emulator to the first item.
    pub(super) start: Duration,
}

/// Runs items in a new guest.
pub(super) fn run(
    host: &Host,
    shape: &Shape,
    job: Job,
    terminal: bool,
    watcher: &mut dyn Watcher,
) -> Result<Outcome> {
    let mut folder = RunFolder::new(&host.runs)?;
    let job = complete(job, shape, folder.path());
    fs::write(folder.path().join("versions"), host.versions.lines())
        .and_then(|()| fs::write(folder.share().join(JOB), job.to_json()))
        .map_err(|e| format!("{}: {e}", folder.path().display()))?;
    folder.make_disks(&shape.disks)?;
    let running = start(host, shape, &folder, terminal)?;
    let share = folder.share();
    let mut watch = Watched {
        running,
        items: &job.items,
        share: &share,
        nonce: &job.nonce,
        control: Tail::new(folder.path(), CONTROL_FILE),
        stdout: Tail::new(folder.path(), STDOUT_FILE),
        stderr: Tail::new(folder.path(), STDERR_FILE),
        messages: Vec::new(),
        unfinished: String::new(),
        clock: Watch::start(),
        ready_after: None,
        cut: false,
    };
    let ended_badly = watch.follow(watcher).err();
    let Watched { messages, cut, ready_after, .. } = watch;
    let console = folder.text(CONSOLE_FILE);
    let kernel_log = folder.text(&format!("{}/{KERNEL_LOG}", qemu::SHARE_FOLDER));
    let mut complaints = judge::complaints(&Evidence {
        messages: &messages,
        expected: job.items.len(),
        console: &console,
        kernel_log: &kernel_log,
        ended_badly: ended_badly.as_deref(),
    });
    let emulator = folder.text(EMULATOR_FILE);
    if !complaints.is_empty() && !emulator.trim().is_empty() {
        complaints.push(format!("the emulator says: {}", emulator.trim()));
    }
    let endings = messages.iter().filter_map(|message| match message {
        Message::Ended(item, ending) => Some((*item, *ending)),
        _ => None,
    });
    Ok(Outcome {
        endings: endings.collect(),
        complaints,
        cut,
        console,
        folder,
        start: ready_after.unwrap_or_default(),
    })
}

fn complete(mut job: Job, shape: &Shape, folder: &Path) -> Job {
    let of_disks = shape.disks.iter().flat_map(|disk| disk.bus.modules());
    job.modules = MODULES.iter().chain(of_disks).map(|name| (*name).to_owned()).collect();
    job.disks = shape.disks.iter().map(|disk| disk.name.clone()).collect();
    job.udev = shape.udev;
    // Unlike that of any other run of this machine, also after a restart.
    let random = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    job.nonce = format!("{name}-{}", random.trim());
    job
}

fn start(host: &Host, shape: &Shape, folder: &RunFolder, terminal: bool) -> Result<Running> {
    let kernel = &host.kernel;
    let list = |name: &str| {
        let path = kernel.modules().join(name);
        fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))
    };
    let order =
        modules::load_order(&list("modules.dep")?, &list("modules.builtin")?, &modules::BOOT)?;
    let modules: Vec<(String, Vec<u8>)> = order
        .into_iter()
        .map(|path| Ok((path.clone(), kernel.module(&path)?)))
        .collect::<Result<_>>()?;
    let script = initramfs::script(&Root {
        release: &kernel.release,
        modules: &kernel.modules(),
        program: &host.program,
    });
    let initramfs = folder.path().join("initramfs");
    let archive = initramfs::archive(&host.busybox, &modules, &script)?;
    fs::write(&initramfs, archive).map_err(|e| format!("{}: {e}", initramfs.display()))?;
    let command = qemu::command(&qemu::Spec {
        accelerator: host.accelerator,
        kernel: &kernel.image(),
        initramfs,
        memory: shape.memory,
        processors: shape.processors,
        disks: &shape.disks,
        folder: folder.path(),
        terminal,
        shares: true,
    });
    started(&command, folder.path(), terminal)
}

/// Starts the emulator.
pub(super) fn started(command: &[String], folder: &Path, terminal: bool) -> Result<Running> {
    let Some((program, args)) = command.split_first() else {
        return Err("the emulator has no name".to_owned());
    };
    let log = folder.join(EMULATOR_FILE);
    let file = File::create(&log).map_err(|e| format!("{}: {e}", log.display()))?;
    let outlet = if terminal { Outlet::Shell } else { Outlet::File(file) };
    Call::new(program, &[]).args(args.iter().cloned()).started(outlet, false)
}

/// A file that grows.
struct Tail {
    path: std::path::PathBuf,
    file: Option<File>,
    seen: u64,
}

impl Tail {
    fn new(folder: &Path, name: &str) -> Self {
        Self { path: folder.join(name), file: None, seen: 0 }
    }

    /// What came since the last time.
    fn more(&mut self) -> Result<Vec<u8>> {
        if self.file.is_none() {
            self.file = File::open(&self.path).ok();
        }
        let mut bytes = Vec::new();
        if let Some(file) = &mut self.file {
            file.read_to_end(&mut bytes).map_err(|e| format!("{}: {e}", self.path.display()))?;
        }
        self.seen = self.seen.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.seen > MOST_OUTPUT {
            return Err(format!("the guest printed more than {} MiB", MOST_OUTPUT >> 20));
        }
        Ok(bytes)
    }
}

struct Watched<'a> {
    running: Running,
    items: &'a [Item],
    share: &'a Path,
    nonce: &'a str,
    control: Tail,
    stdout: Tail,
    stderr: Tail,
    messages: Vec<Message>,
    /// The beginning of a control line whose end has not come.
    unfinished: String,
    /// Runs anew with every message.
    clock: Watch,
    ready_after: Option<Duration>,
    cut: bool,
}

impl Watched<'_> {
    /// Follows the guest until it is off; an error says why it was not let go on.
    fn follow(&mut self, watcher: &mut dyn Watcher) -> Result<()> {
        loop {
            // In this order: what an ended emulator has written is all seen.
            let ended = self.running.ended()?;
            if let Err(why) = self.look(watcher) {
                self.running.kill();
                return Err(why);
            }
            if self.cut {
                self.running.kill();
                return self.look(watcher);
            }
            if let Some(status) = ended {
                return well(status);
            }
            let allowed = allowed(self.messages.last(), self.items);
            if self.clock.elapsed() > allowed {
                self.running.kill();
                self.look(watcher)?;
                let seconds = allowed.as_secs();
                let after = self.messages.last().map(Message::to_string);
                let after = after.unwrap_or_else(|| "its start".to_owned());
                return Err(format!(
                    "time-out: nothing from the guest for {seconds} s after {after:?}; its \
                     emulator was killed"
                ));
            }
            pause();
        }
    }

    fn look(&mut self, watcher: &mut dyn Watcher) -> Result<()> {
        // Output before messages: an item's end is told after its last line.
        let control = self.control.more()?;
        let stdout = self.stdout.more()?;
        if !stdout.is_empty() && watcher.stdout(&stdout) == Wish::Cut {
            self.cut = true;
        }
        let stderr = self.stderr.more()?;
        if !stderr.is_empty() {
            watcher.stderr(&stderr);
        }
        self.unfinished.push_str(&String::from_utf8_lossy(&control));
        while let Some((line, rest)) = self.unfinished.split_once('\n') {
            let message = Message::parse(line, self.nonce);
            let rest = rest.to_owned();
            self.unfinished = rest;
            if let Some(message) = message {
                if message == Message::Ready {
                    self.ready_after = Some(self.clock.elapsed());
                }
                self.clock = Watch::start();
                watcher.message(&message, self.share);
                self.messages.push(message);
            }
        }
        Ok(())
    }
}

/// How long the guest may be silent after its last message.
fn allowed(last: Option<&Message>, items: &[Item]) -> Duration {
    match last {
        None => START,
        Some(Message::Begun(item)) => {
            let seconds = items.get(*item).map_or(0, |item| item.seconds);
            Duration::from_secs(seconds).saturating_add(GRACE)
        }
        Some(_) => BETWEEN,
    }
}

fn well(status: ExitStatus) -> Result<()> {
    if status.success() { Ok(()) } else { Err(format!("the emulator failed: {status}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wait_has_a_bound() {
        let item = Item { command: Vec::new(), folder: "/".into(), seconds: 5, log: None };
        let items = [item];
        assert_eq!(allowed(None, &items), START);
        assert_eq!(allowed(Some(&Message::Begun(0)), &items), Duration::from_secs(5) + GRACE);
        assert_eq!(allowed(Some(&Message::Begun(9)), &items), GRACE);
        let ended = Message::Ended(0, Ending::Exit(0));
        for message in [Message::Ready, ended, Message::Done(1)] {
            assert_eq!(allowed(Some(&message), &items), BETWEEN);
        }
    }
}
