//! Scripts that threads and second processes run on one pool at the same time.

use std::io::Write;
use std::str::FromStr;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{Checkpoints, KillAt, SystemClock, Unchecked, poll_until};
use crate::ids::VolumeId;
use crate::outcome::Ensured;
use crate::pool::{Pool, PoolExt};
use crate::spec::VolumeSpec;
use crate::units::Bytes;

/// The environment variable that carries the script to a second process.
pub const SCRIPT_VARIABLE: &str = "OPEN_LOCAL_CONFORMANCE_SCRIPT";

/// The environment variable that carries the step before which a second process is killed.
pub(crate) const KILL_VARIABLE: &str = "OPEN_LOCAL_CONFORMANCE_KILL_AT";

/// What stands before each line of a worker, wherever in the line it begins: test programs print
/// lines of their own.
const MARK: &str = "open-local-worker: ";

/// Longest wait for the others to come.
const MEETING: Duration = Duration::from_secs(30);

/// One line of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Act {
    /// Makes a volume that says "I am here" and waits for those of the others.
    Meet(VolumeId, Vec<VolumeId>),
    Create(VolumeId, Bytes),
    Remove(VolumeId),
}

impl FromStr for Act {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["meet", me, others @ ..] => Ok(Self::Meet(
                me.parse()?,
                others.iter().map(|name| name.parse()).collect::<Result<_>>()?,
            )),
            ["create", name, size] => Ok(Self::Create(name.parse()?, size.parse()?)),
            ["remove", name] => Ok(Self::Remove(name.parse()?)),
            _ => Err(Error::new(
                ErrorKind::InvalidArgument,
                Op::Conformance,
                Subject::value(line),
                "this is no line of a script",
            )
            .with_remedy("run the second process with the suite of the same version")),
        }
    }
}

/// What one line of a script did, as its worker prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// `created`, `unchanged`, `removed`, `absent`, or the kind of an error.
    pub(crate) verb: String,
    /// The volume.
    pub(crate) name: String,
    /// The whole error, or nothing.
    pub(crate) detail: String,
}

impl Event {
    /// All events in the output of a worker.
    pub(crate) fn parse_all(output: &str) -> Vec<Self> {
        output
            .lines()
            .filter_map(|line| line.split_once(MARK))
            .filter_map(|(_, text)| {
                let mut words = text.splitn(3, ' ');
                Some(Self {
                    verb: words.next()?.to_owned(),
                    name: words.next()?.to_owned(),
                    detail: words.next().unwrap_or_default().to_owned(),
                })
            })
            .collect()
    }
}

/// Runs a script of the suite on a pool and prints what each line did.
///
/// This is what a second process does ([`super::Fixture::second_process`]): it opens the pool with
/// [`worker_checkpoints`], and calls this with the text in [`SCRIPT_VARIABLE`] and its standard
/// output. An error of the pool is part of the output, not an error here.
///
/// # Errors
/// `InvalidArgument` for a malformed script, `Timeout` if the others do not come, `Io` if the
/// output can't be written.
pub fn run_worker(pool: &dyn Pool, script: &str, output: &mut dyn Write) -> Result<()> {
    let acts: Vec<Act> = script.lines().map(str::parse).collect::<Result<_>>()?;
    for act in &acts {
        let (name, done) = match act {
            Act::Meet(me, others) => {
                meet(pool, me, others)?;
                continue;
            }
            Act::Create(id, size) => {
                let made = pool.ensure_volume(&VolumeSpec::new(id.clone(), *size));
                let verb = |made| match made {
                    Ensured::Created(_) => "created",
                    Ensured::Unchanged(_) => "unchanged",
                };
                (id, made.map(verb))
            }
            Act::Remove(id) => {
                let gone = pool.remove_volume(id);
                let verb = |changed| if changed { "removed" } else { "absent" };
                (id, gone.map(|gone| verb(gone.changed())))
            }
        };
        let line = match done {
            Ok(verb) => format!("{verb} {name}"),
            Err(error) => {
                let text = error.report().to_string().replace('\n', " ");
                format!("{} {name} {text}", error.kind())
            }
        };
        writeln!(output, "{MARK}{line}")
            .map_err(|e| Error::from_io(Op::Conformance, Subject::Host, "can't write output", e))?;
    }
    Ok(())
}

fn meet(pool: &dyn Pool, me: &VolumeId, others: &[VolumeId]) -> Result<()> {
    let _ = pool.ensure_volume(&VolumeSpec::new(me.clone(), crate::SECTOR_SIZE))?;
    let all = poll_until(&SystemClock, MEETING, || {
        for other in others {
            if pool.find_volume(other)?.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })?;
    all.ok_or_else(|| {
        Error::new(
            ErrorKind::Timeout,
            Op::Conformance,
            me,
            format!("the other processes were not seen in {} s", MEETING.as_secs()),
        )
        .with_remedy("let the second process open the same pool as the first")
    })
}

/// The checkpoints a second process opens its pool with: they kill it with SIGKILL before the step
/// the suite chose, or do nothing if it chose none.
#[must_use]
pub fn worker_checkpoints() -> std::sync::Arc<dyn Checkpoints> {
    let step = std::env::var(KILL_VARIABLE).ok().and_then(|n| n.parse().ok());
    match step {
        Some(step) => std::sync::Arc::new(KillAt::new(step)),
        None => std::sync::Arc::new(Unchecked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_wherever_they_begin() {
        let output = format!(
            "running 1 test\ntest worker ... {MARK}created a\n{MARK}conflict b the size differs\nok\n"
        );
        let events = Event::parse_all(&output);
        let verbs: Vec<&str> = events.iter().map(|event| event.verb.as_str()).collect();
        assert_eq!(verbs, ["created", "conflict"]);
        assert_eq!(events[1].detail, "the size differs");
    }

    #[test]
    fn a_script_is_read_or_refused() {
        let meet: Act = "meet a b c".parse().unwrap();
        let Act::Meet(_, others) = meet else { panic!("{meet:?}") };
        assert_eq!(others.len(), 2);
        for bad in ["", "create a", "create ../a 512", "create a x", "erase a", "remove a b"] {
            assert!(bad.parse::<Act>().is_err(), "{bad:?}");
        }
    }
}
