# The targets a person types; make help lists them. .ci/run puts them together.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c

VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
TEMPL       := github.com/a-h/templ/cmd/templ@v0.3.977
PLATFORMS   := linux/amd64 linux/arm64 darwin/arm64
MAX_BYTES   := 31457280
CONSOLE     := dashboards/console
# A module of its own: go's ./... does not reach into it.
GRAFANA     := dashboards/grafana/gen
MAX_SCRIPT  := 153600

# What is built twice is the same twice: no paths, no build id, no time, no C.
# gRPC has pages about calls that nothing shows here: they are left out (grpcnotrace). As they
# are made by html/template, the linker could leave out no method of any type with them.
BUILD := CGO_ENABLED=0 go build -tags grpcnotrace -trimpath -buildvcs=false -ldflags '-s -w -buildid= -X main.version=$(VERSION)'

# The real servers that tests start, and the tools that the benchmark does.
TEST_PARTS  := jaeger zipkin prometheus consul haproxy nginx envoy h2spec h2load nghttp curl grpc-client grpc-server chromium
BENCH_PARTS := haproxy nginx wrk h2load

# -p 2: several packages start servers of their own, which need memory and cores too.
TEST_FLAGS ?=
TIMEOUT    ?= 40m
# Any flags of the benchmark: go run ./bench -help.
BENCH_FLAGS ?= -targets
# Of bench-check: the revision to compare with, and any flags (go run ./bench check -help).
BASE ?= main
CHECK_FLAGS ?=
# Any flags of the attacks: go run ./attack/run -help.
ATTACK_FLAGS ?=
# Any flags of the measurement of accuracy: go run ./accuracy -help.
ACCURACY_FLAGS ?=
# Any flags of the stack: bin/hopscope-stack --help.
STACK_FLAGS ?=
SOAK ?= 10m
# A count, not a time: with a time, Go before 1.27 now and then fails a good run at
# its very end (go.dev/issue/75804).
FUZZ_COUNT ?= 20000x

.DEFAULT_GOAL := help

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: build ## build, then see a small mesh name its failing hop (Ctrl-C ends it)
	bin/hopscope demo

.PHONY: stack
stack: build ## the demo's services as processes, with Consul, Jaeger, Zipkin and Prometheus (Ctrl-C ends it)
	go build -o bin/hopscope-stack ./deploy/stack
	exec bin/hopscope-stack $(STACK_FLAGS)

# What follows stack-fault on the command line are names of faults, not targets.
ifeq (stack-fault,$(firstword $(MAKECMDGOALS)))
FAULTS := $(wordlist 2,$(words $(MAKECMDGOALS)),$(MAKECMDGOALS))
.PHONY: $(FAULTS)
$(FAULTS): ; @:
endif

.PHONY: stack-fault
stack-fault: ## list the faults of the stack that runs; stack-fault NAME switches one on, stack-fault off all off
	@go run ./deploy/stack fault $(FAULTS)

.PHONY: build
build: ## build bin/hopscope, a static binary
	$(BUILD) -o bin/hopscope .

# npm ci again only if the lock file has changed.
$(CONSOLE)/node_modules/.package-lock.json: $(CONSOLE)/package-lock.json
	cd $(CONSOLE) && npm ci --no-fund --no-audit --loglevel=error
	touch $@

.PHONY: console
console: $(CONSOLE)/node_modules/.package-lock.json ## build the web console: dashboards/console/dist, which the binary embeds
	cd $(CONSOLE) && npm run --silent build -- --logLevel warn

.PHONY: test-console
test-console: $(CONSOLE)/node_modules/.package-lock.json ## the tests of the web console's logic
	cd $(CONSOLE) && npm run --silent test

