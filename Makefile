# The only system tools needed are Python 3.11 or newer and make.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
EXTRAS ?= demo
GROUP ?= dev
WORKERS ?= 3
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed

.PHONY: demo demo-reset test test-pages screenshots lint bench help

help:
	@echo "make demo        the demo site with a PostgreSQL of its own, on 127.0.0.1:$${PORT:-8000}"
	@echo "make demo-reset  throw the demo database away"
	@echo "make test        the whole test-suite (set DATABASE_URL to use a server of yours)"
	@echo "make test-pages  the part of it that opens pages in Chromium"
	@echo "make screenshots the pictures in docs, taken anew by those tests"
	@echo "make lint        ruff, mypy, import-linter, djade"
	@echo "make bench       the benchmarks, beside stock django-pgtrigger"

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "trigger_ops needs Python 3.11 or newer: install it, or say make PYTHON=/path/to/python3." >&2; exit 2; }
	@test -x "$(BIN)/python" || "$(PYTHON)" -m venv "$(VENV)"
	@"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --editable ".[$(EXTRAS)]" $(if $(DJANGO),"$(DJANGO)") --group $(GROUP)
	@touch $@

demo: $(STAMP)
	@exec "$(BIN)/python" manage.py demo

demo-reset: $(STAMP)
	@"$(BIN)/python" -m demo_site.embedded reset

PYTEST = "$(BIN)/python" -W error::ResourceWarning -m pytest -n $(WORKERS) --dist worksteal
# A browser is at work in them: they have a process of their own, and one that never answers is ended.
PAGES = $(PYTEST) -m browser --timeout 300 --timeout-method thread

test: $(STAMP)
	$(PYTEST) $(TESTS)
	$(if $(TESTS),,$(PAGES) tests/browser)

test-pages: $(STAMP)
	$(PAGES) $(or $(TESTS),tests/browser)

screenshots: $(STAMP)
	SCREENSHOTS=1 $(PYTEST) -n 1 -m browser tests/browser/test_screenshots.py

lint: $(STAMP)
	"$(BIN)/ruff" check .
	"$(BIN)/ruff" format --check .
	"$(BIN)/mypy"
	"$(BIN)/lint-imports"
	git ls-files -z -- '*.html' | xargs -0 -r "$(BIN)/djade" --check --target-version 5.2

bench: $(STAMP)
	"$(BIN)/python" -m benchmarks
