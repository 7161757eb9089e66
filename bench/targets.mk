# Included by the Makefile. CORPUS=DIR names other conversations, MEASURE="small turns" picks measurements.
MEASURE ?=

bench: dev ## Speed and saving beside the bare stack and nginx (about three minutes)
	$(BIN)/python -m bench $(MEASURE)

.PHONY: bench-compression
bench-compression: dev ## What compression saves, and whether anything is lost (CORPUS=DIR; about three minutes)
	$(BIN)/python -m bench.compression --corpus '$(CORPUS)'
