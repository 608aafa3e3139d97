//! Fleet by the team's own playbook, which takes the image reference and replaces a container.
