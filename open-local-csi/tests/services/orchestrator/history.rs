//! One history: random calls, and a long look at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use open_local_core::host::{Clock, SystemClock};

use super::model::HUGE;
use super::{Call, Dice, Fault, Model, NONSENSE, Node, Origin, Outcome};

/// Names of volumes and snapshots; few, so that calls meet.
const VOLUMES: u64 = 4;
const SNAPSHOTS: u64 = 3;
const TARGETS: u64 = 4;
/// Inline volumes, and the targets that only they have.
const INLINE: u64 = 2;
const GROUPS: u64 = 2;
/// A call that is answered with `ABORTED` is repeated at most so often.
const REPEATS: u32 = 200;

/// What histories consisted of.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tally {
    pub(crate) calls: u64,
    pub(crate) refused: u64,
    pub(crate) lost: u64,
    pub(crate) cuts: u64,
    pub(crate) twice: u64,
    pub(crate) reboots: u64,
    pub(crate) writes: u64,
    pub(crate) kinds: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.refused += other.refused;
        self.lost += other.lost;
        self.cuts += other.cuts;
        self.twice += other.twice;
        self.reboots += other.reboots;
        self.writes += other.writes;
        for (kind, count) in &other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
    }
}

/// A history under way. One that fails says what was called.
pub(crate) struct History<'a> {
    node: &'a mut dyn Node,
    dice: Dice,
    model: Model,
    seed: u64,
    log: Vec<String>,
    /// What was called, to be repeated late.
    past: Vec<Call>,
    pub(crate) tally: Tally,
    /// Of how many calls one is cut.
    cut_one_in: u64,
    mibs: [i64; 3],
}

impl Drop for History<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("history of seed {}:", self.seed);
            for (number, line) in self.log.iter().enumerate() {
                eprintln!("  {number} {line}");
            }
        }
    }
}

impl<'a> History<'a> {
    pub(crate) fn new(node: &'a mut dyn Node, seed: u64, cut_one_in: u64, mibs: [i64; 3]) -> Self {
        Self {
            node,
            dice: Dice::new(seed),
            model: Model::default(),
            seed,
            log: Vec::new(),
            past: Vec::new(),
            tally: Tally::default(),
            cut_one_in,
            mibs,
        }
    }

    /// So many random steps, and the end.
    pub(crate) fn run(mut self, steps: u64) -> Tally {
        for _ in 0..steps {
            self.step();
        }
        self.settle();
        self.look_at_all();
        self.ask_again();
        self.tear_down();
        std::mem::take(&mut self.tally)
    }

    fn step(&mut self) {
        match self.dice.below(24) {
            0 => {
                self.log.push("restart".to_owned());
                self.node.restart();
            }
            1 => {
                if self.dice.once_in(3) && self.node.reboot() {
                    self.log.push("reboot".to_owned());
                    self.tally.reboots += 1;
                    self.model.rebooted();
                }
            }
            2..=5 => self.write_or_look(),
            _ => {
                let call = self.choose();
                let fault = self.fault();
                self.make(&call, fault);
            }
        }
    }

    fn fault(&mut self) -> Fault {
        if self.dice.once_in(self.cut_one_in) {
            return Fault::Cut(1 + self.dice.below(8));
        }
        match self.dice.below(20) {
            0 => Fault::Dropped,
            1 => Fault::Twice,
            _ => Fault::Nothing,
        }
    }

    /// A call whose answer is known beforehand.
    fn choose(&mut self) -> Call {
        let pending = self.model.pending();
        if !pending.is_empty() && self.dice.once_in(2) {
            let call = self.dice.pick(&pending).unwrap();
            // Whoever gives up a publication too early must not take the volume away below it.
            return match call {
                Call::Publish { volume, .. } if self.dice.once_in(3) => {
                    Call::Unstage { id: volume.volume_id }
                }
                call => call,
            };
        }
        for _ in 0..8 {
            let call = match self.dice.below(8) {
                0 => self.dice.pick(&self.past).unwrap_or(Call::Volumes),
                1 if self.node.offers_all() => self.other(),
                _ => self.any(),
            };
            if self.model.decides(&call) {
                return call;
            }
        }
        Call::Nonsense { which: self.dice.below(NONSENSE) }
    }

