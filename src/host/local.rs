//! Fleet of one: this machine.
