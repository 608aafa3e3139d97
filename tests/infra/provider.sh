# shellcheck shell=bash
# Where Terraform gets the AWS provider from: a mirror on this machine where there is one, else the public registry.

PROVIDER=terraform-provider-aws

# A directory laid out as Terraform lays out a mirror: HOST/hashicorp/aws/VERSION/PLATFORM/FILE, or the ZIP beside it.
find_mirror() {
  local file
  while IFS= read -r file; do
    case $file in
      */hashicorp/aws/5.*/*/"$PROVIDER"*) file=${file%/hashicorp/aws/*} ;;
      */hashicorp/aws/"$PROVIDER"_5.*.zip) file=${file%/hashicorp/aws/*} ;;
      *) continue ;;
    esac
    printf '%s\n' "${file%/*}"
    return 0
  done < <(find /opt /usr/local /usr/share /usr/lib /srv /var/lib "$HOME" -xdev \
    \( -name target -o -name .terraform -o -path '*/.terraform.d/plugin-cache' \) -prune -o \
    -name "$PROVIDER*" \( -type f -o -type l \) -print 2>/dev/null | sort -rV)
  return 1
}

# setup_provider STATE: writes STATE/cli.tfrc. Whoever uses it may have no way out later, so even where the provider comes
# from the public registry it is mirrored first.
setup_provider() {
  local state=$1 mirror
  if mirror=$(find_mirror); then
    say "provider: the mirror $mirror"
  else
    mirror=$state/mirror
    if [[ ! -f $mirror/.complete ]]; then
      say 'provider: from the public registry'
      mkdir -p "$mirror"
      (cd "$REPO_DIR/infra" && TF_CLI_CONFIG_FILE=/dev/null terraform providers mirror "$mirror" >&2)
      : >"$mirror/.complete"
    fi
  fi
  mkdir -p "$state/plugins"
  printf 'disable_checkpoint = true\nprovider_installation {\n  filesystem_mirror {\n    path = "%s"\n  }\n}\n' "$mirror" >"$state/cli.tfrc"
}
