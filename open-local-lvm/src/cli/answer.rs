//! What a run of the tools that failed means.

use open_local_core::host::Output;
use open_local_core::{Error, ErrorKind, Op};

use super::order::Order;

/// Exit codes of lvm2 (2.03.16, `lib/commands/errors.h`).
const NO_SUCH_COMMAND: i32 = 2;
const BAD_COMMAND_LINE: i32 = 3;

/// What the tools say, in the C locale, and what it means; the first that fits counts.
const MEANINGS: [(&str, ErrorKind); 36] = [
    ("insufficient free space", ErrorKind::OutOfSpace),
    ("insufficient free extents", ErrorKind::OutOfSpace),
    ("insufficient suitable", ErrorKind::OutOfSpace),
    ("not enough free space", ErrorKind::OutOfSpace),
    ("not enough free extents", ErrorKind::OutOfSpace),
    ("metadata too large", ErrorKind::OutOfSpace),
    ("no space left", ErrorKind::OutOfSpace),
    ("check that device-mapper is available", ErrorKind::Unsupported),
    ("without using device-mapper", ErrorKind::Unsupported),
    ("required device-mapper target", ErrorKind::Unsupported),
    ("permission denied", ErrorKind::PermissionDenied),
    ("must be root", ErrorKind::PermissionDenied),
    ("can't get lock", ErrorKind::Busy),
    ("mounted filesystem", ErrorKind::Busy),
    ("contains a filesystem in use", ErrorKind::Busy),
    ("in use", ErrorKind::Busy),
    ("is used by another device", ErrorKind::Busy),
    ("is used by vg", ErrorKind::Busy),
    ("still contains", ErrorKind::Busy),
    ("still used", ErrorKind::Busy),
    ("still in use", ErrorKind::Busy),
    ("can't be removed", ErrorKind::Busy),
    // The question whether its volumes are to go was answered with no.
    ("\" not removed", ErrorKind::Busy),
    ("already exists", ErrorKind::Conflict),
    ("volume group called", ErrorKind::Conflict),
    ("is exported", ErrorKind::Refused),
    ("foreign", ErrorKind::Refused),
    ("pvs are missing", ErrorKind::Refused),
    ("belongs to volume group", ErrorKind::Refused),
    ("is already in volume group", ErrorKind::Refused),
    ("without -ff", ErrorKind::Refused),
    ("aborted wiping", ErrorKind::Refused),
    ("not found", ErrorKind::NotFound),
    ("failed to find", ErrorKind::NotFound),
    ("no device found", ErrorKind::NotFound),
    ("no pv found", ErrorKind::NotFound),
];

/// What they say where all is as it was asked for.
const DONE: [&str; 3] = ["matches existing size", "is already read only", "is already writable"];

/// The lines that say why, without warnings and hints at the manual.
fn reasons(output: &Output) -> Vec<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .filter(|line| !line.starts_with("WARNING:") && !line.starts_with("Run `"))
        .map(str::to_owned)
        .collect()
}

/// Whether a run that failed says that there was nothing to do.
pub(super) fn is_done(output: &Output) -> bool {
    let says = |line: &String| DONE.iter().any(|done| line.contains(done));
    output.code == Some(5) && reasons(output).last().is_some_and(says)
}

/// The error for a run that failed.
pub(super) fn failure(op: Op, order: &Order, output: &Output) -> Error {
    let lines = reasons(output);
    let (meant, kind) = meaning(&lines);
    let last = lines.last().map_or("it does not say why", String::as_str);
    // The line that says why, and the last one, which says what did not happen for it.
    let said = meant
        .filter(|line| *line != last)
        .map_or(last.to_owned(), |line| format!("{line} | {last}"));
    let said: String = said.chars().take(400).collect();
    let Some(code) = output.code else {
        let kind = if order.changes() { ErrorKind::Indeterminate } else { ErrorKind::External };
        let message = format!("{} was killed: {said}", order.command());
        return Error::new(kind, op, order.subject().clone(), message)
            .with_remedy("repeat the call, which looks at what is there and goes on");
    };
    let kind = match code {
        NO_SUCH_COMMAND => ErrorKind::Unsupported,
        BAD_COMMAND_LINE if lines.iter().any(|line| is_beyond_it(line)) => ErrorKind::Unsupported,
        BAD_COMMAND_LINE => ErrorKind::InvalidArgument,
        _ => kind,
    };
    let message = format!("{} exited with {code}: {said}", order.command());
    Error::new(kind, op, order.subject().clone(), message).with_remedy(remedy(kind))
}

