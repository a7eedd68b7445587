//! What a run of the tools that failed means.

use open_local_core::host::Output;
use open_local_core::{Error, ErrorKind, Op};

use super::order::Order;

/// Exit codes of lvm2 (2.03.16, `lib/commands/errors.h`).
const NO_SUCH_COMMAND: i32 = 2;
const BAD_COMMAND_LINE: i32 = 3;

/// Why the tools did not do what they were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    NoRoom,
    NoMapper,
    NotRoot,
    InUse,
    NameTaken,
    Exported,
    /// Of another host.
    Foreign,
    Partial,
    OfAnotherGroup,
    HoldsData,
    NotThere,
    /// None that is known.
    Other,
}

/// What the tools say, in the C locale, and what it means; the first that fits counts. Each is
/// words with a space between them, which no name of a group, volume or tag can hold.
const MEANINGS: [(&str, Reason); 39] = [
    ("insufficient free space", Reason::NoRoom),
    ("insufficient free extents", Reason::NoRoom),
    ("insufficient suitable", Reason::NoRoom),
    ("not enough free space", Reason::NoRoom),
    ("not enough free extents", Reason::NoRoom),
    ("metadata too large", Reason::NoRoom),
    ("no space left", Reason::NoRoom),
    ("check that device-mapper is available", Reason::NoMapper),
    ("without using device-mapper", Reason::NoMapper),
    ("required device-mapper target", Reason::NoMapper),
    ("permission denied", Reason::NotRoot),
    ("must be root", Reason::NotRoot),
    ("can't get lock", Reason::InUse),
    ("mounted filesystem", Reason::InUse),
    ("contains a filesystem in use", Reason::InUse),
    ("in use", Reason::InUse),
    ("is used by another device", Reason::InUse),
    ("is used by vg", Reason::InUse),
    ("still contains", Reason::InUse),
    ("still used", Reason::InUse),
    ("still in use", Reason::InUse),
    ("can't be removed", Reason::InUse),
    // The question whether its volumes are to go was answered with no.
    ("\" not removed", Reason::InUse),
    ("already exists", Reason::NameTaken),
    ("volume group called", Reason::NameTaken),
    ("is exported", Reason::Exported),
    ("with system id", Reason::Foreign),
    ("in foreign vg", Reason::Foreign),
    ("in a foreign vg", Reason::Foreign),
    ("skipping foreign volume group", Reason::Foreign),
    ("pvs are missing", Reason::Partial),
    ("belongs to volume group", Reason::OfAnotherGroup),
    ("is already in volume group", Reason::OfAnotherGroup),
    ("without -ff", Reason::OfAnotherGroup),
    ("aborted wiping", Reason::HoldsData),
    ("not found", Reason::NotThere),
    ("failed to find", Reason::NotThere),
    ("no device found", Reason::NotThere),
    ("no pv found", Reason::NotThere),
];

impl Reason {
    const fn kind(self) -> ErrorKind {
        match self {
            Self::NoRoom => ErrorKind::OutOfSpace,
            Self::NoMapper => ErrorKind::Unsupported,
            Self::NotRoot => ErrorKind::PermissionDenied,
            Self::InUse => ErrorKind::Busy,
            Self::NameTaken => ErrorKind::Conflict,
            Self::Exported
            | Self::Foreign
            | Self::Partial
            | Self::OfAnotherGroup
            | Self::HoldsData => ErrorKind::Refused,
            Self::NotThere => ErrorKind::NotFound,
            Self::Other => ErrorKind::External,
        }
    }

    const fn remedy(self) -> &'static str {
        match self {
            Self::NoRoom => "add a device to the group, or remove what is not needed",
            Self::NoMapper => "load the kernel module dm_mod",
            Self::NotRoot => "run as root",
            Self::InUse => "end its use, then repeat the call",
            Self::NameTaken => "choose another name",
            Self::Exported => "import it first: vgimport",
            Self::Foreign => "change it on the host it belongs to, or take it over: lvmsystemid(7)",
            Self::Partial => "bring its devices back",
            Self::OfAnotherGroup => "take the device out of that group first",
            Self::HoldsData => "save what is needed of it, then erase the device: wipefs --all",
            Self::NotThere => "look at the names, and at the devices the tools may see",
            Self::Other => "run the command by hand to see all it says",
        }
    }
}

/// What they say where all is as it was asked for.
const DONE: [&str; 5] = [
    "matches existing size",
    "is already read only",
    "is already writable",
    "Error when full is already",
    "utoactivation is already",
];

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
    let (meant, reason) = meaning(&lines);
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
    let (kind, remedy) = match code {
        NO_SUCH_COMMAND => (ErrorKind::Unsupported, "install a newer lvm2"),
        BAD_COMMAND_LINE if lines.iter().any(|line| is_beyond_it(line)) => {
            (ErrorKind::Unsupported, "install a newer lvm2")
        }
        BAD_COMMAND_LINE => (ErrorKind::InvalidArgument, Reason::Other.remedy()),
        _ => (reason.kind(), reason.remedy()),
    };
    let message = format!("{} exited with {code}: {said}", order.command());
    Error::new(kind, op, order.subject().clone(), message).with_remedy(remedy)
}

/// Whether a line says that this lvm2, or this kernel, does not know an option.
fn is_beyond_it(line: &str) -> bool {
    line.contains("unrecognized option") || line.contains("is unsupported")
}

/// What the lines mean, and the one that says so; the last one that means anything counts.
fn meaning(lines: &[String]) -> (Option<&str>, Reason) {
    let reason = |line: &String| {
        let line = line.to_lowercase();
        MEANINGS.iter().find(|(words, _)| line.contains(words)).map(|(_, reason)| *reason)
    };
    let found = lines.iter().rev().find_map(|line| Some((Some(line.as_str()), reason(line)?)));
    found.unwrap_or((None, Reason::Other))
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
    fn another_hosts_group_is_told_from_what_is_only_called_so() {
        let theirs = "Cannot access VG vg with system ID them with local system ID us.";
        let error = judged(Some(5), theirs);
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.remedy().unwrap().contains("lvmsystemid"), "{error}");
        let names = ["vg/foreign", "foreign/exported", "in-use/not-found"];
        for name in names {
            let line = format!("Failed to find logical volume \"{name}\"");
            assert_eq!(judged(Some(5), &line).kind(), ErrorKind::NotFound, "{line}");
        }
        for (words, _) in MEANINGS {
            assert!(words.contains(' '), "a name can hold {words}");
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
