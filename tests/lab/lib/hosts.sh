# shellcheck shell=bash
# The registry and the hosts: containers on a network of their own, published on loopback only.

# Only what has to be there before a lab comes up where no way leads out. An engine that was started for it ends with it.
lab_images() {
  setup_packages
  setup_venv
  if [[ -f $CACHE/images-$(images_key).tar && -f $(debs_stamp) ]]; then return 0; fi
  lock_lab
  claim_slot
  save_conf
  ensure_engine
  ensure_images
  ensure_debs
  lab_down
}

lab_up() {
  [[ -z $HOST_COUNT || $HOST_COUNT =~ ^[1-9][0-9]?$ ]] || die "--hosts $HOST_COUNT is not a number from 1 to 99"
  local n started=$SECONDS
  setup_packages
  setup_venv
  lock_lab
  claim_slot
  # Asking for fewer hosts takes none away; asking for no number keeps those that are there.
  ((${HOST_COUNT:-1} <= ${LAB_HOST_COUNT:-0})) || LAB_HOST_COUNT=${HOST_COUNT:-1}
  save_conf
  ensure_engine
  ensure_images
  ensure_debs
  ensure_network
  ensure_registry
  write_ssh_files
  for ((n = 1; n <= LAB_HOST_COUNT; n++)); do start_host "$n"; done
  for ((n = 1; n <= LAB_HOST_COUNT; n++)); do await_host "$n"; done
  retry 20 curl -fsS "http://$REGISTRY/v2/" || die "the registry at $REGISTRY does not answer"
  say "lab $LAB_NAME is up after $((SECONDS - started)) s: registry $REGISTRY, hosts$(
    for ((n = 1; n <= LAB_HOST_COUNT; n++)); do printf ' %s' "$(host_address "$n")"; done)"
  say "a shell on a host: tests/lab/lab ssh --name $LAB_NAME host1; take it down: tests/lab/lab down --name $LAB_NAME"
}

ensure_network() {
  dk network inspect "$NETWORK" >/dev/null 2>&1 ||
    dk network create --label "$LABEL" --subnet "$SUBNET" --gateway "$NET.129" \
      --opt "com.docker.network.bridge.name=${BRIDGE}h" "$NETWORK" >/dev/null
}

# The client prints an empty line for a container that is not there.
container_state() {
  local state
  state=$(dk container inspect --format '{{.State.Status}}' "$1" 2>/dev/null) || state=absent
  printf '%s' "$state"
}

ensure_registry() {
  local name=relman-lab-$LAB_ID-registry
  case $(container_state "$name") in
    running) return 0 ;;
    absent)
      dk create --name "$name" --label "$LABEL" --network "$NETWORK" --ip "$REGISTRY_IP" \
        --publish "$REGISTRY:5000" "$REGISTRY_IMAGE_TAG" >/dev/null
      ;;
  esac
  dk start "$name" >/dev/null
}

write_ssh_files() {
  local n dir address pattern config=$LAB_STATE/ssh_config known=$LAB_STATE/known_hosts
  [[ -f $LAB_STATE/id_ed25519.pub ]] || new_key "$LAB_STATE/id_ed25519" "relman-lab-$LAB_NAME"
  : >"$config.tmp"
  : >"$known.tmp"
  for ((n = 1; n <= LAB_HOST_COUNT; n++)); do
    dir=$LAB_STATE/hosts/host$n
    mkdir -p "$dir"
    [[ -f $dir/ssh_host_ed25519_key.pub ]] || new_key "$dir/ssh_host_ed25519_key" "host$n"
    address=$(host_address "$n")
    pattern=$address
    [[ $LAB_SSH_PORT == 22 ]] || pattern="[$address]:$LAB_SSH_PORT"
    printf '%s %s\n' "$pattern" "$(cut -d' ' -f1,2 "$dir/ssh_host_ed25519_key.pub")" >>"$known.tmp"
    cat >>"$config.tmp" <<TEXT
Host host$n $address
  HostName $address
  Port $LAB_SSH_PORT
  User deploy
  IdentityFile "$LAB_STATE/id_ed25519"
  IdentitiesOnly yes
  UserKnownHostsFile "$known"
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
TEXT
  done
  mv "$config.tmp" "$config"
  mv "$known.tmp" "$known"
}

