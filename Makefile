# Everything that people and CI run. `make` or `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CARGO ?= cargo
# release: what is installed. dev: quick to build, for the demo and the lab suite.
PROFILE ?= release
TRIPLE := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
BIN := target/bin/$(PROFILE)
BUILT := $(TARGET_DIR)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
RUN := tests/lab/run

.PHONY: help
help: ## show this list
	@printf 'relman: what you can make\n\n'
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{ printf "  %-15s %s\n", $$1, $$2 }'
	@printf '\nmake demo keeps its lab up (KEEP=0 takes it down); make test takes its own down (KEEP=1 leaves it up)\n'

# relman-host runs on hosts with an older C library than this machine's: it brings its own.
.PHONY: build
build: ## build relman and relman-host side by side into target/bin/release (PROFILE=dev: target/bin/dev)
	$(CARGO) build --locked --profile $(PROFILE) --bin relman
	RUSTFLAGS='-C target-feature=+crt-static' $(CARGO) build --locked --profile host --no-default-features \
	  --target $(TRIPLE) --bin relman-host
	@mkdir -p $(BIN)
	@install -m 0755 $(BUILT)/relman $(TARGET_DIR)/$(TRIPLE)/host/relman-host $(BIN)/
	@printf 'built %s/relman and %s/relman-host\n' $(BIN) $(BIN)

.PHONY: demo
demo: ## the whole story on one machine, under load (ENV=aws: from Terraform, on DynamoDB and S3; ENV=ha: three hosts)
	@ENV=$(ENV) tests/lab/demo up

.PHONY: demo-down
demo-down: ## remove every trace of the demo (of another one: ENV=aws, ENV=ha)
	@ENV=$(ENV) tests/lab/demo down

.PHONY: test
test: ## everything: format, lints, unit, contract, property, snapshot, the service, AWS, Terraform, and the lab suite
	@$(RUN) all

.PHONY: test-fast
test-fast: ## everything that needs no lab
	@$(RUN) fast

.PHONY: test-lab
test-lab: ## the lab suite alone: real registry, sshd, systemd, Ansible, Docker and HAProxy
	@$(RUN) lab

.PHONY: test-aws
test-aws: ## the AWS path on emulators: DynamoDB ledger and S3 artifacts on moto and dynoxide
	@tests/aws/run

.PHONY: soak
soak: ## every case of what make test runs a part of: each network fault at each call (docs/soak)
	@$(RUN) soak

.PHONY: test-terraform
test-terraform: ## the tests over the real Terraform, offline; fails where there is none
	@command -v terraform >/dev/null || { printf 'test-terraform: there is no terraform on PATH\n' >&2; exit 1; }
	@$(CARGO) test --locked --lib --test it -- --ignored infra:: --skip infra::autoscaling::

.PHONY: test-monitoring
test-monitoring: ## monitoring/: each alert shown firing and silent, routes, each query of the dashboards has data
	@tests/monitoring/run

.PHONY: pictures
pictures: ## draw the dashboards into docs/dashboards/, from what their queries return in the tests
	@tests/monitoring/run pictures

.PHONY: test-infra
test-infra: ## the Terraform suite against moto (FAST=1: the root single alone); needs Terraform
	@tests/infra/run $(if $(FAST),--fast)

.PHONY: lint-infra
lint-infra: ## formatting, validation and checkov of infra/; changes nothing
	@tests/infra/run lint

.PHONY: lint
lint: ## formatting and lints of Rust, crates, Python, shell, roles, the history and monitoring/; changes nothing
	@$(RUN) lint

.PHONY: advisories
advisories: ## known vulnerabilities of the crates, by the database of RustSec; needs the network
	@$(RUN) advisories

.PHONY: fmt
fmt: ## format Rust and Python
	@$(RUN) fmt

.PHONY: bench
bench: ## measure, and write docs/performance.md
	@$(RUN) bench

.PHONY: test-service
test-service: ## the tests of the service in app/
	@$(RUN) service

# What the jobs of the pipeline run (docs/pipeline.md); not listed here.
include $(dir $(lastword $(MAKEFILE_LIST))).github/ci.mk
