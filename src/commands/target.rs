//! From a TARGET to a release.