# A key pair, complete or not at all: the public half is what says that it is there.
new_key() {
  rm -f "$1" "$1.pub"
  ssh-keygen -q -t ed25519 -N '' -C "$2" -f "$1"
}

start_host() {
  local n=$1 name
  name=$(host_container "$n")
  case $(container_state "$name") in
    running) return 0 ;;
    absent) create_host "$n" "$name" ;;
  esac
  # Also when it was there: a run that was killed may have left it without them.
  put_files "$n" "$name"
  dk start "$name" >/dev/null
}

# systemd wants the control groups where the machine has them. With version 1 they are mounts in a
# tmpfs that systemd makes read-only, the machine's own too if it were shared: each host gets its own.
cgroup_flags() {
  local mount
  if [[ $(stat --file-system --format %T /sys/fs/cgroup) == cgroup2fs ]]; then
    printf '%s\n' --volume /sys/fs/cgroup:/sys/fs/cgroup:rw
    return 0
  fi
  printf '%s\n' --tmpfs /sys/fs/cgroup:rw,mode=755
  while read -r mount; do printf '%s\n' --volume "$mount:$mount:rw"; done \
    < <(awk '$3 ~ /^cgroup2?$/ && index($2, "/sys/fs/cgroup/") == 1 { print $2 }' /proc/mounts)
}

create_host() {
  local address cgroups
  address=$(host_address "$1")
  mapfile -t cgroups < <(cgroup_flags)
  say "creating host$1 at $address"
  mkdir -p "$CACHE/debs"
  # systemd needs most capabilities; --privileged would ask for more than
  # some machines can give. /var/lib/docker is a volume: overlay cannot lie upon overlay.
  dk create --name "$2" --hostname "host$1" --label "$LABEL" --label "relman.lab.host=$1" \
    --network "$NETWORK" --ip "$NET.$((140 + $1))" \
    --publish "$address:$LAB_SSH_PORT:22" --publish "$address:$LAB_HTTP_PORT:80" \
    --publish "$address:$LAB_HTTPS_PORT:443" \
    --cap-add ALL --cap-drop SYS_RESOURCE \
    --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined \
    --cgroupns=host "${cgroups[@]}" \
    --tmpfs /run:rw,nosuid,nodev,exec,mode=755 --tmpfs /run/lock \
    --env container=docker --volume /var/lib/docker --volume "$CACHE/debs:/var/cache/lab-debs" \
    "$HOST_IMAGE_TAG" >/dev/null
}

# What makes an image this host of this lab: its keys, who may log in, and where the registry is.
put_files() {
  local root=$LAB_STATE/hosts/host$1/root units
  units=$root/etc/systemd/system
  rm -rf "$root"
  mkdir -p "$root/etc/ssh" "$units/lab-registry.socket.d" "$units/lab-registry.service.d"
  cp "$LAB_STATE/hosts/host$1/ssh_host_ed25519_key"{,.pub} "$root/etc/ssh/"
  printf '[Socket]\nListenStream=%s\n' "$REGISTRY" >"$units/lab-registry.socket.d/lab.conf"
  printf '[Service]\nEnvironment=REGISTRY=%s:5000\n' "$REGISTRY_IP" >"$units/lab-registry.service.d/lab.conf"
  tar -C "$root" --owner=0 --group=0 -cf - etc | dk cp - "$2:/"
  rm -rf "$root"
  tar -C "$LAB_STATE" --owner=1000 --group=1000 --mode=0600 --transform 's/.*/authorized_keys/' -cf - id_ed25519.pub |
    dk cp - "$2:/home/deploy/.ssh"
}

booted() {
  local state
  state=$(dk exec "$1" systemctl is-system-running 2>/dev/null || true)
  [[ $state == running || $state == degraded ]]
}

