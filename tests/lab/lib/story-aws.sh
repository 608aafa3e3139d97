# shellcheck shell=bash
# The two demos on AWS: a host with Terraform, DynamoDB and S3; and three hosts behind a bastion and a load balancer.

# The address of a lab's host in the network that hosts and this machine share: what a private address is in a VPC.
# By its interface: a host that was configured has the addresses of its own engine as well.
inner_address() {
  "$LAB_DIR/lab" ssh --name "$NAME" "host$1" ip -4 -o address show dev eth0 | sed -n '1s,.* inet \([0-9.]*\)/.*,\1,p'
}
# In a private subnet of its zone, where only the bastion gets to.
private_address() { printf '10.213.%d.%d' $((128 + 16 * ($1 % 2))) $((10 + $1)); }
host_key() { cut -d' ' -f1,2 "$LAB_STATE/hosts/host$1/ssh_host_ed25519_key.pub"; }

# make_aws_repository ROOT: the demo's repository with infra/ in it, and the foundation applied.
make_aws_repository() {
  mkdir -p "$WORK"
  (cd "$REPO_DIR" && git ls-files -z --cached --others --exclude-standard infra ledger-schema | tar --null --files-from=- -cf - | tar -C "$WORK" -xf -)
  cat >"$WORK/.gitignore" <<'TEXT'
__pycache__/
.terraform/
.terraform.lock.hcl
/infra/live/backend.hcl
TEXT
  bootstrap
  configuration() { aws_configuration; }
  "$1_variables" >"$WORK/infra/live/production.tfvars"
  ROOT=$1 make_repository
  quiet terraform "-chdir=infra/live/$1" init -input=false -no-color -backend-config=../backend.hcl -backend-config=key=production.tfstate
}

aws_configuration() {
  common_configuration
  cat <<TEXT
[ansible]
directory = "$REPO_DIR/ansible"

[ledger]
url = "dynamodb:relman-ledger"

[artifacts]
url = "s3://relman-web-artifacts-123456789012/web"

[environments.production]
provision = "apply"
drain_seconds = 5
access = { key = "$LAB_SSH_KEY" }
$(if [[ $ROOT == private ]]; then printf 'via = "ssh"\nwave_size = "1"\nfailure_budget = 1\n'; else printf 'via = "ansible"\n'; fi)

[environments.production.terraform]
directory = "infra/live/$ROOT"
var_files = ["infra/live/foundation.tfvars.json", "infra/live/production.tfvars"]
address_source = "private"
TEXT
}

common_variables() {
  cat <<TEXT
region              = "$REGION"
service             = "web"
environment         = "production"
cidr                = "10.213.0.0/16"
ssh_user            = "$LAB_SSH_USER"
ssh_public_key      = "$(cut -d' ' -f1,2 "$LAB_SSH_KEY.pub")"
ssh_sources         = { office = "203.0.113.0/28" }
address_source      = "private"
ami_id              = "$(some_ami)"
deletion_protection = false
TEXT
}

single_variables() {
  common_variables
  cat <<TEXT
hosts = {
  web-1 = { private_ip = "$(inner_address 1)", host_keys = ["$(host_key 1)"] }
}
TEXT
}

private_variables() {
  local n
  common_variables
  printf 'access  = "bastion"\nbastion = { private_ip = "%s", host_keys = ["%s"] }\n' "$(inner_address 4)" "$(host_key 4)"
  printf 'load_balancer = { certificate_arn = "%s" }\nhosts = {\n' "$(some_certificate)"
  for n in 1 2 3; do
    printf '  web-%d = { private_ip = "%s", zone = %d, host_keys = ["%s"] }\n' "$n" "$(private_address "$n")" $((n % 2)) "$(host_key "$n")"
  done
  printf '}\n'
}

some_certificate() {
  "$(aws_python)" -c 'import boto3; print(boto3.client("acm", "eu-central-1").request_certificate(DomainName="web.example.com")["CertificateArn"])'
}

begin_aws() {
  chapter 'An AWS account: moto on this machine. The foundation, by Terraform, with its state in the bucket it makes'
  start_aws moto
  make_aws_repository "$1"
  shell 0 git log --oneline
}

