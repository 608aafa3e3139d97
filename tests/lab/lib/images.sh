# shellcheck shell=bash
# Images are made from Debian packages alone, once, and kept in the cache as one archive.

# Certificates that the machine's administrator added: hosts and builds must trust them too.
local_certificates() { find /usr/local/share/ca-certificates -name '*.crt' 2>/dev/null | sort; }

images_key() {
  {
    uname -m
    cat "$LAB_DIR/lib/images.sh"
    (cd "$LAB_DIR/images" && find . -type f | sort | xargs sha256sum)
    cat "$REPO_DIR/app/requirements.txt"
    local_certificates | xargs -r cat
  } | short_hash
}
base_key() {
  { uname -m; declare -f make_base; local_certificates | xargs -r cat; } | short_hash
}

images_present() {
  local tag
  for tag in "$BASE_IMAGE_TAG" "$HOST_IMAGE_TAG" "$REGISTRY_IMAGE_TAG"; do
    [[ $(dk image inspect --format '{{index .Config.Labels "relman.lab.images"}}' "$tag" 2>/dev/null) == "$1" ]] || return 1
  done
}

ensure_images() {
  local key archive
  key=$(images_key)
  ! images_present "$key" || return 0
  mkdir -p "$CACHE/debs"
  (
    flock 7
    archive=$CACHE/images-$key.tar
    if [[ -f $archive ]]; then
      say "loading images from $archive"
      dk load --quiet --input "$archive" >/dev/null
    else
      make_base
      build_images "$key"
      say "keeping the images in $archive"
      dk save --output "$archive.tmp" "$BASE_IMAGE_TAG" "$HOST_IMAGE_TAG" "$REGISTRY_IMAGE_TAG"
      mv "$archive.tmp" "$archive"
      find "$CACHE" -maxdepth 1 \( -name 'images-*.tar' -o -name 'base-*.tar' \) -mtime +30 -delete
    fi
  ) 7>"$CACHE/images.lock"
  images_present "$key" || die "the images are not what was asked for; try 'lab purge'"
}

# What the roles install, by the package lists of the host's image: with it in the cache a bare host needs no mirror.
HOST_PACKAGES=(
  ca-certificates sudo docker.io apparmor haproxy unattended-upgrades
  prometheus prometheus-alertmanager prometheus-node-exporter
  openssl lego pebble
)
debs_stamp() { printf '%s/debs/.complete-%s' "$CACHE" "$({ images_key; printf '%s\n' "${HOST_PACKAGES[@]}"; } | short_hash)"; }
ensure_debs() {
  local stamp
  stamp=$(debs_stamp)
  [[ ! -f $stamp ]] || return 0
  (
    flock 7
    [[ ! -f $stamp ]] || exit 0
    say "downloading the packages that hosts install into $CACHE/debs"
    dk run --rm --label "$LABEL" --volume "$CACHE/debs:/var/cache/lab-debs" --entrypoint /bin/sh "$HOST_IMAGE_TAG" -ec \
      "/usr/local/sbin/lab-debs seed
       apt-get install --download-only --no-install-recommends --yes ${HOST_PACKAGES[*]}
       /usr/local/sbin/lab-debs keep </dev/null" >"$CACHE/debs.log" 2>&1 || {
      tail -n 20 "$CACHE/debs.log" >&2
      die "the packages could not be downloaded (log: $CACHE/debs.log); 'lab purge' begins anew"
    }
    : >"$stamp"
  ) 7>"$CACHE/debs.lock"
}

# A minimal Debian as an image. BASE is a tar archive so that changing a Dockerfile costs no debootstrap.
make_base() {
  local base root
  base=$CACHE/base-$(base_key).tar
  if [[ ! -f $base ]]; then
    clean_builds
    root=$(mktemp -d "$CACHE/build-XXXXXX")
    say "debootstrap $SUITE into $root (about a minute)"
    # shellcheck disable=SC2086 # no mirror means debootstrap's own default
    as_root debootstrap --variant=minbase --include=ca-certificates --cache-dir="$CACHE/debs" \
      "$SUITE" "$root" ${RELMAN_LAB_MIRROR:-} >"$CACHE/debootstrap.log" 2>&1 ||
      die "debootstrap failed (log: $CACHE/debootstrap.log)"
    add_security_updates "$root"
    trust_local_certificates "$root"
    # No need to survive a power cut, and nobody reads manuals in there.
    printf 'force-unsafe-io\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\npath-exclude=/usr/share/locale/*\n' |
      as_root tee "$root/etc/dpkg/dpkg.cfg.d/lab" >/dev/null
    as_root rm -rf "$root/var/lib/apt/lists" "$root/etc/resolv.conf" "$root/etc/hostname"
    as_root find "$root/var/cache/apt" -type f -delete
    as_root tar -C "$root" --one-file-system --exclude='./proc/*' --exclude='./sys/*' --exclude='./dev/*' -cf - . >"$base.tmp"
    mv "$base.tmp" "$base"
    as_root rm -rf "$root"
  fi
  dk import --change 'CMD ["bash"]' "$base" "$ROOT_IMAGE_TAG" >/dev/null
}

add_security_updates() {
  local list=$1/etc/apt/sources.list mirror
  mirror=$(awk '$1 == "deb" { print $2; exit }' "$list")
  {
    printf 'deb %s %s main\n' "$mirror" "$SUITE" "$mirror" "$SUITE-updates"
    # Only mirrors laid out like Debian's have the security archive next to them.
    [[ $mirror != */debian ]] || printf 'deb %s-security %s-security main\n' "$mirror" "$SUITE"
  } | as_root tee "$list" >/dev/null
}

trust_local_certificates() {
  local certificate
  while read -r certificate; do
    as_root cp "$certificate" "$1/usr/local/share/ca-certificates/"
  done < <(local_certificates)
  as_root chroot "$1" update-ca-certificates >/dev/null 2>&1
}

# What an earlier run left that was killed in the middle.
clean_builds() {
  local root mount
  for root in "$CACHE"/build-*; do
    [[ -d $root ]] || continue
    while read -r mount; do as_root umount -l "$mount"; done \
      < <(awk -v root="$root/" 'index($2, root) == 1 { print $2 }' /proc/mounts | sort -r)
    as_root rm -rf --one-file-system "$root"
  done
  rm -rf "$CACHE"/*.tmp "$CACHE"/context-*
}

build_images() {
  local name tag context
  # Without the buildx plugin newer clients refuse to build unless told so.
  docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0
  for name in python registry host; do
    case $name in
      python) tag=$BASE_IMAGE_TAG ;;
      registry) tag=$REGISTRY_IMAGE_TAG ;;
      host) tag=$HOST_IMAGE_TAG ;;
    esac
    say "building $tag"
    context=$(mktemp -d "$CACHE/context-XXXXXX")
    cp -R "$LAB_DIR/images/$name/." "$context"
    [[ $name != python ]] || cp "$REPO_DIR/app/requirements.txt" "$context"
    dk build --force-rm --label "relman.lab.images=$1" --tag "$tag" "$context" \
      >"$CACHE/build-$name.log" 2>&1 || {
      rm -rf "$context"
      tail -n 20 "$CACHE/build-$name.log" >&2
      die "building $tag failed (log: $CACHE/build-$name.log)"
    }
    rm -rf "$context"
  done
}