.PHONY: check-console
check-console: $(CONSOLE)/node_modules/.package-lock.json ## fail if dashboards/console/dist is not what make console builds
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	cd $(CONSOLE); npm run --silent build -- --logLevel warn --outDir "$$dir/dist"; \
	diff -r dist "$$dir/dist" || { echo '$(CONSOLE)/dist is out of date: run make console and commit it'; exit 1; }; \
	bytes=$$(for f in dist/assets/*.js; do gzip -9c "$$f" | wc -c; done | awk '{ sum += $$1 } END { print sum }'); \
	[ "$$bytes" -le $(MAX_SCRIPT) ] || { echo "the script of the console has $$bytes bytes, compressed: that is more than $(MAX_SCRIPT)"; exit 1; }

.PHONY: test-manifests
test-manifests: ## check deploy/ against the schemas of Kubernetes, Compose, Docker, Nomad and systemd
	for module in deploy/manifests deploy/manifests/nomad; do (cd $$module && go test $(TEST_FLAGS) ./...); done

.PHONY: test
test: test-console test-manifests ## all tests with the race detector, against real servers (installed if missing)
	deploy/backends/setup $(TEST_PARTS) >/dev/null
	go test -run AllocatesNothing ./proxy/listener
	cd $(GRAFANA) && go test -race $(TEST_FLAGS) ./...
	HOPSCOPE_REQUIRE_BACKENDS=1 go test -race -p 2 -timeout $(TIMEOUT) $(TEST_FLAGS) ./...

.PHONY: bench
bench: build ## compare with HAProxy and nginx on this machine
	deploy/backends/setup $(BENCH_PARTS) >/dev/null
	consul=$$(deploy/backends/setup consul | cut -f2) || true; \
	go run ./bench -hopscope bin/hopscope -consul "$$consul" $(BENCH_FLAGS)

.PHONY: bench-check
bench-check: ## fail if a request costs more CPU than in another revision (BASE=main)
	deploy/backends/setup nginx wrk h2load >/dev/null
	go run ./bench check -base $(BASE) $(CHECK_FLAGS)

.PHONY: attack
attack: build ## attack hopscope and HAProxy with little memory and few descriptors (ATTACK_FLAGS=-help)
	deploy/backends/setup haproxy >/dev/null
	go run ./attack/run -hopscope bin/hopscope $(ATTACK_FLAGS)

.PHONY: accuracy
accuracy: build ## inject faults into meshes of real processes, and count how often the right service is blamed
	consul=$$(deploy/backends/setup consul | cut -f2) || true; \
	go run ./accuracy -hopscope bin/hopscope -consul "$$consul" $(ACCURACY_FLAGS)

.PHONY: soak
soak: ## ten minutes of all protocols, streams and resets at once, with the race detector (SOAK=10m)
	HOPSCOPE_SOAK=$(SOAK) go test -race -count 1 -timeout 2h -run '^TestSoak$$' -v ./proxy/conformance/soak

.PHONY: fuzz
fuzz: ## a short run of every fuzz target (FUZZ_COUNT=20000x executions each)
	@grep -rhoE --include='*_test.go' -H '^func Fuzz[A-Za-z0-9_]+' . | sort | \
	while IFS=: read -r file func; do \
		printf 'fuzz %s %s\n' "$$(dirname "$$file")" "$${func#func }"; \
		go test -run '^$$' -fuzz "^$${func#func }$$" -fuzztime $(FUZZ_COUNT) "$$(dirname "$$file")" </dev/null; \
	done

.PHONY: lint
lint: ## gofmt, go vet and staticcheck, none of which may complain
	@bad=$$(gofmt -l .); [ -z "$$bad" ] || { printf 'not gofmt-ed (make fmt does it):\n%s\n' "$$bad"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	cd $(GRAFANA) && go vet ./... && go run $(STATICCHECK) ./...

.PHONY: fmt
fmt: ## gofmt all files
	gofmt -w .

.PHONY: generate
generate: ## write the generated files: the admin API's pages, proxy/config/comments.txt, docs/{config,flags,metrics}.md, Grafana's dashboards, what Kubernetes has of them
	go run $(TEMPL) generate -include-version=false -log-level warn -f proxy/admin/pages.templ
	go run ./docs/generate comments >proxy/config/comments.txt.new
	mv proxy/config/comments.txt.new proxy/config/comments.txt
	go run . config reference >docs/config.md.new
	mv docs/config.md.new docs/config.md
	go run ./docs/generate >docs/flags.md.new
	mv docs/flags.md.new docs/flags.md
	go run ./docs/generate metrics >docs/metrics.md.new
	mv docs/metrics.md.new docs/metrics.md
	cd $(GRAFANA) && go run . ../dashboards
	cd deploy/manifests && go run .

.PHONY: check-generated
check-generated: check-console ## fail if a generated file is not what make generate writes
	@go run $(TEMPL) generate -include-version=false -log-level warn -stdout -f proxy/admin/pages.templ | diff -u proxy/admin/pages_templ.go - && \
		go run ./docs/generate comments | diff -u proxy/config/comments.txt - && go run . config reference | diff -u docs/config.md - && go run ./docs/generate | diff -u docs/flags.md - && \
		go run ./docs/generate metrics | diff -u docs/metrics.md - || \
		{ echo 'this file is out of date: run make generate and commit it'; exit 1; }
	@cd $(GRAFANA) && go run . -check ../dashboards

.PHONY: cross
cross: ## compile everything for every platform
	@for platform in $(PLATFORMS); do \
		echo "compile $$platform"; \
		CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/} go build -pgo=off ./...; \
	done

.PHONY: size
size: build ## fail unless the binary is static and under 30 MiB
	@bytes=$$(wc -c <bin/hopscope); echo "bin/hopscope: $$bytes bytes"; \
	[ "$$bytes" -lt $(MAX_BYTES) ] || { echo "that is more than $(MAX_BYTES)"; exit 1; }
	@! ldd bin/hopscope 2>/dev/null || { echo 'bin/hopscope is not static: it needs the libraries above'; exit 1; }

.PHONY: reproducible
reproducible: build ## fail unless a build elsewhere, with an empty build cache, gives the same bytes
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	tar --exclude=./.git --exclude=./bin --exclude=node_modules -cf - . | tar -xf - -C "$$dir"; \
	cd "$$dir"; GOCACHE="$$dir/.cache" $(BUILD) -o again .; \
	cmp again "$(CURDIR)/bin/hopscope"; echo 'built twice: the same bytes'
