//! A host on simulated files.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::SimFiles;
use super::random::Random;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{
    Clock, Entropy, Host, Invocation, Output, ProgramRunner, Roots, Silent, Unchecked,
};

/// A clock that moves when somebody sleeps; it starts 2020-09-13T12:26:40Z.
#[derive(Debug, Default)]
struct SleepClock(AtomicU64);

impl Clock for SleepClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000) + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::SeqCst))
    }

    fn sleep(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(nanos, Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct SeededEntropy(Mutex<Random>);

impl Entropy for SeededEntropy {
    fn fill(&self, buf: &mut [u8]) -> Result<()> {
        let mut random = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for part in buf.chunks_mut(8) {
            for (byte, random) in part.iter_mut().zip(random.next().to_le_bytes()) {
                *byte = random;
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct NoPrograms;

impl ProgramRunner for NoPrograms {
    fn run(&self, invocation: &Invocation) -> Result<Output> {
        Err(Error::new(
            ErrorKind::MissingProgram,
            Op::RunProgram,
            Subject::path(&invocation.program),
            "this simulated machine has no programs",
        ))
    }
}

/// A host on these files: a clock that moves only when somebody sleeps, randomness by the seed,
/// no programs, the roots of an ordinary system.
#[must_use]
pub fn sim_host(files: Arc<SimFiles>, seed: u64) -> Host {
    Host {
        files,
        programs: Arc::new(NoPrograms),
        clock: Arc::new(SleepClock::default()),
        entropy: Arc::new(SeededEntropy(Mutex::new(Random::new(seed)))),
        checkpoints: Arc::new(Unchecked),
        progress: Arc::new(Silent),
        roots: Roots::system(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::poll_until;

    #[test]
    fn a_simulated_host_repeats_itself_and_waits_without_waiting() {
        let draw = |seed| {
            let host = sim_host(Arc::new(SimFiles::new(0)), seed);
            let mut bytes = [0; 20];
            host.entropy.fill(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let host = sim_host(Arc::new(SimFiles::new(0)), 1);
        let hour = Duration::from_secs(3600);
        let never = poll_until(host.clock.as_ref(), hour, || Ok(None::<()>));
        assert!(never.unwrap().is_none());
        assert_eq!(host.clock.monotonic(), hour);
    }
}