await_host() {
  local name
  name=$(host_container "$1")
  retry 60 booted "$name" || die "host$1 does not boot: docker --host $LAB_DOCKER_HOST exec $name journalctl -b"
  dk exec "$name" systemctl is-system-running >/dev/null ||
    say "host$1 is degraded: $(dk exec "$name" systemctl list-units --failed --plain --no-legend | cut -d' ' -f1 | tr '\n' ' ')"
  retry 20 lab_ssh_to "$1" true || die "no ssh to host$1: ssh -F $LAB_STATE/ssh_config host$1"
}

lab_ssh_to() {
  local n=$1
  shift
  ssh -F "$LAB_STATE/ssh_config" -o BatchMode=yes "host$n" "$@"
}

need_up() { [[ -n $LAB_SLOT && -f $LAB_STATE/ssh_config ]] || die "lab $LAB_NAME is not up (state: $LAB_STATE)"; }

lab_ssh() {
  need_up
  local n
  n=$(host_number "${1:?which host? (host1)}")
  shift
  exec ssh -F "$LAB_STATE/ssh_config" "host$n" "$@"
}

lab_reboot() {
  need_up
  local n
  n=$(host_number "${1:?which host? (host1)}")
  dk restart --time 30 "$(host_container "$n")" >/dev/null
  await_host "$n"
}

# Prints `export NAME=value` lines for a shell; values are quoted.
lab_env() {
  need_up
  local n hosts=() dir
  for ((n = 1; n <= LAB_HOST_COUNT; n++)); do hosts+=("$(host_address "$n")"); done
  put() { printf 'export %s=%q\n' "$1" "$2"; }
  put LAB_NAME "$LAB_NAME"
  put LAB_STATE "$LAB_STATE"
  put DOCKER_HOST "$LAB_DOCKER_HOST"
  put LAB_REGISTRY "$REGISTRY"
  put LAB_HOSTS "${hosts[*]}"
  put LAB_SSH_PORT "$LAB_SSH_PORT"
  put LAB_HTTP_PORT "$LAB_HTTP_PORT"
  put LAB_HTTPS_PORT "$LAB_HTTPS_PORT"
  put LAB_SSH_USER deploy
  put LAB_SSH_KEY "$LAB_STATE/id_ed25519"
  put LAB_KNOWN_HOSTS "$LAB_STATE/known_hosts"
  put LAB_SSH_CONFIG "$LAB_STATE/ssh_config"
  put BASE_IMAGE "$BASE_IMAGE_TAG"
  docker buildx version >/dev/null 2>&1 || put DOCKER_BUILDKIT 0
  # Ansible refuses to start in a locale that is not UTF-8.
  [[ $(locale charmap 2>/dev/null) == UTF-8 ]] || put LC_ALL C.UTF-8
  if [[ -f $REPO_DIR/ansible/requirements.txt ]]; then
    dir=$(venv_dir)
    put LAB_VENV "$dir"
    # shellcheck disable=SC2016 # for the shell that reads it
    printf 'export PATH=%q:"$PATH"\n' "$dir/bin"
  fi
}

lab_status() {
  local n name
  [[ -n $LAB_SLOT ]] || { say "lab $LAB_NAME is not up (state: $LAB_STATE)"; return 1; }
  printf 'lab      %s (%s)\n' "$LAB_NAME" "$LAB_STATE"
  printf 'engine   %s, %s, %s\n' "$LAB_ENGINE" "$LAB_DOCKER_HOST" \
    "$(dk version --format '{{.Server.Version}}' 2>/dev/null || printf 'does not answer')"
  printf 'registry %s, %s\n' "$REGISTRY" "$(container_state "relman-lab-$LAB_ID-registry")"
  for ((n = 1; n <= ${LAB_HOST_COUNT:-0}; n++)); do
    name=$(host_container "$n")
    printf 'host%-4s %s ssh:%s http:%s, %s, %s\n' "$n" "$(host_address "$n")" "$LAB_SSH_PORT" "$LAB_HTTP_PORT" \
      "$(container_state "$name")" "$(dk exec "$name" systemctl is-system-running 2>/dev/null || true)"
  done
}
