//! The simulated files against the real ones, and against power cuts.

mod model;
mod power;
mod rules;
