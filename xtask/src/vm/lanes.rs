//! Several guests at a time: what is to be run, and the lanes that run it.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use super::boots::{Boot, Outside};
use crate::Result;

/// Guests that run at the same time: one test after the other keeps little more than one processor
/// busy, whatever the guest has.
const LANES: usize = 2;

/// What one lane does before it looks for more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    Guest(Boot),
    Host(Outside),
}

/// A lane that panicked has told all it knew.
pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The longest first, as far as the time that its tests may take tells: the lanes end together
/// then.
pub(super) fn in_order(boots: Vec<Boot>, outside: Vec<Outside>) -> VecDeque<Work> {
    let longest = |boot: &Boot| boot.tests.iter().map(|test| test.seconds).sum::<u64>();
    let mut boots = boots;
    boots.sort_by_key(|boot| Reverse(longest(boot)));
    // A program on the host spends its time on guests that do next to nothing.
    let boots = boots.into_iter().map(Work::Guest);
    boots.chain(outside.into_iter().map(Work::Host)).collect()
}

/// Does all of the work, `each` piece in one lane; what fails first ends its lane and is told.
pub(super) fn run(work: VecDeque<Work>, each: impl Fn(&Work) -> Result<()> + Sync) -> Result<()> {
    let work = Mutex::new(work);
    let lane = || {
        loop {
            let next = lock(&work).pop_front();
            match next {
                None => return Ok(()),
                Some(next) => each(&next)?,
            }
        }
    };
    let ended: Vec<Result<()>> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(lane)).collect();
        let joined = lanes.into_iter().map(thread::ScopedJoinHandle::join);
        joined.map(|ended| ended.unwrap_or_else(|_| Err("a lane panicked".to_owned()))).collect()
    });
    ended.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::boots::Test;
    use super::super::machine::Shape;
    use super::*;

    fn boot(target: &str, tests: usize, seconds: u64) -> Boot {
        let test = Test {
            target: target.to_owned(),
            name: "one".to_owned(),
            program: PathBuf::from("/t"),
            folder: PathBuf::from("/w"),
            seconds,
        };
        let shape = Shape { disks: Vec::new(), udev: false, memory: 512, processors: 1 };
        Boot { shape, tests: vec![test; tests] }
    }

    fn outside() -> Outside {
        Outside {
            target: "power".to_owned(),
            folder: "/w".into(),
            program: "/t".into(),
            tests: vec!["one".to_owned()],
        }
    }

    fn name(work: &Work) -> String {
        match work {
            Work::Guest(boot) => boot.tests[0].target.clone(),
            Work::Host(program) => program.target.clone(),
        }
    }

    fn queue() -> VecDeque<Work> {
        let boots = vec![boot("guest_a", 3, 100), boot("guest_b", 1, 600), boot("guest_c", 4, 100)];
        in_order(boots, vec![outside()])
    }

    #[test]
    fn the_guest_that_may_take_longest_comes_first() {
        let order: Vec<String> = queue().iter().map(name).collect();
        assert_eq!(order, ["guest_b", "guest_c", "guest_a", "power"]);
    }

    #[test]
    fn each_piece_of_work_is_done_once() {
        let done = Mutex::new(Vec::new());
        run(queue(), |work| {
            lock(&done).push(name(work));
            Ok(())
        })
        .unwrap();
        let mut done = done.into_inner().unwrap();
        done.sort();
        assert_eq!(done, ["guest_a", "guest_b", "guest_c", "power"]);
    }

    #[test]
    fn what_failed_in_a_lane_is_told_and_the_other_lane_goes_on() {
        let done = Mutex::new(0);
        let ended = run(queue(), |work| {
            if name(work) == "guest_b" {
                return Err("no emulator".to_owned());
            }
            *lock(&done) += 1;
            Ok(())
        });
        assert_eq!(ended, Err("no emulator".to_owned()));
        assert_eq!(done.into_inner().unwrap(), 3);
    }

    #[test]
    fn a_lane_that_panics_fails_the_run() {
        let ended = run(queue(), |work| {
            assert!(name(work) != "power", "a defect of the runner");
            Ok(())
        });
        assert_eq!(ended, Err("a lane panicked".to_owned()));
    }
}
