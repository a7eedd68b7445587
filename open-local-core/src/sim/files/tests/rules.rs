//! What the simulation promises beyond the results of single calls.
