//! From a step to what is asked of hosts.
