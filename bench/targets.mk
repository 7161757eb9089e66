# Included by the Makefile. CORPUS=DIR names other conversations, MEASURE="small turns" picks measurements.
MEASURE ?=

bench: dev ## Speed and saving beside the bare stack and nginx (about three minutes)
	$(BIN)/python -m bench $(MEASURE)

.PHONY: bench-compression
bench-compression: dev ## What compression saves, and whether anything is lost (CORPUS=DIR; about three minutes)
	$(BIN)/python -m bench.compression --corpus '$(CORPUS)'

.PHONY: bench-lifecycle
bench-lifecycle: dev ## Failures while workers change under load, and the spread over workers (about three minutes)
	$(BIN)/python -m bench.lifecycle

SOAK_SECONDS ?= 120
.PHONY: soak
soak: dev ## Mixed load for SOAK_SECONDS (120); memory at the end must be what it was at one third
	$(BIN)/python -m bench.soak --seconds $(SOAK_SECONDS)
