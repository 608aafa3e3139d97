#!/usr/bin/env bash
# What the action runs: relman and relman-host into a folder of the runner that is put on the PATH, Ansible beside it.
#
#   VERSION=v0.3.0 REPOSITORY=ORG/REPO ANSIBLE=true install.sh
#
# The checksums come from where the archive comes from: they show that it is whole. That it was built by the release
# workflow of that repository from that tag is what GitHub's attestation says (ATTESTATION=false leaves it out).
set -euo pipefail

die() {
  printf '::error::%s\n' "$*"
  exit 1
}

bin=${RUNNER_TEMP:-/tmp}/relman/bin
mkdir -p "$bin"
if [[ -z ${VERSION:-} ]]; then
  make build
  install -m 0755 target/bin/release/relman target/bin/release/relman-host "$bin/"
else
  [[ $VERSION =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] || die "version $VERSION is not vX.Y.Z"
  [[ ${REPOSITORY:-} =~ ^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$ ]] || die "repository ${REPOSITORY:-} is not ORG/REPO"
  case $(uname -m) in
    x86_64) machine=x86_64 ;;
    aarch64 | arm64) machine=aarch64 ;;
    *) die "there is no build of relman for $(uname -m)" ;;
  esac
  archive=relman-$VERSION-$machine-linux.tar.gz
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  gh release download "$VERSION" --repo "$REPOSITORY" --pattern "$archive" --pattern SHA256SUMS --dir "$work"
  (cd "$work" && sha256sum --check --ignore-missing --strict SHA256SUMS) || die "$archive is not what its release says"
  [[ ${ATTESTATION:-true} == false ]] || gh attestation verify "$work/$archive" --repo "$REPOSITORY" \
    --signer-workflow "$REPOSITORY/.github/workflows/release.yml" --source-ref "refs/tags/$VERSION" ||
    die "nobody vouches for $archive"
  tar -xzf "$work/$archive" -C "$bin" relman relman-host
fi
printf '%s\n' "$bin" >>"${GITHUB_PATH:-/dev/null}"
if [[ ${ANSIBLE:-true} == true ]]; then
  python3 -m venv "$bin/../ansible"
  "$bin/../ansible/bin/pip" install --quiet --disable-pip-version-check --requirement ansible/requirements.txt
  printf '%s\n' "$(cd "$bin/../ansible/bin" && pwd)" >>"${GITHUB_PATH:-/dev/null}"
fi
"$bin/relman" --version
