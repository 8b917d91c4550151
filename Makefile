# Everything anybody needs: `make run` and `make test`. Python 3.11 or newer and make, nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
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
$(VENV)/installed: requirements.txt | $(BIN)/python
	$(call install,$<)
	@touch $@

# The development requirements contain the others.
$(VENV)/installed-dev: requirements-dev.txt requirements.txt | $(BIN)/python
	$(call install,$<)
	@touch $(VENV)/installed $@

$(BIN)/python:
	@$(PYTHON) -c 'import ensurepip, venv, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "PosSync needs Python 3.11 or newer with its venv module; $(PYTHON) is not that." \
			"Name another one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

define install
@echo "== install $(1)"; started=$$(date +%s); \
log=$$($(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(1) 2>&1) || \
	{ echo "$$log" >&2; echo "The packages of $(1) could not be installed; pip's words are above." >&2; exit 1; }; \
echo "   $$(( $$(date +%s) - started )) s"
endef

requirements: | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(UV) --output-file requirements.txt pyproject.toml
	$(UV) --extra dev --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml
