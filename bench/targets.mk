# Included by the Makefile. CORPUS=DIR names other conversations, MEASURE="small turns" picks measurements.
MEASURE ?=

bench: dev ## Speed and saving beside the bare stack and nginx (about three minutes)
	$(BIN)/python -m bench $(MEASURE)

.PHONY: bench-compression
bench-compression: dev ## What compression saves, and whether anything is lost (CORPUS=DIR; about three minutes)
	$(BIN)/python -m bench.compression --corpus '$(CORPUS)'

.PHONY: bench-headroom
bench-headroom: dev ## The level balanced beside the Headroom library on the same outputs (installs it in .venv-headroom; ten minutes)
	test -x .venv-headroom/bin/python || $(PYTHON) -m venv .venv-headroom
	.venv-headroom/bin/pip install --disable-pip-version-check --quiet headroom-ai==0.42.0
	$(BIN)/python -m bench.rival .venv-headroom/bin/python --corpus '$(CORPUS)'

.PHONY: bench-agents
bench-agents: dev ## What real coding agents save by kind of output, written to docs/agents.md (needs npm; installs 1.6 GB in .venv/bench-agents; three minutes)
	mkdir -p .venv/bench-agents
	cp bench/agents_npm/package.json .venv/bench-agents
	npm install --prefix .venv/bench-agents --no-audit --no-fund --no-package-lock --loglevel=error
	$(BIN)/python -m bench.agents --write docs/agents.md

.PHONY: notations
notations: dev ## Write docs/notations.md anew, after a form was changed
	$(BIN)/python -m bench.notations docs/notations.md

.PHONY: bench-lifecycle
bench-lifecycle: dev ## Failures while workers change under load, and the spread over workers (about three minutes)
	$(BIN)/python -m bench.lifecycle

.PHONY: bench-aborts
bench-aborts: dev ## 10,000 clients that leave, in every phase: what stays open, and how soon the upstream knows (half a minute)
	$(BIN)/python -m bench.aborts

SOAK_SECONDS ?= 240
.PHONY: soak
soak: dev ## Mixed load for SOAK_SECONDS (240); memory at the end must be what it was at one third
	$(BIN)/python -m bench.soak --seconds $(SOAK_SECONDS)

.PHONY: bench-alive
bench-alive: dev ## How soon a worker answers /livez with 50 MB bodies and with compressors that never come back (three minutes)
	$(BIN)/python -m bench.alive

.PHONY: bench-kills
bench-kills: dev ## 2,000 workers killed at random moments: none may stay stuck (ten minutes)
	$(BIN)/python -m bench.kills

.PHONY: bench-recycles
bench-recycles: dev ## 1,000 workers recycled, killed and reloaded: what a scrape costs then, totals, size of the state directory (seven minutes)
	$(BIN)/python -m bench.recycles

.PHONY: bench-store
bench-store: dev ## Requests while Redis is stopped and paused, and how exactly limits are kept over workers and servers (a minute and a half)
	$(BIN)/python -m bench.store

.PHONY: bench-overload
bench-overload: dev ## Twice and four times the load that is taken on: accepted requests, refusals (one minute)
	$(BIN)/python -m bench.overload

.PHONY: totals
totals: dev ## 20,000 requests on four workers under kill -9 and HUP: totals agree, equal the driver's count and never fall (half a minute)
	TOTALS_REQUESTS=20000 $(BIN)/pytest tests/system/test_totals.py

.PHONY: bench-slow-readers
bench-slow-readers: dev ## 1,000 clients that ask for a long answer and do not read it: memory for each, and when they have left (two minutes)
	$(BIN)/python -m bench.slow_readers

.PHONY: bench-adversaries
bench-adversaries: dev ## Odd and hostile bodies: planning, memory, CPU, and what others notice (about ten minutes)
	$(BIN)/python -m bench.adversaries

FUZZ_STREAMS ?= 100000
.PHONY: fuzz-framing
fuzz-framing: dev ## FUZZ_STREAMS (100,000) generated streams through our connections and h11, which must agree (a minute)
	$(BIN)/python -m bench.framing --streams $(FUZZ_STREAMS)

COMMIT ?=
.PHONY: house
house: dev ## The structure of the package in figures (COMMIT=NAME for another commit than the files here; ten seconds)
	$(BIN)/python -m bench.house $(COMMIT)
