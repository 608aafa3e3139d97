# shellcheck shell=bash
# An AWS for the demo: moto on loopback behind one mutex, and Terraform for it. It forgets everything when it ends.
# Uses DEMO and REPO_DIR. What knows that it is not AWS is all here: commands and configuration do not.

REGION=eu-central-1

need_terraform() {
  local version
  command -v terraform >/dev/null || fail 'there is no terraform on PATH' 'infra/README.md: 1.11 or later'
  version=$(terraform version -json 2>/dev/null | python3 -c 'import json, sys; print(json.load(sys.stdin)["terraform_version"])')
  python3 -c 'import sys; sys.exit(tuple(map(int, sys.argv[1].split("-")[0].split("."))) < (1, 11))' "$version" ||
    fail "Terraform $version is too old" 'infra/README.md: 1.11 or later'
}

# Whatever AWS account the user has stays out of this.
forget_aws() {
  local name
  while IFS='=' read -r name _; do
    case $name in AWS_* | TF_* | *_proxy | *_PROXY) unset "$name" ;; esac
  done < <(env)
}

start_aws() {
  local log=$DEMO/moto.log n
  forget_aws
  setsid "$REPO_DIR/tests/aws/serve" "$@" >"$log" 2>&1 </dev/null &
  printf '%s\n' "$!" >"$DEMO/moto.pid"
  for n in {1..600}; do
    if grep -q '^ready ' "$log"; then break; fi
    kill -0 "$(<"$DEMO/moto.pid")" 2>/dev/null || fail 'moto did not start' "$log"
    sleep 0.1
  done
  grep -q '^ready ' "$log" || fail "moto did not start (looked $n times)" "$log"
  setup_provider "$DEMO" 2>>"$log"
  # What a user has in the environment, or in ~/.aws.
  cat >>"$DEMO/env.sh" <<TEXT
export AWS_ENDPOINT_URL=http://127.0.0.1:$(sed -n 's/^ready //p' "$log")
export AWS_REGION=$REGION AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
export AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
export AWS_MAX_ATTEMPTS=2
export TF_CLI_CONFIG_FILE=$DEMO/cli.tfrc TF_PLUGIN_CACHE_DIR=$DEMO/plugins TF_IN_AUTOMATION=1
TEXT
  # shellcheck disable=SC1091 # written above
  source "$DEMO/env.sh"
}

stop_aws() {
  local pid
  [[ -f $DEMO/moto.pid ]] || return 0
  pid=$(<"$DEMO/moto.pid")
  # The number may be another process's by now.
  if tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q tests/aws/; then
    kill -TERM "$pid"
    for _ in {1..100}; do
      [[ -d /proc/$pid ]] || break
      sleep 0.1
    done
    [[ ! -d /proc/$pid ]] || complain "moto (process $pid) does not end" "kill -9 $pid"
  fi
  rm -f "$DEMO/moto.pid"
}

# Python that has boto3, for what a person looks up in a console.
aws_python() {
  # shellcheck source=tests/aws/setup.sh
  (cd "$REPO_DIR" && source tests/aws/setup.sh && setup_moto && printf '%s' "$VENV/bin/python")
}

# An image of a machine that moto has.
some_ami() {
  "$(aws_python)" -c 'import boto3; print(boto3.client("ec2", "eu-central-1").describe_images(Owners=["amazon"])["Images"][0]["ImageId"])'
}

# quiet COMMAND...: shows it, and of what it prints the end alone.
quiet() {
  local log=$DEMO/quiet.log
  typed "$@"
  "$@" >"$log" 2>&1 || { tail -n 40 "$log" >&2; fail "'$*' failed" "$log"; }
  tail -n 3 "$log"
}

# The steps of infra/README.md, in the demo's repository.
bootstrap() {
  (
    cd "$WORK/infra/bootstrap"
    cat >terraform.tfvars <<TEXT
region  = "$REGION"
service = "web"
github  = { organization = "acme", organization_id = "101", repository = "web", repository_id = "202" }
TEXT
    # What moto lacks: bootstrap/variables.tf says each.
    cat >moto.auto.tfvars <<'TEXT'
bucket_policies     = false
deletion_protection = false
force_destroy       = true
state_keep_newest   = null
TEXT
    quiet terraform init -input=false -no-color
    quiet terraform apply -auto-approve -input=false -no-color
    terraform output -raw backend_hcl >../live/backend.hcl
    terraform output -raw backend_tf >backend.tf
    quiet terraform init -input=false -no-color -migrate-state -force-copy -backend-config=../live/backend.hcl
    rm -f terraform.tfstate*
    terraform output -json foundation | python3 -c 'import json, sys; json.dump({"foundation": json.load(sys.stdin)}, sys.stdout)' \
      >../live/foundation.tfvars.json
  )
}
