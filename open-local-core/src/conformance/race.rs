//! Several actors on one pool at the same time: threads, or this process and another.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::case::{Checked, Failure, check};
use super::lab::Lab;
use super::worker::{Event, KILL_VARIABLE, SCRIPT_VARIABLE, run_worker};
use crate::host::{Output, ProgramRunner, SystemRunner};

/// Who runs the scripts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Means {
    /// Eight threads of this process on one pool value.
    Threads,
    /// This process and a second one, each with a pool value of its own.
    Processes,
}

/// The volumes by which two processes find each other.
const MARKERS: [&str; 2] = ["here-1", "here-2"];

impl Means {
    /// How many actors there are.
    pub(crate) const fn actors(self) -> usize {
        match self {
            Self::Threads => 8,
            Self::Processes => MARKERS.len(),
        }
    }
}

/// Runs one script an actor, all starting together; answers what each did.
///
/// The markers of two processes are gone again when this returns.
pub(crate) fn race(lab: &Lab<'_>, means: Means, scripts: &[String]) -> Checked<Vec<Vec<Event>>> {
    match means {
        Means::Threads => threads(lab, scripts),
        Means::Processes => processes(lab, scripts),
    }
}

fn here(lab: &Lab<'_>, script: &str) -> Checked<Vec<Event>> {
    let mut output = Vec::new();
    run_worker(lab.pool(), script, &mut output)?;
    Ok(Event::parse_all(&String::from_utf8_lossy(&output)))
}

fn threads(lab: &Lab<'_>, scripts: &[String]) -> Checked<Vec<Vec<Event>>> {
    let go = AtomicBool::new(false);
    let go = &go;
    std::thread::scope(|scope| {
        let started: Vec<_> = scripts
            .iter()
            .map(|script| {
                std::thread::Builder::new().spawn_scoped(scope, move || {
                    while !go.load(Ordering::Acquire) {
                        std::thread::yield_now();
                    }
                    here(lab, script)
                })
            })
            .collect();
        go.store(true, Ordering::Release);
        started
            .into_iter()
            .map(|thread| {
                let thread = thread.map_err(|e| Failure(format!("start a thread: {e}")))?;
                let panicked = |_| Failure("a thread panicked".to_owned());
                thread.join().map_err(panicked)?
            })
            .collect()
    })
}

fn processes(lab: &Lab<'_>, scripts: &[String]) -> Checked<Vec<Vec<Event>>> {
    let [ours, theirs] = scripts else {
        return Err(Failure(format!("{} scripts for two", scripts.len())));
    };
    let [me, other] = MARKERS;
    let ours = format!("meet {me} {other}\n{ours}");
    let theirs = format!("meet {other} {me}\n{theirs}");
    let (here, there) = std::thread::scope(|scope| {
        let child = scope.spawn(|| second(lab, &theirs, None));
        let here = here(lab, &ours);
        let panicked = |_| Failure("the thread of the second process panicked".to_owned());
        (here, child.join().map_err(panicked).and_then(|done| done))
    });
    // The second process first: if it failed, ours only says that it did not come.
    let there = there?;
    check!(there.success(), "{}", ended_badly(&there));
    let events = vec![here?, Event::parse_all(&String::from_utf8_lossy(&there.stdout))];
    for marker in MARKERS {
        lab.remove(marker)?;
    }
    Ok(events)
}

/// Runs a script in a second process to its end, killed before a step if one is named.
pub(crate) fn second(lab: &Lab<'_>, script: &str, kill_at: Option<u64>) -> Checked<Output> {
    let offered = lab.context.fixture.second_process();
    let mut command = offered.ok_or_else(|| Failure("no second process is offered".to_owned()))?;
    command.deadline = command.deadline.max(Duration::from_secs(60));
    command.output_limit = command.output_limit.max(1 << 20);
    let mut set = |key: &str, value: String| command.environment.push((key.into(), value.into()));
    set(SCRIPT_VARIABLE, script.to_owned());
    if let Some(step) = kill_at {
        set(KILL_VARIABLE, step.to_string());
    }
    Ok(SystemRunner::new().run(&command)?)
}

/// What to say of a second process that did not end well.
pub(crate) fn ended_badly(output: &Output) -> String {
    let ended = output.code.map_or("was killed".to_owned(), |code| format!("exited with {code}"));
    format!(
        "the second process {ended}: {} {}",
        String::from_utf8_lossy(&output.stdout).trim(),
        String::from_utf8_lossy(&output.stderr).trim()
    )
}
