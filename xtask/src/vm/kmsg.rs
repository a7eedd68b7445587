//! The kernel's log as it is read record by record (`Documentation/ABI/testing/dev-kmsg`).

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;

use crate::Result;

/// `O_NONBLOCK` on x86-64 (`asm-generic/fcntl.h`): an empty log is an answer.
const NONBLOCKING: i32 = 0o4000;
/// A longer record is an error of its reader; the kernel makes none beyond 8 KiB.
const LONGEST: usize = 16 * 1024;
/// Most records of one drain.
const MOST: usize = 200_000;

#[derive(Debug)]
pub(super) struct KernelLog(File);

impl KernelLog {
    pub(super) fn open() -> Result<Self> {
        let file = OpenOptions::new().read(true).custom_flags(NONBLOCKING).open("/dev/kmsg");
        file.map(Self).map_err(|e| format!("/dev/kmsg: {e}"))
    }

    /// Every record since the last call, a line each.
    pub(super) fn drain(&mut self) -> Result<String> {
        let mut text = String::new();
        let mut buffer = vec![0; LONGEST];
        for _ in 0..MOST {
            match self.0.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    let record = buffer.get(..length).unwrap_or_default();
                    if let Some(line) = line(&String::from_utf8_lossy(record)) {
                        text.push_str(&line);
                        text.push('\n');
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                // Records were overwritten before they were read (EPIPE).
                Err(e) if e.kind() == ErrorKind::BrokenPipe => {
                    text.push_str("open-local-vm: the kernel's log has lost records here\n");
                }
                Err(e) => return Err(format!("/dev/kmsg: {e}")),
            }
        }
        Ok(text)
    }
}

/// A record `PRIORITY,NUMBER,MICROSECONDS,FLAGS;TEXT` as the line that dmesg prints. What a
/// process wrote says so, and can't be taken for a complaint of the kernel.
fn line(record: &str) -> Option<String> {
    let (head, text) = record.split_once(';')?;
    let text = text.lines().next()?;
    let mut fields = head.split(',');
    let priority: u32 = fields.next()?.parse().ok()?;
    let time: u64 = fields.nth(1)?.parse().ok()?;
    // The three low bits are the level, the others the facility: 0 is the kernel.
    let writer = if priority >> 3 == 0 { "" } else { "process: " };
    Some(format!("[{:5}.{:06}] {writer}{text}", time / 1_000_000, time % 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_printed_as_dmesg_does() {
        let record = "6,339,5140900,-;NET: Registered\n SUBSYSTEM=x\n";
        assert_eq!(line(record).unwrap(), "[    5.140900] NET: Registered");
        let of_process = "12,340,12000000,-;WARNING: mine";
        assert_eq!(line(of_process).unwrap(), "[   12.000000] process: WARNING: mine");
        for odd in ["", ";", "6,1;x", "a,b,c,d;x", "6,1,2,-"] {
            assert_eq!(line(odd), None, "{odd}");
        }
    }
}
