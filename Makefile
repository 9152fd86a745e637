# Headgate: `make serve` runs it, `make test` shows that it works. Nothing but Python >= 3.11 is needed.
# Of the interpreters in PATH the first that was built for speed, as far as it shows: with Debian's, a request takes a sixth less time than
# with a plain build behind a shared library.
FAST := import ensurepip, sys, sysconfig as s; fast = "--enable-optimizations" in (s.get_config_var("CONFIG_ARGS") or "") \
	or sys.platform == "linux" and "libpython" not in open("/proc/self/maps").read()
PYTHON ?= $(shell IFS=:; for need in "and fast" ""; do for name in python3.11 python3.13 python3.12 python3; do for at in $$PATH; do \
	test -x $$at/$$name && $$at/$$name -c '$(FAST)'"; sys.exit(not (sys.version_info >= (3, 11) $$need))" 2>/dev/null \
	&& { echo $$at/$$name; exit; }; done; done; done)
RUN := .venv/bin
export HOST PORT HEADGATE_DATA HEADGATE_CONFIG

.PHONY: serve test check bench format lock docs clean

serve: .venv/run.stamp
	@$(RUN)/headgate serve

test: .venv/dev.stamp
	$(RUN)/pytest -n 2 --dist loadfile

check: .venv/dev.stamp
	$(RUN)/ruff format --check src tests bench docs
	$(RUN)/ruff check src tests bench docs
	$(RUN)/mypy
	$(RUN)/pytest tests/test_architecture.py tests/test_pages.py

format: .venv/dev.stamp
	$(RUN)/ruff format src tests bench docs
	$(RUN)/ruff check --fix src tests bench docs

bench: .venv/dev.stamp
	$(RUN)/python bench/run.py

docs: .venv/dev.stamp
	for script in docs/generate_*.py; do $(RUN)/python $$script || exit 1; done

lock: .venv/dev.stamp
	$(RUN)/pip install -q uv
	$(RUN)/uv pip compile -q pyproject.toml --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header -o requirements/run.lock
	$(RUN)/uv pip compile -q pyproject.toml --group dev --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header -o requirements/dev.lock
	$(RUN)/uv pip compile -q requirements/build.in --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header -o requirements/build.lock

.venv/run.stamp: requirements/run.lock requirements/build.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Headgate needs Python 3.11 or newer"; exit 1; }
	@test -x $(RUN)/python || $(PYTHON) -m venv .venv
	@$(RUN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/build.lock -r requirements/run.lock
	@$(RUN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev.stamp: .venv/run.stamp requirements/dev.lock
	@$(RUN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

clean:
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
