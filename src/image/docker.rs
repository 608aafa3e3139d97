//! Builds and pushes with the Docker Engine.
