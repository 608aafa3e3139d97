# shellcheck shell=bash
# Taking a lab away. Works on whatever a run that was killed has left.

lab_down() {
  if [[ ! -d $LAB_STATE ]]; then
    say "lab $LAB_NAME is not up (state: $LAB_STATE)"
    return 0
  fi
  lock_lab
  if [[ -n $LAB_SLOT ]] && owns_slot; then
    case $LAB_ENGINE in
      own)
        # Containers outlive a dockerd that was killed: only a living one takes them away cleanly.
        ensure_engine
        remove_from_engine
        stop_engine
        ;;
      shared)
        ensure_engine
        remove_from_engine
        remove_images
        ;;
    esac
    remove_rules
    as_root rm -rf --one-file-system "$RUN_DIR"
    release_slot
  fi
  # The state goes last: until then `down` can be run again.
  as_root rm -rf --one-file-system "$LAB_STATE"
  rmdir "$(dirname "$LAB_STATE")" 2>/dev/null || true
  say "lab $LAB_NAME is gone"
}

# Bare hosts for used ones: addresses and keys stay. Engine and images stay too, so it takes seconds.
lab_fresh() {
  if [[ -z ${1:-} ]]; then
    if [[ -n $LAB_SLOT ]]; then
      lock_lab
      ensure_engine
      remove_containers
    fi
  else
    need_up
    lock_lab
    ensure_engine
    remove_containers --filter "label=relman.lab.host=$(host_number "$1")"
  fi
  exec 9>&-
  lab_up
}

remove_containers() {
  local containers=() inner
  mapfile -t containers < <(dk ps --all --quiet --filter "label=$LABEL" "$@")
  [[ ${#containers[@]} -gt 0 ]] || return 0
  say "removing ${#containers[@]} containers"
  inner=$(inner_containers "${containers[@]}")
  dk rm --force --volumes "${containers[@]}" >/dev/null
  remove_cgroups "$inner"
}

remove_from_engine() {
  remove_containers
  ! dk network inspect "$NETWORK" >/dev/null 2>&1 || dk network rm "$NETWORK" >/dev/null
}

# The hosts' own engines make control groups beside the machine's, which nobody removes when a host
# is killed. Their names are those of the containers that the volumes hold.
inner_containers() {
  local volume
  dk container inspect --format '{{range .Mounts}}{{if eq .Destination "/var/lib/docker"}}{{println .Source}}{{end}}{{end}}' "$@" |
    while read -r volume; do
      [[ -z $volume ]] || as_root find "$volume/containers" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' 2>/dev/null || true
    done
}
remove_cgroups() {
  local id
  for id in $1; do
    as_root find /sys/fs/cgroup -depth -type d \( -path "*/docker/$id" -o -path "*/docker/$id/*" \
      -o -name "docker-$id.scope" \) -exec rmdir {} \; 2>/dev/null || true
  done
}

# In a shared engine: what was built for this lab's registry, and the lab's images when it was the last.
remove_images() {
  local images=()
  mapfile -t images < <(dk images --filter "reference=$REGISTRY/*" --filter "reference=$REGISTRY/*/*" --format '{{.Repository}}:{{.Tag}}')
  if [[ -z $(dk ps --all --quiet --filter label=relman.lab) ]]; then
    images+=("$HOST_IMAGE_TAG" "$REGISTRY_IMAGE_TAG" "$BASE_IMAGE_TAG" "$ROOT_IMAGE_TAG")
  fi
  [[ ${#images[@]} -eq 0 ]] || dk rmi "${images[@]}" >/dev/null 2>&1 || true
}

# Everything that runs for the own engine, by process: dockerd, its containerd, and the shims.
engine_processes() {
  local file
  for file in /proc/[0-9]*/cmdline; do
    if tr '\0' '\n' <"$file" 2>/dev/null | grep -qE -- "^(unix://)?$RUN_DIR/(docker.sock|exec/)"; then
      basename "$(dirname "$file")"
    fi
  done
}

stop_engine() {
  local pid mount
  if pid=$(own_engine_pid); then
    say 'stopping the own Docker Engine'
    as_root kill "$pid"
    retry 30 not_alive "$pid" || true
  fi
  # What is left when it did not stop by itself.
  for pid in $(engine_processes); do as_root kill -9 "$pid" 2>/dev/null || true; done
  while read -r mount; do as_root umount -l "$mount"; done < <(
    awk -v a="$RUN_DIR/" -v b="$LAB_STATE/docker" 'index($2, a) == 1 || index($2, b) == 1 { print $2 }' /proc/mounts | sort -r)
  ! ip link show "${BRIDGE}h" >/dev/null 2>&1 || as_root ip link del "${BRIDGE}h"
  ! ip link show "$BRIDGE" >/dev/null 2>&1 || as_root ip link del "$BRIDGE"
}
not_alive() { ! kill -0 "$1" 2>/dev/null; }

# A lab that was taken away up to its state directory may find its slot in other hands.
owns_slot() { [[ $(cat "$RUN_ROOT/slot-$LAB_SLOT" 2>/dev/null) == "$LAB_STATE" ]]; }

release_slot() {
  exec 8>"$RUN_ROOT/lock"
  flock 8
  rm -f "$RUN_ROOT/slot-$LAB_SLOT"
  if ! compgen -G "$RUN_ROOT/slot-*" >/dev/null; then
    if [[ -f $RUN_ROOT/ip_forward-was-0 ]]; then as_root sysctl -qw net.ipv4.ip_forward=0; fi
    as_root rm -rf --one-file-system "$RUN_ROOT"
    # Empty directories that every engine on the machine makes anew.
    as_root find /sys/fs/cgroup -maxdepth 2 -type d -name docker -exec rmdir {} \; 2>/dev/null || true
    as_root rmdir /run/containerd/s /run/containerd /run/docker/plugins /run/docker 2>/dev/null || true
  fi
  exec 8>&-
}

purge_cache() {
  ! compgen -G "$RUN_ROOT/slot-*" >/dev/null || die 'a lab is up; take it down first'
  say "removing $CACHE"
  clean_builds
  as_root rm -rf --one-file-system "$CACHE"
}
