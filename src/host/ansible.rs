//! Fleet by Ansible: one `ansible-playbook` for all hosts, requests on its stdin.
