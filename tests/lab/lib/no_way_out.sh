# shellcheck shell=bash
# A place for tests with loopback and nothing else: no route leads out of it, so a mistake reaches nobody.

# Runs a command there, as the user who asked. Whatever has to be downloaded must be there before. `--with-root` first:
# the command becomes root inside, which a user's own namespace does not give.
no_way_out() {
  local with_root=0
  [[ ${1:-} != --with-root ]] || { with_root=1; shift; }
  # shellcheck disable=SC2016 # expanded by the inner shells
  local up='ip link set lo up && exec "$@"' down='ip link set lo up && exec setpriv --ambient-caps=-all --inh-caps=-all "$@"'
  export CARGO_NET_OFFLINE=true
  if unshare --net true 2>/dev/null; then
    exec unshare --net bash -c "$up" inside "$@"
  elif ((!with_root)) && unshare --user --map-current-user --keep-caps --net bash -c 'ip link set lo up' 2>/dev/null; then
    exec unshare --user --map-current-user --keep-caps --net bash -c "$down" inside "$@"
  elif sudo -n unshare --net true 2>/dev/null; then
    exec sudo -n --preserve-env unshare --net bash -c "$up" inside \
      setpriv --reuid="$(id -u)" --regid="$(id -g)" --init-groups env PATH="$PATH" HOME="$HOME" "$@"
  fi
  printf 'no network namespace can be made, so nothing would keep a mistake from reaching an address outside\n' >&2
  return 1
}
