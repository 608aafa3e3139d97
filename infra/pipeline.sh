#!/usr/bin/env bash
# Terraform as the pipeline runs it, for the environment ENVIRONMENT: infra/pipeline.sh init|plan|apply|drift
#
# Which root belongs to an environment says relman.toml. BACKEND_HCL and FOUNDATION, where set, are the contents of
# live/backend.hcl and live/foundation.tfvars.json (infra/README.md), which are not in the repository.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

die() { printf 'infra/pipeline.sh: %s\n' "$*" >&2; exit 2; }

[[ ${ENVIRONMENT:-} =~ ^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$ ]] || die 'ENVIRONMENT is not the name of an environment'
root=$(python3 - "$ENVIRONMENT" <<'PY'
import sys, tomllib

environments = tomllib.load(open("../relman.toml", "rb"))["environments"]
print(environments.get(sys.argv[1], {}).get("terraform", {}).get("directory", "").removeprefix("infra/"))
PY
)
[[ -n $root ]] || die "relman.toml has no terraform.directory for $ENVIRONMENT"

init() {
  [[ -z ${BACKEND_HCL:-} ]] || printf '%s\n' "$BACKEND_HCL" >live/backend.hcl
  [[ -z ${FOUNDATION:-} ]] || printf '%s\n' "$FOUNDATION" >live/foundation.tfvars.json
  [[ -f live/backend.hcl ]] || die 'live/backend.hcl is missing: set BACKEND_HCL, or see infra/README.md'
  terraform -chdir="$root" init -input=false -reconfigure -backend-config=../backend.hcl \
    -backend-config="key=$ENVIRONMENT.tfstate"
}

# The role that plans takes no lock: an apply of a plan that was overtaken is refused.
plan() {
  terraform -chdir="$root" plan -input=false -lock=false -var-file=../foundation.tfvars.json \
    -var-file="$ENVIRONMENT.tfvars" "$@"
}

case ${1:-} in
  init) init ;;
  plan) init; plan -out=pipeline.tfplan; mkdir -p ../target/infra; mv "$root/pipeline.tfplan" ../target/infra/ ;;
  # Exactly what was planned, and nothing else: Terraform refuses a saved plan whose state has moved on.
  apply) init; exec terraform -chdir="$root" apply -input=false -lock-timeout=15m "$PWD/../target/infra/pipeline.tfplan" ;;
  # 2 where there is a difference.
  drift) init; plan -detailed-exitcode ;;
  *) die 'init, plan, apply or drift' ;;
esac
