# Thin on purpose: make .venv, put nox into it, call it. `nox -l` lists everything there is.
PYTHON ?= python3
NOX := .venv/bin/nox

.PHONY: help play test clean

help:
	@echo "make play   install, train on the bundled drawings, classify a picture (minutes)"
	@echo "make test   style, types, tests"
	@echo "make clean  remove the environments and caches that these two made"

play: $(NOX)
	@$(NOX) -s play

test: $(NOX)
	@$(NOX)

$(NOX):
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"error: Python 3.11 or newer is needed, but $(PYTHON) is {v[0]}.{v[1]}; run: make PYTHON=python3.11")'
	@$(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt nox

clean:
	rm -rf .nox .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
