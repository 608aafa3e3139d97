//! Reads `relman.toml`: unknown keys with the nearest known one, `RELMAN_…` overrides.