/// Whether a line says that this lvm2, or this kernel, does not know an option.
fn is_beyond_it(line: &str) -> bool {
    line.contains("unrecognized option") || line.contains("is unsupported")
}

/// What the lines mean, and the one that says so; the last one that means anything counts.
fn meaning(lines: &[String]) -> (Option<&str>, ErrorKind) {
    let kind = |line: &String| {
        let line = line.to_lowercase();
        MEANINGS.iter().find(|(words, _)| line.contains(words)).map(|(_, kind)| *kind)
    };
    let found = lines.iter().rev().find_map(|line| Some((Some(line.as_str()), kind(line)?)));
    found.unwrap_or((None, ErrorKind::External))
}

const fn remedy(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::OutOfSpace => "add a device to the group, or remove what is not needed",
        ErrorKind::Unsupported => "load the kernel module dm_mod, and install a newer lvm2",
        ErrorKind::PermissionDenied => "run as root",
        ErrorKind::Busy => "end its use, then repeat the call",
        ErrorKind::NotFound => "look at the names, and at the devices the tools may see",
        ErrorKind::Conflict => "choose another name",
        ErrorKind::Refused => "look at the group with vgs and pvs, and decide by hand",
        _ => "run the command by hand to see all it says",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What lvm2 2.03.16 prints, with the warning it begins with.
    fn judged(code: Option<i32>, line: &str) -> Error {
        let order = Order::remove_volume("vg", "a").unwrap();
        let warning = "  WARNING: Activation disabled. No device-mapper interaction in use.\n";
        let mut output = Output::default();
        output.code = code;
        output.stderr = format!("{warning}  {line}\n").into_bytes();
        failure(Op::RemoveVolume, &order, &output)
    }

    #[test]
    fn what_the_tools_say_has_a_kind_a_caller_can_act_on() {
        for (line, kind) in [
            (
                "Volume group \"vg\" has insufficient free space (53 extents): 1000 required.",
                ErrorKind::OutOfSpace,
            ),
            ("Logical Volume \"a\" already exists in volume group \"vg\"", ErrorKind::Conflict),
            ("A volume group called vg already exists.", ErrorKind::Conflict),
            ("Failed to find logical volume \"vg/a\"", ErrorKind::NotFound),
            (
                "Volume group \"vg\" not found\n  Cannot process volume group vg",
                ErrorKind::NotFound,
            ),
            ("No device found for /dev/nope.", ErrorKind::NotFound),
            ("Logical volume vg/a in use.", ErrorKind::Busy),
            ("Logical volume vg/a contains a filesystem in use.", ErrorKind::Busy),
            ("Cannot change VG vg while PVs are missing.", ErrorKind::Refused),
            (
                "Can't create thin-pool without using device-mapper kernel driver.",
                ErrorKind::Unsupported,
            ),
            ("Something new went wrong.", ErrorKind::External),
        ] {
            let error = judged(Some(5), line);
            assert_eq!(error.kind(), kind, "{line}");
            assert!(error.message().contains(line.lines().last().unwrap().trim()), "{error}");
            assert!(!error.message().contains("WARNING"), "{error}");
            assert!(error.remedy().is_some());
        }
    }

    #[test]
    fn exit_codes_and_signals_are_told_apart() {
        let odd =
            "lvremove: unrecognized option '--bogus'\n  Error during parsing of command line.";
        assert_eq!(judged(Some(3), odd).kind(), ErrorKind::Unsupported);
        assert_eq!(judged(Some(3), "bad").kind(), ErrorKind::InvalidArgument);
        assert_eq!(judged(Some(2), "no such command").kind(), ErrorKind::Unsupported);
        assert_eq!(judged(None, "").kind(), ErrorKind::Indeterminate);
        let mut output = Output::default();
        let report = Order::full_report(None).unwrap();
        assert_eq!(failure(Op::ListPools, &report, &output).kind(), ErrorKind::External);
        output.code = Some(5);
        output.stderr = b"\xff\xfe\n".to_vec();
        let error = failure(Op::ListPools, &report, &output);
        assert!(error.message().contains("fullreport exited with 5"), "{error}");
    }

    #[test]
    fn nothing_to_do_is_no_failure() {
        let mut output = Output::default();
        output.code = Some(5);
        output.stderr = b"  New size (20 extents) matches existing size (20 extents).\n".to_vec();
        assert!(is_done(&output));
        output.stderr = b"  Logical volume \"vg/a\" is already read only.\n".to_vec();
        assert!(is_done(&output));
        output.stderr.extend_from_slice(b"  Failed to write VG vg.\n");
        assert!(!is_done(&output));
    }
}
