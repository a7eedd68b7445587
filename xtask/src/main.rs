//! Development tasks: test, demo, tidy, fuzz.

fn main() {}
