//! What `relman-host` does on a host: slots, proxy, containers, health, fence.