story_aws() {
  begin_aws single

  chapter 'The first deploy: Terraform applies the root single, Ansible configures the host, the ledger is in DynamoDB (0.1.0)'
  shell 0 relman deploy
  served 0.1.0
  start_load

  chapter 'A feature (0.2.0): nothing of the infrastructure moved, so Terraform does not run'
  change_greeting
  shell 0 relman deploy
  served 0.2.0

  chapter 'A change that never gets healthy: it comes back by itself'
  break_health
  shell 3 relman deploy
  served 0.2.0

  chapter '0.2.0 has a bug after all: back to 0.1.0. A rollback never touches the infrastructure'
  shell 0 relman rollback --to v0.1.0 --reason 'the greeting shocks customers'
  served 0.1.0

  chapter 'What the ledger says, out of DynamoDB, and what its anchors in S3 prove'
  shell 0 relman history
  shell 0 relman status
  shell 0 relman verify

  chapter 'The load'
  judge_load
}

story_ha() {
  local n
  for n in 1 2 3 4; do host_shell "$n" ip address add "$(private_address "$n")/17" dev eth0; done
  begin_aws private
  URL=$(balancer_url)

  chapter 'Three private hosts in two zones, reached through the bastion that the outputs name (0.1.0)'
  shell 0 relman deploy
  start_balancer
  served 0.1.0
  start_load

  chapter 'A feature (0.2.0), one host after the other'
  change_greeting
  shell 0 relman deploy
  served 0.2.0

  chapter 'web-3 cannot be reached, and goes on serving: it stays behind (0.3.0), within the failure budget'
  edit web/app.py 'GREETING = "howdy"' 'GREETING = "good day"'
  push_change 'feat: a greeting for everybody'
  host_shell 3 systemctl stop ssh.socket ssh.service
  shell 0 relman deploy
  shell 8 relman status --exit-code
  host_shell 3 systemctl start ssh.service

  chapter 'It is back: the next deploy catches it up, and leaves the others alone'
  shell 0 relman deploy
  served 0.3.0

  chapter 'Back to 0.2.0 on all three at once'
  shell 0 relman rollback --to v0.2.0 --reason 'too formal'
  served 0.2.0
  shell 0 relman history
  shell 0 relman status --exit-code
  shell 0 relman verify

  chapter 'The load, through the load balancer'
  judge_load
}

# As root on a host, without its sshd.
host_shell() {
  local number=$1
  shift
  note "on host$number: $*"
  docker exec "$(docker ps --quiet --filter "name=^relman-lab-$NAME-[0-9a-f]+-host$number\$")" "$@" >/dev/null 2>&1
}

balancer_url() {
  local hosts
  read -ra hosts <<<"$LAB_HOSTS"
  printf 'http://%s' "${hosts[4]}"
  [[ $LAB_HTTP_PORT == 80 ]] || printf ':%s' "$LAB_HTTP_PORT"
}

# moto's load balancer moves no traffic: HAProxy on host5 stands in, as the target group of the configuration would.
start_balancer() {
  local n
  note 'HAProxy on host5 stands in for the load balancer'
  {
    printf 'defaults\n  mode http\n  timeout connect 2s\n  timeout client 60s\n  timeout server 60s\n  retries 3\n  option redispatch\n'
    printf 'frontend in\n  bind :80\n  default_backend web\nbackend web\n  option httpchk GET /healthz\n'
    for n in 1 2 3; do printf '  server web-%d %s:80 check inter 500ms\n' "$n" "$(inner_address "$n")"; done
  } >"$DEMO/balancer.cfg"
  "$LAB_DIR/lab" ssh --name "$NAME" host5 'sudo sh -c "DEBIAN_FRONTEND=noninteractive apt-get install -qq -y haproxy >/dev/null && cat >/etc/haproxy/haproxy.cfg && systemctl restart haproxy"' \
    <"$DEMO/balancer.cfg" >"$DEMO/balancer.log" 2>&1 || fail 'the load balancer did not start' "$DEMO/balancer.log"
  for n in {1..100}; do
    if curl -fsS --max-time 2 "$URL/healthz" >/dev/null 2>&1; then return 0; fi
    sleep 0.1
  done
  fail 'the load balancer does not answer' "$DEMO/balancer.log"
}

epilogue_aws() {
  chapter "Done after $SECONDS s. It is all still up"
  cat <<TEXT
  look        $URL/            what serves now
  go on       source target/$NAME/env.sh && cd target/$NAME/repo
              relman infra plan               what Terraform would change
              relman show production#1        the first deployment, with the infrastructure that it made
              relman doctor                   what a deployment needs, one by one
  a shell     tests/lab/lab ssh --name $NAME host1
  the end     make demo-down ENV=$ENV
TEXT
}
