//! Volumes on the machine that uses them.

mod direct;
mod expand;
mod exposure;
mod info;
mod inline;
mod inline_record;
mod original;
mod place;
mod pod_cgroup;
mod publish;
mod stage;
mod stats;
mod sweep;
mod throttle;
mod unstage;
mod used_as;
mod volume;

pub use sweep::Recovered;
pub(super) use throttle::Conditions;
pub use throttle::ThrottleOutcome;
