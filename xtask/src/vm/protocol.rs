//! What the guest is told to do, and what it says of it.
//!
//! The job is one JSON file in the share; the answers are lines on a port of their own, each begun
//! with the run's nonce, so that nothing an older run or a test printed is taken for one.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde_json::{Value, json};

use crate::Result;

/// Names of the ports the guest writes to.
pub(super) const CONTROL: &str = "open-local.control";
pub(super) const STDOUT: &str = "open-local.stdout";
pub(super) const STDERR: &str = "open-local.stderr";

/// Where things are in the guest, below its own fresh `/run`.
pub(super) const FOLDER: &str = "/run/open-local-vm";
pub(super) const SHARE: &str = "/run/open-local-vm/share";
pub(super) const BUSYBOX: &str = "/run/open-local-vm/busybox";
/// Names in the share.
pub(super) const JOB: &str = "job.json";
pub(super) const KERNEL_LOG: &str = "kernel.log";

/// One program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) command: Vec<String>,
    /// The folder it starts in.
    pub(super) folder: PathBuf,
    /// The most seconds it may take.
    pub(super) seconds: u64,
    /// A file of the share that takes its output; without one it goes to the ports.
    pub(super) log: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Job {
    pub(super) nonce: String,
    pub(super) env: Vec<(String, String)>,
    /// Kernel modules to load.
    pub(super) modules: Vec<String>,
    /// Names of the disks to wait for.
    pub(super) disks: Vec<String>,
    pub(super) udev: bool,
    pub(super) items: Vec<Item>,
}

impl Job {
    pub(super) fn to_json(&self) -> String {
        let items = self.items.iter().map(|item| {
            json!({
                "command": item.command, "folder": item.folder.to_string_lossy(),
                "seconds": item.seconds, "log": item.log,
            })
        });
        json!({
            "nonce": self.nonce,
            "env": self.env.iter().map(|(name, value)| json!([name, value])).collect::<Value>(),
            "modules": self.modules,
            "disks": self.disks,
            "udev": self.udev,
            "items": items.collect::<Value>(),
        })
        .to_string()
    }

    pub(super) fn from_json(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text).map_err(|e| format!("the job: {e}"))?;
        read_job(&value)
            .ok_or_else(|| "the job lacks a field, or one is of another kind".to_owned())
    }
}

fn read_job(value: &Value) -> Option<Job> {
    let pair = |pair: &Value| {
        let text = |at| pair.get(at).and_then(Value::as_str).map(str::to_owned);
        Some((text(0)?, text(1)?))
    };
    let item = |item: &Value| {
        let log = item.get("log").and_then(Value::as_str).map(str::to_owned);
        let seconds = item.get("seconds")?.as_u64()?;
        let folder = item.get("folder")?.as_str()?.into();
        Some(Item { command: texts(item.get("command")?)?, folder, seconds, log })
    };
    Some(Job {
        nonce: value.get("nonce")?.as_str()?.to_owned(),
        env: value.get("env")?.as_array()?.iter().map(pair).collect::<Option<_>>()?,
        modules: texts(value.get("modules")?)?,
        disks: texts(value.get("disks")?)?,
        udev: value.get("udev")?.as_bool()?,
        items: value.get("items")?.as_array()?.iter().map(item).collect::<Option<_>>()?,
    })
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}

/// How an item ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Exit(i32),
    Signal(i32),
    TimedOut,
    TooMuchOutput,
    /// It could not be killed, as a process that waits for a device can't.
    Stuck,
}

/// One line of the guest. Items are named by their number, from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// Devices are there and the first item is about to start.
    Ready,
    Begun(usize),
    Ended(usize, Ending),
    /// The end marker, with the number of items that ended.
    Done(usize),
    /// The guest could not do its work at all.
    Failed(String),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::TimedOut => f.write_str("time-out"),
            Self::TooMuchOutput => f.write_str("output"),
            Self::Stuck => f.write_str("stuck"),
        }
    }
}

impl FromStr for Ending {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number = |text: &str| text.parse().map_err(|_| ());
        match text.split_once(' ').unwrap_or((text, "")) {
            ("exit", code) => Ok(Self::Exit(number(code)?)),
            ("signal", signal) => Ok(Self::Signal(number(signal)?)),
            ("time-out", "") => Ok(Self::TimedOut),
            ("output", "") => Ok(Self::TooMuchOutput),
            ("stuck", "") => Ok(Self::Stuck),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Begun(item) => write!(f, "begun {item}"),
            Self::Ended(item, ending) => write!(f, "ended {item} {ending}"),
            Self::Done(items) => write!(f, "done {items}"),
            Self::Failed(why) => write!(f, "failed {}", why.replace('\n', " / ")),
        }
    }
}

impl Message {
    /// The line as it is sent.
    pub(super) fn line(&self, nonce: &str) -> String {
        format!("{nonce} {self}\n")
    }

    /// The message of a line; nothing for a line that is none of this run.
    pub(super) fn parse(line: &str, nonce: &str) -> Option<Self> {
        let line = line.strip_prefix(nonce)?.strip_prefix(' ')?;
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "ready" => Some(Self::Ready),
            "begun" => rest.parse().ok().map(Self::Begun),
            "ended" => {
                let (item, ending) = rest.split_once(' ')?;
                Some(Self::Ended(item.parse().ok()?, ending.parse().ok()?))
            }
            "done" => rest.parse().ok().map(Self::Done),
            "failed" => Some(Self::Failed(rest.to_owned())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_survives_the_journey() {
        let job = Job {
            nonce: "n1".to_owned(),
            env: vec![("A".to_owned(), "x=\"y\"\n".to_owned())],
            modules: vec!["loop".to_owned()],
            disks: vec!["disk0".to_owned()],
            udev: true,
            items: vec![Item {
                command: vec!["echo".to_owned(), "it's".to_owned()],
                folder: "/a b".into(),
                seconds: 7,
                log: Some("0.log".to_owned()),
            }],
        };
        assert_eq!(Job::from_json(&job.to_json()), Ok(job));
        for odd in ["", "[]", "{}", r#"{"nonce":1}"#] {
            assert!(Job::from_json(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn messages_survive_the_journey_and_others_are_none() {
        use Ending::{Exit, Signal, Stuck, TimedOut, TooMuchOutput};
        let endings = [Exit(-1), Exit(3), Signal(9), TimedOut, TooMuchOutput, Stuck];
        let ended = endings.map(|ending| Message::Ended(12, ending));
        let failed = Message::Failed("no disk".to_owned());
        for message in
            ended.into_iter().chain([Message::Ready, Message::Begun(0), Message::Done(3), failed])
        {
            let line = message.line("n1");
            assert_eq!(Message::parse(line.trim_end(), "n1"), Some(message.clone()), "{line}");
            assert_eq!(Message::parse(line.trim_end(), "n2"), None);
        }
        for odd in ["", "n1", "n1 ", "n1 ended 1", "n1 ended x exit 0", "n1 done", "n1 begun -1"] {
            assert_eq!(Message::parse(odd, "n1"), None, "{odd}");
        }
    }
}
