//! Volumes on the machine that uses them.

mod direct;
mod expand;
mod info;
mod inline;
mod inline_record;
mod pod_cgroup;
mod publish;
mod stage;
mod stats;
mod throttle;
mod volume;

pub use inline::Recovered;
pub(super) use throttle::Conditions;
pub use throttle::ThrottleOutcome;
