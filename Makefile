# Everything anybody needs: `make run` and `make test`. Python 3.11 or newer and make, nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
UV := $(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header --no-emit-index-url --no-emit-find-links

.PHONY: help run test prove requirements

help:
	@echo "make run           set up and start PosSync (PORT, POSSYNC_DATA_DIR, POSSYNC_DEMO=0)"
	@echo "make test          set up and run every check"
	@echo "make prove         the long proof: 10,000 simulated histories (HISTORIES), planted bugs, laws"
	@echo "make requirements  compile the requirements from pyproject.toml anew"

run: $(VENV)/installed
	@exec $(BIN)/python manage.py up

test: $(VENV)/installed-dev
	@exec $(BIN)/python -m scripts.gate

prove: $(VENV)/installed-dev
	@exec $(BIN)/python -m scripts.prove $(HISTORIES)

# A stamp is newer than what it was installed from, so that a second start installs nothing.
$(VENV)/installed: requirements.txt requirements-installer.txt | $(BIN)/python
	$(call install,$<)
	@touch $@

# The development requirements contain the others.
$(VENV)/installed-dev: requirements-dev.txt requirements.txt requirements-installer.txt | $(BIN)/python
	$(call install,$<)
	@touch $(VENV)/installed $@

$(BIN)/python:
	@$(PYTHON) -c 'import ensurepip, venv, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "PosSync needs Python 3.11 or newer with its venv module; $(PYTHON) is not that." \
			"Name another one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# uv installs three times as fast as pip; where there is none for a machine, or it reaches no index, pip does it.
define install
@echo "== install $(1)"; started=$$(date +%s); \
$(PIP) --requirement requirements-installer.txt >/dev/null 2>&1 && \
	$(BIN)/python -m uv pip install --quiet --compile-bytecode --require-hashes --python $(BIN)/python \
		--requirement $(1) 2>/dev/null || \
	log=$$($(PIP) --requirement $(1) 2>&1) || \
	{ echo "$$log" >&2; echo "The packages of $(1) could not be installed; pip's words are above." >&2; exit 1; }; \
echo "   $$(( $$(date +%s) - started )) s"
endef

requirements: | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	echo uv | $(UV) --output-file requirements-installer.txt -
	$(UV) --output-file requirements.txt pyproject.toml
	$(UV) --extra dev --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml
