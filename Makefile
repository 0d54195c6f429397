# An index of plain go commands. `make help` lists the targets; each recipe is
# what you would type yourself.

GO       ?= go
FUZZTIME ?= 3s
VERSION  ?=
BENCH    ?=

.PHONY: help build test race-ready postgres-ready prometheus-ready format vet check-specs fuzz bench bench-go profile lint clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/runner, one static binary (VERSION=1.2.3 names a release)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w$(if $(VERSION), -X main.version=$(VERSION))" -o bin/runner ./cmd/runner

# Without fuzz: what is found by chance must not turn a gate red by chance. What
# it has found stays in testdata/fuzz, and every test run tries that.
test: race-ready postgres-ready prometheus-ready format vet check-specs ## everything, as CI runs it: format, vet, specs, tests with the race detector
	$(GO) test -pgo=off -race -timeout 40m ./...
	$(GO) test -pgo=off -count=1 -run TestHostileCorpusTakesLittleMemory ./pkg/exec

# The race detector is written in C++ and linked by the C compiler.
race-ready:
	@command -v "$$($(GO) env CC)" >/dev/null || { echo "make test needs a C compiler for the race detector: apt-get install gcc libc6-dev" >&2; exit 1; }

# The tests start a private server of their own, from whatever is installed.
postgres-ready:
	@.ci/has-postgres || { echo "make test needs the PostgreSQL server: apt-get install postgresql" >&2; exit 1; }

prometheus-ready:
	@command -v prometheus >/dev/null || { echo "make test needs the program prometheus: apt-get install prometheus" >&2; exit 1; }

format: ## fail on Go files that gofmt would change
	@changed="$$(gofmt -l .)"; test -z "$$changed" || { echo "not formatted, run gofmt -w on:" $$changed >&2; exit 1; }

vet: ## go vet, for this system and for those that have no loop driver
	$(GO) vet -pgo=off ./...
	GOOS=darwin $(GO) vet -pgo=off ./...
	GOOS=windows $(GO) vet -pgo=off ./...

check-specs: ## every fault of the specs of this repository
	$(GO) run -pgo=off ./cmd/runner check specs/*.yaml

fuzz: ## every fuzz target for FUZZTIME, one after the other (FUZZTIME=1m), as CI does each night
	@GO="$(GO)" .ci/fuzz "$(FUZZTIME)"

bench: ## the runner beside other generators, into bench/RESULTS.md (BENCH="-within 30m", see -help)
	$(GO) run ./bench $(BENCH)

bench-go: ## the benchmarks of single functions, with allocations
	$(GO) test -run '^$$' -bench . -benchmem ./...

# What `go build` makes the hot path of (profile-guided optimisation). A profile
# of each of these runs, merged: see CONTRIBUTING.md.
profile: ## renew cmd/runner/default.pgo from profiles in PROFILES (run --cpu-profile)
	$(GO) tool pprof -proto $(PROFILES) > default.pgo
	mv default.pgo cmd/runner/default.pgo

lint: format vet ## format, vet and staticcheck (downloads staticcheck)
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

clean: ## remove what builds and runs have left
	rm -rf bin results coverage.out
