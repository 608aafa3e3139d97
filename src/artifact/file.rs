//! Artifacts in a folder.
