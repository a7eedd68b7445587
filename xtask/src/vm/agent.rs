//! Our part in the guest: makes it ready, runs the items, tells how each ended.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::guest_disks;
use super::kmsg::KernelLog;
use super::protocol::{
    BUSYBOX, CONTROL, Ending, Item, Job, KERNEL_LOG, Message, SHARE, STDERR, STDOUT,
};
use crate::Result;
use crate::process::{Call, Outlet, Running, Watch, pause};

/// The longest wait for a port or a disk to appear.
const APPEARANCE: Duration = Duration::from_secs(30);
/// The longest wait for a killed process to be gone.
const DEATH: Duration = Duration::from_secs(10);
/// How long output is waited for after its process has ended: a child may hold the pipe.
const DRAIN: Duration = Duration::from_secs(2);
/// Most bytes of an item's log.
const MOST_OUTPUT: u64 = 64 << 20;
/// Polls between two looks at the size of a log, which ask the host.
const POLLS: u32 = 25;
const CONTROLLERS: [&str; 4] = ["+io", "+memory", "+pids", "+cpu"];
/// Exit status of a shell for a program that can't be started.
const NOT_STARTED: i32 = 127;

/// Runs the job of a file.
pub(super) fn run(file: &Path) -> Result<u8> {
    let text = fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let job = Job::from_json(&text)?;
    let mut control = port(CONTROL)?;
    let mut say = |message: &Message| {
        let sent = control.write_all(message.line(&job.nonce).as_bytes());
        sent.map_err(|e| format!("can't write to the port {CONTROL}: {e}"))
    };
    if let Err(why) = work(&job, &mut say) {
        say(&Message::Failed(why))?;
        return Ok(1);
    }
    Ok(0)
}

fn work(job: &Job, say: &mut dyn FnMut(&Message) -> Result<()>) -> Result<()> {
    let mut log = Log::open()?;
    prepare(job)?;
    let disks = guest_disks::wait(&job.disks, APPEARANCE)?;
    let outputs = (port(STDOUT)?, port(STDERR)?);
    log.save(None)?;
    say(&Message::Ready)?;
    let mut ended = 0usize;
    for (number, item) in job.items.iter().enumerate() {
        say(&Message::Begun(number))?;
        let ending = execute(job, item, &disks, &outputs)?;
        log.save(Some(number))?;
        say(&Message::Ended(number, ending))?;
        ended = ended.saturating_add(1);
        if ending == Ending::Stuck {
            break;
        }
    }
    say(&Message::Done(ended))
}

/// The kernel's log, saved in the share as it comes.
struct Log {
    kernel: KernelLog,
    whole: File,
}

impl Log {
    fn open() -> Result<Self> {
        let path = Path::new(SHARE).join(KERNEL_LOG);
        let whole = File::create(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self { kernel: KernelLog::open()?, whole })
    }

    /// What came since the last time; of an item also in a file of its own.
    fn save(&mut self, item: Option<usize>) -> Result<()> {
        let text = self.kernel.drain()?;
        let about = |e| format!("can't save the kernel's log: {e}");
        self.whole.write_all(text.as_bytes()).map_err(about)?;
        match item {
            Some(number) => fs::write(Path::new(SHARE).join(slice(number)), text).map_err(about),
            None => Ok(()),
        }
    }
}

/// The file in the share with what the kernel logged during an item.
pub(super) fn slice(item: usize) -> String {
    format!("{item:04}.kernel")
}

/// Modules, cgroup controllers, udev.
fn prepare(job: &Job) -> Result<()> {
    if !job.modules.is_empty() {
        Call::new("modprobe", &["-a"]).args(job.modules.iter().cloned()).captured()?;
    }
    for controller in CONTROLLERS {
        let file = "/sys/fs/cgroup/cgroup.subtree_control";
        fs::write(file, controller).map_err(|e| format!("{file}: {controller}: {e}"))?;
    }
    if job.udev {
        Call::new("/lib/systemd/systemd-udevd", &["--daemon"]).quietly()?;
        Call::new("udevadm", &["trigger", "--action=add"]).captured()?;
        Call::new("udevadm", &["settle", "--timeout=60"]).captured()?;
    }
    Ok(())
}

