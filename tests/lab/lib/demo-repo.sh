# shellcheck shell=bash
# The demo's repository: the service of app/ with a relman.toml, and a bare remote that tags are pushed to.

# Uses DEMO, WORK, REPO_DIR and the lab's environment.
make_repository() {
  local remote=$DEMO/origin.git
  git init --quiet --bare --initial-branch main "$remote"
  git init --quiet --initial-branch main "$WORK"
  (
    cd "$REPO_DIR/app"
    git ls-files -z --cached --others --exclude-standard . | tar --null --files-from=- -cf - | tar -C "$WORK" -xf -
  )
  configuration >"$WORK/relman.toml"
  cd "$WORK"
  git config user.name 'Demo'
  git config user.email 'demo@example.com'
  # The user's own settings must not ask for a signature or run a hook here.
  git config commit.gpgsign false
  git config tag.gpgsign false
  git config core.hooksPath /dev/null
  git remote add origin "$remote"
  git add --all
  git commit --quiet --message 'feat: the service'
  git push --quiet --set-upstream origin main
}

# The sections that each demo's relman.toml has; `[run.health]` is last.
common_configuration() {
  cat <<TEXT
[service]
name = "web"

[image]
repository = "$LAB_REGISTRY/web"
build_args = { BASE_IMAGE = "$BASE_IMAGE" }

[run]
port = 8000
memory_mib = 128
stop_timeout_seconds = 30

[run.health]
path = "/healthz"
interval_ms = 250
good_probes = 3
start_period_seconds = 10

TEXT
}

configuration() {
  local address=${LAB_HOSTS%% *} key
  key=$(cut -d' ' -f2,3 <(grep -F "$address" "$LAB_KNOWN_HOSTS"))
  common_configuration
  cat <<TEXT
[ansible]
directory = "$REPO_DIR/ansible"

[ledger]
id = "$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"

[environments.production]
via = "ansible"
drain_seconds = 5
access = { user = "$LAB_SSH_USER", key = "$LAB_SSH_KEY" }
hosts = [
  { name = "host1", address = "$address", port = $LAB_SSH_PORT, host_keys = ["$key"] },
]
TEXT
}

# edit FILE FROM TO: replaces a text that must be there.
edit() {
  grep -qF -- "$2" "$1" || fail "$1 has no '$2' to change" "$WORK"
  python3 -c 'import sys; p, a, b = sys.argv[1:]; t = open(p).read(); open(p, "w").write(t.replace(a, b))' "$@"
}

push_change() {
  shell 0 git commit --quiet --all --message "$1"
  shell 0 git push --quiet
}

change_greeting() {
  edit web/app.py 'GREETING = "hello"' 'GREETING = "howdy"'
  push_change 'feat: a warmer greeting'
}
break_health() {
  edit web/health.py 'return []' 'return ["the table orders has no column total"]'
  push_change 'feat: show the total of orders'
}
mend_health() {
  edit web/health.py 'return ["the table orders has no column total"]' 'return []'
  push_change 'fix: do not ask for the total yet'
}