    fn any(&mut self) -> Call {
        let any = format!("v{}", self.dice.below(VOLUMES));
        // Most calls are about what is there: the others are refused at once.
        let there: Vec<String> = self.there().into_iter().map(|one| one.volume_id).collect();
        let id = match self.dice.once_in(6) {
            true => any.clone(),
            false => self.dice.pick(&there).unwrap_or_else(|| any.clone()),
        };
        let snapshot = format!("s{}", self.dice.below(SNAPSHOTS));
        let target = self.dice.below(TARGETS);
        let volume = self.model.volume(&id).map(|known| known.volume.clone());
        let volume = volume.unwrap_or_else(|| open_local_csi::proto::Volume {
            volume_id: id.clone(),
            ..Default::default()
        });
        let mib = match self.dice.below(16) {
            0 => HUGE,
            _ => self.dice.pick(&self.mibs).unwrap(),
        };
        match self.dice.below(40) {
            0..=6 => Call::Create { name: any, mib, from: self.source() },
            _ if there.is_empty() => Call::Create { name: any, mib, from: None },
            7..=8 => Call::Delete { id },
            9..=14 => Call::Stage { volume, block: self.one_of(5) },
            15..=16 => Call::Unstage { id },
            17..=22 => {
                let staged = self.model.volume(&id).and_then(|known| known.staged);
                let block = staged.unwrap_or_default() != self.one_of(12);
                Call::Publish { volume, target, block, single: self.one_of(4) }
            }
            23..=26 => {
                let held = self.model.targets.get(&target).cloned();
                let id = held.filter(|_| target != 0).unwrap_or(id);
                Call::Unpublish { id, target }
            }
            27..=28 => Call::Expand { id, mib },
            29 => Call::ExpandOnNode { id, target, mib: mib.min(*self.mibs.last().unwrap()) },
            30..=34 => Call::Snapshot { name: snapshot, of: id },
            35..=36 => Call::DeleteSnapshot { id: snapshot },
            37 => Call::Volumes,
            38 => Call::Snapshots,
            _ => Call::Nonsense { which: self.dice.below(NONSENSE) },
        }
    }

    /// Once in so many times, of a node that has more than mounted volumes.
    fn one_of(&mut self, times: u64) -> bool {
        self.node.offers_all() && self.dice.once_in(times)
    }

    /// What not every node is asked for.
    fn other(&mut self) -> Call {
        let inline = self.dice.below(INLINE);
        let id = format!("i{inline}");
        let target = TARGETS + self.dice.below(INLINE);
        let target = self.model.others.target(&id).filter(|_| inline == 0).unwrap_or(target);
        let volume = format!("v{}", self.dice.below(VOLUMES));
        let group = format!("g{}", self.dice.below(GROUPS));
        match self.dice.below(12) {
            0..=2 => Call::Inline { id, target },
            3 => Call::EndInline { id, target },
            4 => Call::Delete { id },
            5 => Call::Snapshot { name: format!("s{}", self.dice.below(SNAPSHOTS)), of: id },
            6..=8 => {
                let there: Vec<String> =
                    self.there().into_iter().map(|one| one.volume_id).take(3).collect();
                let of = if there.len() < 2 || self.dice.once_in(6) {
                    vec![volume, "v-none".to_owned()]
                } else {
                    there
                };
                Call::Group { name: group, of }
            }
            9 => Call::DeleteGroup { id: group },
            _ => Call::Modify { id: volume, iops: 100 * (1 + self.dice.below(3)) },
        }
    }

