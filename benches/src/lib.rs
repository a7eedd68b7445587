//! Benchmarks against the peers' tools.
