//! The lab suite: the real binaries against a real registry, sshd, systemd, Ansible, Docker and HAProxy.
//!
//! Every test is ignored unless it is asked for (`make test-lab`), so that one that did not run never counts as
//! passed. Asked for without a lab, each fails. They share the lab's hosts and run one at a time.

#[cfg(test)]
mod access;
#[cfg(test)]
mod bare;
#[cfg(test)]
mod interrupted;
#[cfg(test)]
mod joins;
#[cfg(test)]
mod logins;
#[cfg(test)]
mod offline;
#[cfg(test)]
mod outside;
#[cfg(test)]
mod pipeline;
#[cfg(test)]
mod playbook;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod ssm;
#[cfg(test)]
mod story;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod two;
#[cfg(test)]
mod unhealthy;
#[cfg(test)]
mod watched;
