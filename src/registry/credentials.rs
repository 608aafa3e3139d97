//! Logins for registries, from where Docker keeps them.