    fn source(&mut self) -> Option<Origin> {
        match self.dice.below(if self.node.offers_all() { 5 } else { 4 }) {
            4 => Some(Origin::Volume(format!("i{}", self.dice.below(INLINE)))),
            0 => Some(Origin::Snapshot(format!("s{}", self.dice.below(SNAPSHOTS)))),
            1 => Some(Origin::Volume(format!("v{}", self.dice.below(VOLUMES)))),
            _ => None,
        }
    }

    fn write_or_look(&mut self) {
        let shown = self.model.shown();
        let Some(id) = self.dice.pick(&shown) else {
            return;
        };
        if self.dice.once_in(2) && !self.model.is_source(&id) {
            let mark = 1 + self.dice.below(1 << 40);
            self.log.push(format!("write {mark} to {id}"));
            self.node.write(&id, mark);
            self.model.wrote(&id, mark);
            self.tally.writes += 1;
        }
        self.look(&id);
    }

    fn look(&mut self, id: &str) {
        let seen = self.node.look(id);
        self.log.push(format!("look at {id}: {seen:?}"));
        let verdict = self.model.seen(id, &seen);
        self.hold(verdict);
    }

    #[track_caller]
    fn hold(&self, verdict: Result<(), String>) {
        if let Err(why) = verdict {
            panic!("seed {}: {}: {why}", self.seed, self.log.last().map_or("", String::as_str));
        }
    }

    #[track_caller]
    fn make(&mut self, call: &Call, fault: Fault) {
        if let Call::Create { from: Some(Origin::Volume(id)), name, .. } = call
            && id == name
        {
            return;
        }
        let doubtful = match call {
            Call::Unstage { id } => self.model.publishing(id).is_some(),
            _ => false,
        };
        let fault = if doubtful { Fault::Nothing } else { fault };
        self.past.push(call.clone());
        self.tally.calls += 1;
        *self.tally.kinds.entry(kind(call)).or_default() += 1;
        let held = self.model.is_held(call);
        let mut outcome = self.node.call(call, fault);
        for _ in 0..REPEATS {
            // A call that nobody waits for any more may still be under way.
            let aborted = matches!(&outcome, Outcome::Told(Err((code, _)))
                if *code == open_local_csi::Code::Aborted);
            if !aborted || held {
                break;
            }
            SystemClock.sleep(Duration::from_millis(5));
            outcome = self.node.call(call, Fault::Nothing);
        }
        match fault {
            Fault::Cut(_) => self.tally.cuts += 1,
            Fault::Twice => self.tally.twice += 1,
            Fault::Nothing | Fault::Dropped => {}
        }
        match &outcome {
            Outcome::Lost => self.tally.lost += 1,
            Outcome::Told(Err(_)) => self.tally.refused += 1,
            Outcome::Told(Ok(_)) => {}
        }
        let shown = match &outcome {
            Outcome::Lost => "lost".to_owned(),
            Outcome::Told(Ok(_)) => "ok".to_owned(),
            Outcome::Told(Err((code, message))) => format!("{code}: {message}"),
        };
        self.log.push(format!("{call:?} ({fault:?}): {shown}"));
        let verdict = self.model.judge(call, &outcome);
        self.hold(verdict);
        // Its file system is known from the first time it is there: a second one would be another.
        if let (Call::Stage { volume, .. }, Outcome::Told(Ok(_))) = (call, &outcome)
            && self.model.shown().contains(&volume.volume_id)
        {
            self.look(&volume.volume_id);
        }
    }

    /// Every call whose outcome is not known is made again.
    fn settle(&mut self) {
        self.log.push("settle".to_owned());
        for call in self.model.pending() {
            self.make(&call, Fault::Nothing);
        }
        assert!(self.model.pending().is_empty(), "seed {}", self.seed);
        self.make(&Call::Volumes, Fault::Nothing);
        self.make(&Call::Snapshots, Fault::Nothing);
    }

