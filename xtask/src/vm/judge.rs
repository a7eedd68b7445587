//! Whether a run of the guest is to be believed: pure functions over its logs and messages.

use super::protocol::Message;

/// Beginnings of what the kernel says when something is wrong with it.
const BEGINNINGS: [&str; 11] = [
    "BUG:",
    "watchdog: BUG:",
    "kernel BUG at",
    "WARNING:",
    "Oops",
    "Kernel panic",
    "general protection fault",
    "Unable to handle kernel",
    "UBSAN:",
    "KASAN:",
    "sysrq: Trigger a crash",
];
/// The same in the middle of a line.
const PARTS: [&str; 6] = [
    "hard LOCKUP",
    "blocked for more than",
    "detected stall",
    "self-detected stall",
    "soft lockup",
    "Out of memory: Killed",
];
/// Lines after a complaint that are shown with it.
const SHOWN_AFTER: usize = 12;
/// Complaints of the kernel that are shown.
const MOST: usize = 5;

/// What is known of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evidence<'a> {
    pub(super) messages: &'a [Message],
    /// How many items were to end.
    pub(super) expected: usize,
    /// The console and the kernel's log as the guest saved it.
    pub(super) console: &'a str,
    pub(super) kernel_log: &'a str,
    /// Why the emulator was killed, or how it failed.
    pub(super) ended_badly: Option<&'a str>,
}

/// Every reason not to believe it, most telling first; none for a good run.
pub(super) fn complaints(evidence: &Evidence<'_>) -> Vec<String> {
    let mut complaints = kernel_complaints(evidence.console);
    if complaints.is_empty() {
        complaints = kernel_complaints(evidence.kernel_log);
    }
    let failed = evidence.messages.iter().filter_map(|message| match message {
        Message::Failed(why) => Some(format!("the guest could not do its work: {why}")),
        _ => None,
    });
    complaints.extend(failed);
    complaints.extend(evidence.ended_badly.map(str::to_owned));
    let ended = evidence.messages.iter().filter(|m| matches!(m, Message::Ended(..))).count();
    let marker = evidence.messages.iter().find_map(|message| match message {
        Message::Done(items) => Some(*items),
        _ => None,
    });
    let expected = evidence.expected;
    match marker {
        None if !evidence.messages.contains(&Message::Ready) => {
            complaints.push("the guest did not start".to_owned());
        }
        None => complaints
            .push(format!("the guest ended without its end marker, after {ended} of {expected}")),
        Some(items) if items != expected || ended != expected => {
            complaints.push(format!("{expected} were to run, the guest ran {}", items.min(ended)));
        }
        Some(_) => {}
    }
    complaints
}

/// Each line of a kernel log that tells of a defect, with some lines after it.
pub(super) fn kernel_complaints(log: &str) -> Vec<String> {
    let lines: Vec<&str> = log.lines().collect();
    let mut complaints = Vec::new();
    let mut position = 0;
    while let Some(rest) = lines.get(position..).filter(|rest| !rest.is_empty()) {
        let Some(found) = rest.iter().position(|line| is_complaint(line)) else {
            break;
        };
        if complaints.len() == MOST {
            complaints.push("and more of the kind".to_owned());
            break;
        }
        let shown: Vec<&str> =
            rest.iter().skip(found).take(SHOWN_AFTER.saturating_add(1)).copied().collect();
        complaints.push(format!("the kernel complains:\n{}", shown.join("\n")));
        position = position.saturating_add(found).saturating_add(shown.len());
    }
    complaints
}

fn is_complaint(line: &str) -> bool {
    let text = message_of(line);
    BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
        || (!text.starts_with("process: ") && PARTS.iter().any(|part| text.contains(part)))
}

