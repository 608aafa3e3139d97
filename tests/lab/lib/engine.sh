# shellcheck shell=bash
# The container engine: the one that is there, or an own dockerd with its own socket, data and bridge.
# Invariant: an own engine manages no firewall rules; the few that it needs carry the lab's comment.

dk() { docker --host "$LAB_DOCKER_HOST" "$@"; }

# pid_of FILE WORD: the process in a pid file, if its command line has WORD. A number that was given
# to another program since is not ours.
pid_of() {
  local pid
  pid=$(as_root cat "$1" 2>/dev/null) || return 1
  { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qF -- "$2" || return 1
  printf '%s' "$pid"
}
own_engine_pid() { pid_of "$RUN_DIR/docker.pid" "$RUN_DIR/docker.sock"; }

choose_engine() {
  [[ -z $LAB_ENGINE ]] || return 0
  # The engine of another lab is no engine of the machine: it goes away with that lab.
  [[ ${DOCKER_HOST:-} != unix://$RUN_ROOT/* ]] || unset DOCKER_HOST
  # Where no way leads out, the machine's engine is outside.
  if [[ ${LAB_OWN_ENGINE:-} != 1 ]] && have docker && engine_answers; then
    LAB_ENGINE=shared
    LAB_DOCKER_HOST=${DOCKER_HOST:-$(docker context inspect --format '{{.Endpoints.docker.Host}}')}
  else
    LAB_ENGINE=own
    LAB_DOCKER_HOST=unix://$RUN_DIR/docker.sock
  fi
  save_conf
}

ensure_engine() {
  choose_engine
  if [[ $LAB_ENGINE == shared ]]; then
    dk version >/dev/null 2>&1 || die "the engine at $LAB_DOCKER_HOST does not answer any more"
    return 0
  fi
  ensure_bridge
  if own_engine_pid >/dev/null && retry 30 dk version; then return 0; fi
  start_engine
}

start_engine() {
  have dockerd || die "dockerd is missing: run 'lab setup'"
  say "starting an own Docker Engine ($LAB_DOCKER_HOST)"
  as_root install -d -m 0755 "$RUN_DIR" "$LAB_STATE/docker"
  local containerd=$RUN_DIR/exec/containerd/containerd.pid pid
  # A containerd that is still ending with its killed dockerd would be taken for a healthy one.
  if pid=$(pid_of "$containerd" "$RUN_DIR/exec/"); then as_root kill -9 "$pid"; fi
  as_root rm -f "$RUN_DIR/docker.pid" "$RUN_DIR/docker.sock" "$containerd"
  # setsid: an interrupt on the terminal is not meant for the engine.
  as_root setsid dockerd \
    --host "$LAB_DOCKER_HOST" --group "$(id -gn)" \
    --data-root "$LAB_STATE/docker" --exec-root "$RUN_DIR/exec" --pidfile "$RUN_DIR/docker.pid" \
    --bridge "$BRIDGE" --iptables=false --ip6tables=false --ip-masq=false --ip-forward=false \
    --log-level warn 9>&- </dev/null >>"$LAB_STATE/dockerd.log" 2>&1 &
  retry 60 dk version || {
    tail -n 20 "$LAB_STATE/dockerd.log" >&2
    die "dockerd did not start (log: $LAB_STATE/dockerd.log)"
  }
}

# iptables waits for its lock, and every rule names the lab so that it can be found again.
ipt() { as_root iptables -w 10 "$@"; }
# rule TABLE -A|-I CHAIN SPEC...: adds it unless it is there.
rule() {
  local table=$1 how=$2 chain=$3
  shift 3
  ipt -t "$table" -C "$chain" "$@" -m comment --comment "$LABEL" 2>/dev/null ||
    ipt -t "$table" "$how" "$chain" "$@" -m comment --comment "$LABEL"
}

ensure_bridge() {
  if ! ip link show "$BRIDGE" >/dev/null 2>&1; then
    as_root ip link add "$BRIDGE" type bridge
  fi
  as_root ip addr replace "$NET.1/25" dev "$BRIDGE"
  as_root ip link set "$BRIDGE" up
  if [[ $(</proc/sys/net/ipv4/ip_forward) == 0 ]]; then
    : >"$RUN_ROOT/ip_forward-was-0"
    as_root sysctl -qw net.ipv4.ip_forward=1
  fi
  rule nat -A POSTROUTING -s "$NET.0/24" ! -d "$NET.0/24" -j MASQUERADE
  rule filter -I FORWARD -s "$NET.0/24" -j ACCEPT
  rule filter -I FORWARD -d "$NET.0/24" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
}

remove_rules() {
  local table spec
  have iptables || return 0
  for table in nat filter; do
    while read -r spec; do
      # shellcheck disable=SC2086 # a rule as iptables prints it
      ipt -t "$table" -D ${spec#-A } 2>/dev/null || true
    done < <(ipt -t "$table" -S 2>/dev/null | grep -F -- "--comment \"$LABEL\"" | tr -d '"' || true;
             ipt -t "$table" -S 2>/dev/null | grep -E -- "--comment $LABEL( |$)" || true)
  done
}
