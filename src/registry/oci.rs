//! Registry over HTTP (OCI distribution specification).
