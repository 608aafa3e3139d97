# shellcheck shell=bash
# The emulators, installed once for each version into the cache that the lab uses too.

CACHE=${RELMAN_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/relman-lab}
DYNOXIDE_VERSION=3.2.0
DYNOXIDE=$CACHE/dynoxide-$DYNOXIDE_VERSION/bin/dynoxide

# Sets VENV.
setup_moto() {
  local key
  key=$({ cat tests/aws/requirements.txt; python3 -VV; } | sha256sum | cut -c 1-12)
  VENV=$CACHE/aws-$key
  mkdir -p "$CACHE"
  (
    flock 7
    [[ ! -f $VENV/.complete ]] || exit 0
    rm -rf "$VENV"
    python3 -m venv "$VENV"
    "$VENV/bin/pip" install --quiet --disable-pip-version-check --no-compile --requirement tests/aws/requirements.txt >&2
    : >"$VENV/.complete"
  ) 7>"$CACHE/aws.lock"
}

setup_dynoxide() {
  mkdir -p "$CACHE"
  (
    flock 7
    [[ ! -x $DYNOXIDE ]] || exit 0
    # Its own folder: this tree's lock file and toolchain settings are not its.
    build=$(mktemp -d)
    trap 'rm -rf "$build"' EXIT
    cd "$build"
    CARGO_TARGET_DIR=$build/target cargo install dynoxide-rs --version "=$DYNOXIDE_VERSION" --locked --no-default-features \
      --features native-sqlite,http-server,cli --root "$CACHE/dynoxide-$DYNOXIDE_VERSION" >&2
  ) 7>"$CACHE/dynoxide.lock"
}