/// A line without its time: `[    1.234567] ` and, where callers are printed, `[   T12] `.
fn message_of(line: &str) -> &str {
    let mut text = line.trim_start();
    while let Some((inside, rest)) = text.strip_prefix('[').and_then(|t| t.split_once(']')) {
        let stamp = |c: char| c.is_ascii_digit() || matches!(c, ' ' | '.' | 'T' | 'C');
        if !inside.chars().all(stamp) {
            break;
        }
        text = rest.trim_start();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::protocol::Ending;
    use super::*;

    const CALM: &str = "\
[    0.796051] mtrr: your CPUs had inconsistent fixed MTRR settings
[    1.1] Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on
[    2.569714] device-mapper: core: CONFIG_IMA_DISABLE_HTABLE is disabled.
[    3.0] EXT4-fs warning (device dm-0): ext4_end_bio:343: I/O error 17
[    3.1] XFS (dm-1): log I/O error -5
[    3.2] process: WARNING: said by a test
[    3.7] reboot: Power down";

    const CRASH: &str = "\
[    4.010101] sysrq: Trigger a crash
[    4.010200] Kernel panic - not syncing: sysrq triggered crash
[    4.010300] CPU: 0 PID: 96 Comm: sh Not tainted 6.1.0-56-amd64";

    fn good() -> Vec<Message> {
        let ended = |item| Message::Ended(item, Ending::Exit(0));
        vec![
            Message::Ready,
            Message::Begun(0),
            ended(0),
            Message::Begun(1),
            ended(1),
            Message::Done(2),
        ]
    }

    fn judged(messages: &[Message], console: &str, log: &str) -> String {
        complaints(&Evidence { messages, expected: 2, console, kernel_log: log, ended_badly: None })
            .join("; ")
    }

    #[test]
    fn a_calm_run_with_its_marker_is_believed() {
        assert_eq!(judged(&good(), CALM, CALM), "");
    }

    #[test]
    fn a_crash_is_seen_even_after_the_end_marker() {
        let text = judged(&good(), &format!("{CALM}\n{CRASH}"), CALM);
        assert!(text.contains("Kernel panic - not syncing: sysrq triggered crash"), "{text}");
        assert!(judged(&good(), "", CRASH).contains("Kernel panic"));
    }

    #[test]
    fn every_kind_of_complaint_is_seen() {
        for bad in [
            "[   12.5] BUG: kernel NULL pointer dereference, address: 0000000000000000",
            "[   12.5] kernel BUG at fs/inode.c:500!",
            "[   12.5][  T123] WARNING: CPU: 1 PID: 12 at drivers/md/dm.c:100 dm_x+0x1/0x2",
            "[   12.5] Oops: 0002 [#1] PREEMPT SMP NOPTI",
            "[   12.5] general protection fault, probably for non-canonical address",
            "[  241.5] INFO: task mkfs.xfs:99 blocked for more than 120 seconds.",
            "[  241.5] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [sh:12]",
            "[  241.5] rcu: INFO: rcu_preempt self-detected stall on CPU",
            "[  241.5] Out of memory: Killed process 12 (x)",
            "Kernel panic - not syncing: VFS",
        ] {
            let log = format!("{CALM}\n{bad}\n next line");
            let text = judged(&good(), CALM, &log);
            assert!(text.contains(bad) && text.contains("next line"), "{bad}: {text}");
        }
    }

    #[test]
    fn a_missing_marker_and_a_smaller_count_are_failures() {
        let without = &good()[..5];
        assert!(judged(without, "", "").contains("without its end marker, after 2 of 2"));
        assert!(judged(&[], "", "").contains("did not start"));
        let mut fewer = good();
        fewer.remove(4);
        assert!(judged(&fewer, "", "").contains("2 were to run, the guest ran 1"));
        fewer.pop();
        fewer.push(Message::Done(1));
        assert!(judged(&fewer, "", "").contains("the guest ran 1"));
        let failed = [Message::Failed("no disk".to_owned())];
        assert!(judged(&failed, "", "").contains("no disk"));
    }

    #[test]
    fn a_killed_emulator_is_no_success() {
        let messages = good();
        let killed = Some("time-out after 30 s");
        let evidence = Evidence {
            messages: &messages,
            expected: 2,
            console: "",
            kernel_log: "",
            ended_badly: killed,
        };
        assert_eq!(complaints(&evidence), ["time-out after 30 s"]);
    }

    #[test]
    fn complaints_are_bounded() {
        let line = format!("[ 1.0] WARNING: CPU: 0\n{}", "[ 1.0] x\n".repeat(SHOWN_AFTER));
        let complaints = kernel_complaints(&line.repeat(9));
        assert_eq!(complaints.len(), MOST + 1);
    }
}
