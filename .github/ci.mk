# What the jobs of .github/workflows run: each step is one of these, so that it can be run on a laptop too. Everything
# comes by the environment; nothing that a user typed is ever part of a line of shell.
SSH_KEY_FILE := $(or $(RUNNER_TEMP),/tmp)/relman-ssh-key
RELMAN := relman
# What an attended deploy of another push may take.
LOCK_WAIT := 15m

# Puts the key where the configuration of this run looks for it, if there is one.
define with_key
umask 077; \
upper=$$(printf '%s' "$$ENVIRONMENT" | tr 'a-z-' 'A-Z_'); \
if [[ -n $${SSH_KEY:-} ]]; then \
  printf '%s\n' "$$SSH_KEY" >'$(SSH_KEY_FILE)'; \
  trap 'rm -f "$(SSH_KEY_FILE)"' EXIT; \
  export "RELMAN_ENVIRONMENTS__$${upper}__ACCESS__KEY=$(SSH_KEY_FILE)"; \
fi; \
unset SSH_KEY;
endef

.PHONY: ci-login
ci-login: # REGISTRY, REGISTRY_USER, REGISTRY_TOKEN; with ECR the role's own token
	@if [[ $$REGISTRY == *.dkr.ecr.*.amazonaws.com* ]]; then \
	  aws ecr get-login-password | docker login "$$REGISTRY" --username AWS --password-stdin; \
	else \
	  printf '%s' "$$REGISTRY_TOKEN" | docker login "$$REGISTRY" --username "$$REGISTRY_USER" --password-stdin; \
	fi

.PHONY: ci-release
ci-release: # BRANCH: main makes a release, feature/NAME a pre-release that is never latest
	@if [[ $$BRANCH == feature/* ]]; then \
	  label=$$(printf '%s' "$${BRANCH#feature/}" | tr -c 'a-zA-Z0-9' '-' | cut -c 1-20); \
	  $(RELMAN) release --prerelease "$${label#-}"; \
	else \
	  $(RELMAN) release; \
	fi

.PHONY: ci-deploy
ci-deploy: # ENVIRONMENT: staging gets the commit that is checked out, production what staging serves
	@$(with_key) \
	if [[ $$ENVIRONMENT == production ]]; then \
	  $(RELMAN) deploy --from staging --env production --lock-wait $(LOCK_WAIT); \
	else \
	  $(RELMAN) deploy --env "$$ENVIRONMENT" --lock-wait $(LOCK_WAIT); \
	fi

.PHONY: ci-rollback
ci-rollback: # ENVIRONMENT, TO (may be empty), REASON
	@$(with_key) \
	if [[ -n $$TO ]]; then \
	  $(RELMAN) rollback --env "$$ENVIRONMENT" --yes --to="$$TO" --reason="$$REASON"; \
	else \
	  $(RELMAN) rollback --env "$$ENVIRONMENT" --yes --reason="$$REASON"; \
	fi

.PHONY: ci-resume
ci-resume: # ENVIRONMENT
	@$(with_key) $(RELMAN) resume --env "$$ENVIRONMENT" --lock-wait $(LOCK_WAIT)

.PHONY: ci-decide
ci-decide: # ENVIRONMENT, DEPLOYMENT, DECISION (approve or reject), REASON
	@if [[ $$DECISION == reject ]]; then \
	  $(RELMAN) reject --env "$$ENVIRONMENT" --reason="$$REASON" -- "$$DEPLOYMENT"; \
	else \
	  $(RELMAN) approve --env "$$ENVIRONMENT" --reason="$$REASON" -- "$$DEPLOYMENT"; \
	fi

# Terraform itself: the role that plans may not lock the state, and neither role may open the ledger, on purpose.
# `relman infra` does both.
.PHONY: ci-infra-init
ci-infra-init: # ENVIRONMENT, BACKEND_HCL
	@infra/pipeline.sh init

.PHONY: ci-infra-plan
ci-infra-plan: # ENVIRONMENT, BACKEND_HCL, FOUNDATION: into target/infra/pipeline.tfplan
	@infra/pipeline.sh plan

.PHONY: ci-infra-apply
ci-infra-apply: # ENVIRONMENT, BACKEND_HCL: that plan, and nothing else
	@infra/pipeline.sh apply

.PHONY: ci-infra-drift
ci-infra-drift: # ENVIRONMENT, BACKEND_HCL, FOUNDATION: red when there is a difference
	@infra/pipeline.sh drift

.PHONY: ci-drift
ci-drift: # ENVIRONMENT: both are asked, and any difference is red
	@$(with_key) \
	failed=0; \
	$(RELMAN) status --env "$$ENVIRONMENT" --exit-code || failed=$$?; \
	$(RELMAN) verify --env "$$ENVIRONMENT" || failed=$$?; \
	exit "$$failed"

.PHONY: dist
dist: build # VERSION: both binaries of this machine's kind, in an archive
	@[[ $$VERSION =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$$ ]] || { echo 'VERSION is not vX.Y.Z'; exit 2; }
	@mkdir -p target/dist
	@tar -czf "target/dist/relman-$$VERSION-$$(uname -m)-linux.tar.gz" -C target/bin/release relman relman-host
	@printf 'packed %s\n' target/dist/*.tar.gz

.PHONY: ci-publish
ci-publish: # VERSION: the archives of target/dist with their checksums, as a release of the tag
	@cd target/dist && sha256sum ./*.tar.gz | sed 's|\./||' >SHA256SUMS
	@gh release create "$$VERSION" --verify-tag --generate-notes target/dist/*.tar.gz target/dist/SHA256SUMS
