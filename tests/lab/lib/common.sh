# shellcheck shell=bash
# Names, state and small helpers that every part of the lab uses.
# Invariant: nothing outside $LAB_STATE, $RUN_DIR, the cache and what carries the lab's label is touched.

CACHE=${RELMAN_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/relman-lab}
SUITE=bookworm
BASE_IMAGE_TAG=relman-lab/python:3.11
HOST_IMAGE_TAG=relman-lab/host:$SUITE
REGISTRY_IMAGE_TAG=relman-lab/registry:2
ROOT_IMAGE_TAG=relman-lab/debian:$SUITE
# Shared by all labs of this machine: which slot (addresses, ports) belongs to which state directory.
RUN_ROOT=/run/relman-lab

say() { printf 'lab: %s\n' "$*" >&2; }
die() {
  printf 'lab: error: %s\n' "$*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
as_root() { if ((EUID == 0)); then "$@"; else sudo "$@"; fi; }
short_hash() { sha256sum | cut -c1-12; }

# Waits until a command succeeds: retry SECONDS COMMAND...
retry() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || return 1
    sleep 0.1
  done
}

tcp_open() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

resolve_lab() {
  LAB_NAME=${LAB_NAME:-default}
  [[ $LAB_NAME =~ ^[a-z0-9][a-z0-9-]{0,30}$ ]] || die "lab name '$LAB_NAME' must be lower-case letters, digits and dashes"
  LAB_STATE=${LAB_STATE:-$REPO_DIR/target/lab/$LAB_NAME}
  LAB_ID=$LAB_NAME-$(printf '%s' "$LAB_STATE" | sha256sum | cut -c1-6)
  RUN_DIR=$RUN_ROOT/$LAB_ID
  LABEL=relman.lab=$LAB_ID
  CONF=$LAB_STATE/lab.conf
  LAB_SLOT='' LAB_ENGINE='' LAB_DOCKER_HOST='' LAB_SSH_PORT='' LAB_HTTP_PORT='' LAB_HTTPS_PORT='' LAB_REGISTRY_PORT='' LAB_HOST_COUNT=''
  # shellcheck disable=SC1090 # written by save_conf below
  [[ ! -f $CONF ]] || source "$CONF"
  [[ -z $LAB_SLOT ]] || derive_addresses
}

save_conf() {
  local key
  for key in LAB_SLOT LAB_ENGINE LAB_DOCKER_HOST LAB_HOST_COUNT LAB_SSH_PORT LAB_HTTP_PORT LAB_HTTPS_PORT LAB_REGISTRY_PORT; do
    printf '%s=%q\n' "$key" "${!key}"
  done >"$CONF.tmp"
  mv "$CONF.tmp" "$CONF"
}

# Everything that has an address follows from the slot.
derive_addresses() {
  LOOPBACK=127.0.$((10 + LAB_SLOT))
  NET=10.213.$LAB_SLOT
  SUBNET=$NET.128/25       # hosts and registry
  REGISTRY_IP=$NET.130
  BRIDGE=rlab$LAB_SLOT     # default bridge of an own engine, for builds
  NETWORK=relman-lab-$LAB_ID
  REGISTRY=127.0.0.1:$LAB_REGISTRY_PORT
}
host_address() { printf '%s.%d' "$LOOPBACK" $((10 + $1)); }
host_container() { printf 'relman-lab-%s-host%d' "$LAB_ID" "$1"; }
host_number() {
  local n=${1#host}
  [[ $n =~ ^[1-9][0-9]?$ ]] || die "host '$1' is not of the form host1"
  printf '%s' "$n"
}

# One command at a time works on a lab. File descriptor 9 must not leak into daemons.
lock_lab() {
  mkdir -p "$LAB_STATE"
  exec 9>"$LAB_STATE/lock"
  flock -n 9 || { say "waiting for another command on lab $LAB_NAME"; flock 9; }
}

# Picks the first slot that no living lab has and whose addresses nobody uses.
claim_slot() {
  [[ -z $LAB_SLOT ]] || return 0
  local slot owner
  [[ -d $RUN_ROOT ]] || as_root install -d -m 1777 "$RUN_ROOT"
  exec 8>"$RUN_ROOT/lock"
  flock 8
  for slot in {0..89}; do
    if [[ -f $RUN_ROOT/slot-$slot ]]; then
      owner=$(<"$RUN_ROOT/slot-$slot")
      [[ $owner != "$LAB_STATE" && -d $owner ]] && continue
    fi
    ip -4 route show | grep -q "^10\.213\.$slot\." && continue
    tcp_open 127.0.0.1 $((5000 + slot)) && continue
    LAB_SLOT=$slot
    break
  done
  [[ -n $LAB_SLOT ]] || die "no free address block for another lab (see $RUN_ROOT)"
  printf '%s' "$LAB_STATE" >"$RUN_ROOT/slot-$LAB_SLOT"
  exec 8>&-
  LAB_REGISTRY_PORT=$((5000 + LAB_SLOT))
  local probe=127.0.$((10 + LAB_SLOT)).11
  LAB_SSH_PORT=22 LAB_HTTP_PORT=80 LAB_HTTPS_PORT=443
  ! tcp_open "$probe" 22 || LAB_SSH_PORT=2222
  ! tcp_open "$probe" 80 || LAB_HTTP_PORT=8080
  ! tcp_open "$probe" 443 || LAB_HTTPS_PORT=8443
  derive_addresses
  save_conf
}
