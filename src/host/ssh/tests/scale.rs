//! How many hosts at once.