fn execute(
    job: &Job,
    item: &Item,
    disks: &[(String, PathBuf)],
    outputs: &(File, File),
) -> Result<Ending> {
    let Some((program, args)) = item.command.split_first() else {
        return Err("an item has no command".to_owned());
    };
    let mut call = Call::new(program, &[]).args(args.iter().cloned()).dir(&item.folder);
    for (name, value) in &job.env {
        call = call.env(name, value);
    }
    for (name, device) in disks {
        call = call.env(&guest_disks::variable(name), &device.to_string_lossy());
    }
    let log = item.log.as_ref().map(|name| File::create(Path::new(SHARE).join(name)));
    let log = log.transpose().map_err(|e| format!("can't make a log in the share: {e}"))?;
    let outlet = match &log {
        Some(file) => Outlet::File(file.try_clone().map_err(|e| e.to_string())?),
        None => Outlet::Pipes,
    };
    let mut running = match call.started(outlet, true) {
        Ok(running) => running,
        Err(why) => {
            let mut stderr = log.as_ref().unwrap_or(&outputs.1);
            let _ = writeln!(stderr, "{why}");
            return Ok(Ending::Exit(NOT_STARTED));
        }
    };
    let copies = copies(&mut running, outputs)?;
    let ending = wait(&mut running, item, log.as_ref())?;
    if ending == Ending::Stuck {
        // Its end would wait for it for ever.
        std::mem::forget(running);
        return Ok(ending);
    }
    let watch = Watch::start();
    while copies.iter().any(|copy| !copy.is_finished()) && watch.elapsed() < DRAIN {
        pause();
    }
    Ok(ending)
}

/// Threads that carry a program's output to the ports.
fn copies(running: &mut Running, outputs: &(File, File)) -> Result<Vec<JoinHandle<()>>> {
    fn copy(mut from: impl Read + Send + 'static, to: &File) -> Result<JoinHandle<()>> {
        let mut to = to.try_clone().map_err(|e| e.to_string())?;
        Ok(thread::spawn(move || {
            // Read and written, not `io::copy`: that would splice, which ports don't take from a
            // pipe. A port that fails is seen by the missing end marker on the next one.
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                let part = buffer.get(..length).unwrap_or_default();
                if to.write_all(part).is_err() {
                    break;
                }
            }
        }))
    }
    let (out, err) = running.pipes();
    let out = out.map(|pipe| copy(pipe, &outputs.0));
    let err = err.map(|pipe| copy(pipe, &outputs.1));
    [out, err].into_iter().flatten().collect()
}

/// Waits for the end of an item and kills what is left of its process group.
fn wait(running: &mut Running, item: &Item, log: Option<&File>) -> Result<Ending> {
    let watch = Watch::start();
    let limit = Duration::from_secs(item.seconds);
    let mut polls = 0u32;
    let ending = loop {
        if let Some(status) = running.ended()? {
            break ending(status);
        }
        polls = polls.wrapping_add(1);
        let size = || log.and_then(|file| file.metadata().ok()).map_or(0, |data| data.len());
        if polls.is_multiple_of(POLLS) && size() > MOST_OUTPUT {
            break Ending::TooMuchOutput;
        }
        if watch.elapsed() > limit {
            break Ending::TimedOut;
        }
        pause();
    };
    let group = format!("-{}", running.pid());
    // The program in memory: a test may have removed the other. No group left is an error of it.
    let _ = Call::new(BUSYBOX, &["kill", "-KILL", &group]).quietly();
    let watch = Watch::start();
    while running.ended()?.is_none() {
        if watch.elapsed() > DEATH {
            return Ok(Ending::Stuck);
        }
        pause();
    }
    Ok(ending)
}

fn ending(status: ExitStatus) -> Ending {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Exit(code),
        (None, signal) => Ending::Signal(signal.unwrap_or_default()),
    }
}

/// Opens the port of this name for writing.
fn port(name: &str) -> Result<File> {
    let watch = Watch::start();
    loop {
        let ports = fs::read_dir("/sys/class/virtio-ports").into_iter().flatten().flatten();
        let mut of_name = ports.filter(|port| {
            fs::read_to_string(port.path().join("name")).is_ok_and(|text| text.trim() == name)
        });
        if let Some(port) = of_name.next() {
            let path = Path::new("/dev").join(port.file_name());
            let file = OpenOptions::new().write(true).open(&path);
            return file.map_err(|e| format!("{}: {e}", path.display()));
        }
        if watch.elapsed() > APPEARANCE {
            return Err(format!("there is no port {name}"));
        }
        pause();
    }
}
