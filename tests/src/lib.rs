//! Fixtures and the test tiers that need a machine.
