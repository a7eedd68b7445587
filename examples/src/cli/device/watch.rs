//! `open-local device list --watch`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use open_local_core::host::{Deadline, Received, SystemUevents, Uevents};
use open_local_core::inventory::{Inventory, Judged, Policy, parse_uevent};
use open_local_core::{Error, Op, Result, Subject};
use serde_json::{Value, json};

use super::{List, View, read};
use crate::answer::{Answer, OutputFormat};
use crate::context::Context;
use crate::view::device as view;

/// How long to wait for a message before the mount table is looked at, of which no message tells.
const TURN: Duration = Duration::from_secs(1);
/// Messages taken in before their devices are looked into.
const MAX_AT_ONCE: usize = 512;

/// Prints the list, then a line for every device that comes, goes or changes, until the time is
/// over or nobody reads any more.
pub(super) fn run(context: &Context, list: &List, policy: Policy) -> Result<Answer> {
    let host = &context.machine.host;
    // Heard from before the list is made, so that nothing happens unheard in between.
    let events = SystemUevents::open().map_err(|e| {
        let message = "can't listen to the kernel's messages about devices";
        Error::from_io(Op::Probe, Subject::Host, message, e)
    })?;
    let view = View { policy, all: list.all, no_open: list.offer.no_open };
    let deadline = Deadline::after(host.clock.as_ref(), list.span);
    let mut inventory = read(context)?;
    let json = context.globals.output == OutputFormat::Json;
    let mut known = BTreeMap::new();
    let first = view.shown(&mut inventory);
    let mut lines = if json { Vec::new() } else { vec![view::table(&first)] };
    for one in first {
        let object = json.then(|| object("present", &one, &inventory).to_string());
        lines.extend(object);
        known.insert(one.device.name.clone(), one);
    }
    loop {
        if !print(&lines)? || deadline.has_passed(host.clock.as_ref()) {
            return Ok(Answer::raw(""));
        }
        listen(&events, TURN.min(deadline.left(host.clock.as_ref())), &mut inventory)?;
        let now = view.shown(&mut inventory);
        lines = changes(&mut known, now, &inventory, json);
    }
}

/// Takes in what has happened, waiting so long for the first message.
fn listen(events: &SystemUevents, wait: Duration, inventory: &mut Inventory) -> Result<()> {
    let mut wait = wait;
    for _ in 0..MAX_AT_ONCE {
        let received = events.receive(wait).map_err(|e| {
            let message = "can't hear the kernel's messages about devices any more";
            Error::from_io(Op::Probe, Subject::Host, message, e)
        })?;
        match received {
            Received::Message(bytes) => match parse_uevent(&bytes) {
                Ok(Some(event)) => drop(inventory.apply(&event)?),
                Ok(None) => {}
                // Nobody knows what it was about.
                Err(_) => inventory.reread()?,
            },
            Received::Overrun => inventory.reread()?,
            _ => break,
        }
        wait = Duration::ZERO;
    }
    let _ = inventory.refresh()?;
    Ok(())
}

fn object(event: &str, one: &Judged, inventory: &Inventory) -> Value {
    let device = view::json(one, inventory.probed(&one.device.name));
    json!({ "event": event, "device": device })
}

/// Lines that tell from what was known to what is there now.
fn changes(
    known: &mut BTreeMap<String, Judged>,
    now: Vec<Judged>,
    inventory: &Inventory,
    json: bool,
) -> Vec<String> {
    let mut lines = Vec::new();
    let before = std::mem::take(known);
    for (name, old) in &before {
        if !now.iter().any(|one| one.device.name == *name) {
            lines.push(match json {
                true => object("removed", old, inventory).to_string(),
                false => format!("- {name}"),
            });
        }
    }
    for one in now {
        let old = before.get(&one.device.name);
        let event = match old {
            None => Some("added"),
            Some(old) if *old != one => Some("changed"),
            Some(_) => None,
        };
        lines.extend(event.map(|event| match json {
            true => object(event, &one, inventory).to_string(),
            false => view::change(old, &one),
        }));
        known.insert(one.device.name.clone(), one);
    }
    lines
}

/// Prints lines at once; answers whether anybody reads them.
fn print(lines: &[String]) -> Result<bool> {
    let mut out = io::stdout().lock();
    let written = lines.iter().try_for_each(|line| writeln!(out, "{line}"));
    match written.and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => {
            let message = "what changed can't be written";
            Err(Error::from_io(Op::Probe, Subject::path("/dev/stdout"), message, e))
        }
    }
}
