//! Artifacts in memory: the fake of unit tests.
