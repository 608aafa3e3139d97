//! Holding the lease while the driver works.
