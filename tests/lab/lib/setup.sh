# shellcheck shell=bash
# What the machine must have. Nothing here runs when nothing is missing.

engine_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

missing_packages() {
  local found=()
  have debootstrap || found+=(debootstrap)
  { [[ ${LAB_OWN_ENGINE:-} != 1 ]] && have docker && engine_answers; } || have dockerd || found+=(docker.io)
  { have ssh && have ssh-keygen; } || found+=(openssh-client)
  have ip || found+=(iproute2)
  have iptables || found+=(iptables)
  have curl || found+=(curl)
  have git || found+=(git)
  have make || found+=(make)
  have cc || found+=(gcc libc6-dev)
  have pkg-config || found+=(pkg-config)
  pkg-config --exists openssl 2>/dev/null || found+=(libssl-dev)
  python3 -c 'import ensurepip, venv' 2>/dev/null || found+=(python3 python3-venv)
  [[ ${#found[@]} -eq 0 ]] || printf '%s\n' "${found[@]}"
}

setup_packages() {
  local packages=() answer
  mapfile -t packages < <(missing_packages)
  [[ ${#packages[@]} -gt 0 ]] || return 0
  have apt-get || die "missing ${packages[*]}; this script installs them on Debian and Ubuntu only"
  say "apt will install: ${packages[*]}"
  if [[ -t 0 && -z ${CI:-} && ${ASSUME_YES:-} != 1 ]]; then
    read -r -p 'lab: change this machine? [y/N] ' answer
    [[ $answer == [yY]* ]] || die 'nothing was changed'
  fi
  mkdir -p "$CACHE"
  {
    as_root apt-get update &&
      as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}"
  } >"$CACHE/apt.log" 2>&1 </dev/null || {
    tail -n 20 "$CACHE/apt.log" >&2
    die "apt failed (log: $CACHE/apt.log)"
  }
  hash -r
}

# The Python environment that holds Ansible: one per content of the requirements file and interpreter.
venv_dir() {
  local key
  key=$({ cat "$REPO_DIR/ansible/requirements.txt"; python3 -VV; } | short_hash)
  printf '%s/venv-%s' "$CACHE" "$key"
}

setup_venv() {
  local requirements=$REPO_DIR/ansible/requirements.txt dir
  [[ -f $requirements ]] || { say 'no ansible/requirements.txt: no Python environment is made'; return 0; }
  dir=$(venv_dir)
  [[ ! -f $dir/.complete ]] || return 0
  mkdir -p "$CACHE"
  (
    flock 7
    [[ ! -f $dir/.complete ]] || exit 0
    say "making the Python environment $dir"
    rm -rf "$dir"
    python3 -m venv "$dir"
    "$dir/bin/pip" install --quiet --disable-pip-version-check --no-compile -r "$requirements" >&2
    : >"$dir/.complete"
  ) 7>"$CACHE/venv.lock"
}

setup_all() {
  setup_packages
  setup_venv
  say 'set-up is complete'
}