    /// What was answered for is there, with its content; snapshots too.
    fn look_at_all(&mut self) {
        self.log.push("look at all".to_owned());
        let snapshots: Vec<String> = self.model.snapshots.keys().cloned().collect();
        for id in snapshots {
            if self.model.snapshots.get(&id).is_some_and(|slot| slot.there.is_some()) {
                let from = Some(Origin::Snapshot(id.clone()));
                let mib = *self.mibs.last().unwrap();
                let name = format!("of-{id}");
                self.make(&Call::Create { name, mib: mib * 2, from }, Fault::Nothing);
            }
        }
        for volume in self.there() {
            let block = self.model.way_to_stage(&volume.volume_id);
            self.make(&Call::Stage { volume, block }, Fault::Nothing);
        }
    }

    /// The same calls get the same answers.
    fn ask_again(&mut self) {
        self.log.push("ask again".to_owned());
        for call in self.past.clone() {
            let asks = matches!(
                call,
                Call::Create { .. }
                    | Call::Snapshot { .. }
                    | Call::Group { .. }
                    | Call::Stage { .. }
                    | Call::Volumes
            );
            // Only what changes nothing any more.
            let there = match &call {
                Call::Create { name, .. } => self.model.volume(name).is_some(),
                Call::Snapshot { name, .. } => {
                    self.model.snapshots.get(name).is_some_and(|slot| slot.there.is_some())
                }
                Call::Group { name, .. } => self.model.others.group(name).is_some(),
                call => self.model.decides(call),
            };
            if asks && there && self.dice.once_in(3) {
                self.make(&call, Fault::Nothing);
            }
        }
    }

    fn there(&self) -> Vec<open_local_csi::proto::Volume> {
        let all = self.model.volumes.values();
        all.filter_map(|slot| Some(slot.there.as_ref()?.volume.clone())).collect()
    }

    fn tear_down(&mut self) {
        self.log.push("tear down".to_owned());
        for (target, id) in self.model.targets.clone() {
            self.make(&Call::Unpublish { id, target }, Fault::Nothing);
        }
        for (id, slot) in self.model.others.inline.clone() {
            let target = slot.there.unwrap_or(TARGETS);
            self.make(&Call::EndInline { id, target }, Fault::Nothing);
        }
        for id in self.model.others.groups.clone().into_keys() {
            self.make(&Call::DeleteGroup { id }, Fault::Nothing);
        }
        for volume in self.there() {
            let id = volume.volume_id;
            self.make(&Call::Unstage { id: id.clone() }, Fault::Nothing);
            self.make(&Call::Delete { id }, Fault::Nothing);
        }
        let snapshots: Vec<String> = self.model.snapshots.keys().cloned().collect();
        for id in snapshots {
            self.make(&Call::DeleteSnapshot { id }, Fault::Nothing);
        }
        self.make(&Call::Volumes, Fault::Nothing);
        self.make(&Call::Snapshots, Fault::Nothing);
        let leaks = self.node.leaks();
        assert!(leaks.is_empty(), "seed {}: left: {leaks:?}", self.seed);
    }
}

fn kind(call: &Call) -> &'static str {
    match call {
        Call::Create { from: None, .. } => "create",
        Call::Create { .. } => "copy",
        Call::Delete { .. } => "delete",
        Call::Stage { block: true, .. } => "stage a device",
        Call::Stage { .. } => "stage",
        Call::Unstage { .. } => "unstage",
        Call::Publish { block: true, .. } => "publish a device",
        Call::Publish { single: true, .. } => "publish alone",
        Call::Publish { .. } => "publish",
        Call::Unpublish { .. } => "unpublish",
        Call::Expand { .. } | Call::ExpandOnNode { .. } => "expand",
        Call::Snapshot { .. } => "snapshot",
        Call::DeleteSnapshot { .. } => "delete snapshot",
        Call::Group { .. } => "group",
        Call::DeleteGroup { .. } => "delete group",
        Call::Inline { .. } => "inline",
        Call::EndInline { .. } => "end inline",
        Call::Modify { .. } => "limit",
        Call::Volumes | Call::Snapshots => "list",
        Call::Nonsense { .. } => "nonsense",
    }
}
