//! Benchmarks of the crates of this workspace: none yet.
