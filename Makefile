# What a checkout can do. Needs Python 3.11 or newer, make, and a package registry.
#
#   make run      a living system: the programs of conf.d/, in the foreground
#   make test     the tests
#   make chaos    kill -9 the daemon for minutes, under load: CHAOS_ROUNDS=60 CHAOS_SEED=…
#   make demo-crash  see in a minute what happens when the daemon is killed
#   make fuzz     nonsense for the control socket, the gateway, the converter: FUZZ_SECONDS=60 a test
#   make vm       real limits and a real death for want of memory, on a kernel of their own in QEMU:
#                 VM_TESTS="tests/functional/test_real_limits.py -k cpu"; SUPERVISOR_LITE_SUITE=trixie
#   make check    everything that has to be green: format, lint, types, layers, tests
#   make coverage which branches the tests take, the daemon's and all other processes included;
#                 COVERAGE_TESTS="tests/rules tests/config" measures what these take
#   make coverage-rooms  the same for the folders that need no daemon, in two minutes
#   make check-python  make check under another Python: PYTHON=/path/to/python3.14
#   make bench    the measurements of docs/performance.md
#   make soak     a million restarts, and nothing may grow: SOAK_RESTARTS=1000000
#   make release-check TAG=v1.2.3   may this checkout be released under that tag? docs/releasing.md
#   make deb      a Debian package in dist/; see packaging/README.md
#   make clean    remove what the others made

PYTHON ?= python3
# Most tests wait for something: twice as many workers as the machine of the checks has processors.
JOBS ?= 4
CHAOS_ROUNDS ?= 60
FUZZ_SECONDS ?= 60
SOAK_RESTARTS ?= 1000000

VENV := .venv
BIN := $(VENV)/bin
# Names for what make would take for its own syntax.
comma := ,
space := $(subst ,, )

PYTEST := $(BIN)/python -m pytest -n $(JOBS)

.PHONY: run test chaos demo-crash fuzz vm check coverage coverage-rooms check-python bench soak deb \
	release-check venv clean
.DELETE_ON_ERROR:

run: $(VENV)/.installed
	@echo
	@echo 'supervisor-lite runs the programs of conf.d/. Talk to it from another terminal:'
	@echo
	@echo '    $(CURDIR)/$(BIN)/slctl -c $(CURDIR)/conf.d status'
	@echo '    $(CURDIR)/$(BIN)/slctl -c $(CURDIR)/conf.d logs -f'
	@echo
	@echo 'Ctrl-C stops everything.'
	@echo
	@exec $(BIN)/supervisor-lite -c conf.d

test: $(VENV)/.installed-dev
	$(PYTEST)

chaos: $(VENV)/.installed-dev
	CHAOS_ROUNDS=$(CHAOS_ROUNDS) $(BIN)/python -m pytest -s tests/chaos

demo-crash: $(VENV)/.installed
	@$(BIN)/python -m tests.chaos.demo

fuzz: $(VENV)/.installed-dev
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m pytest $(wildcard tests/*/test_*fuzz.py)

vm: $(VENV)/.installed-dev
	$(BIN)/python -m tests.vm $(VM_TESTS)

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST)

# What a process writes goes to .coverage/, wherever it runs and whoever it is by then.
coverage: $(VENV)/.installed-dev
	rm -rf .coverage && mkdir -m 1777 .coverage
	$(BIN)/coverage run -m pytest -n $(JOBS) $(COVERAGE_TESTS); code=$$?; \
	$(BIN)/coverage combine --quiet && $(BIN)/coverage report $(COVERAGE_REPORT) && exit $$code

ROOMS := rules explain config migrate store core protocol

coverage-rooms:
	@$(MAKE) --no-print-directory coverage COVERAGE_TESTS="--quiet $(ROOMS:%=tests/%)" \
	    COVERAGE_REPORT="--include=$(subst $(space),$(comma),$(ROOMS:%=supervisor_lite/%/*))"

# An environment of its own beside .venv, named after the version: .venv-3.14.
check-python:
	@version=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])') && \
	$(MAKE) check PYTHON=$(PYTHON) VENV=.venv-$$version

bench: $(VENV)/.installed-dev
	$(BIN)/python -m tests.bench

soak: $(VENV)/.installed-dev
	SOAK_RESTARTS=$(SOAK_RESTARTS) $(BIN)/python -m tests.bench.soak

deb: $(VENV)/.python
	$(BIN)/python packaging/deb/build.py --output dist

release-check: $(VENV)/.python
	$(BIN)/python packaging/release.py $(TAG)

venv: $(VENV)/.installed-dev

clean:
	rm -rf .venv .venv-* dist .run .coverage .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "cannot use \"$(PYTHON)\": Python 3.11 or newer is needed;" \
	         "name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { \
	    echo "cannot make $(VENV): is the venv module missing? Debian: apt install python3-venv" >&2; \
	    rm -rf $(VENV); exit 1; }
	@touch $@

$(VENV)/.installed: $(VENV)/.python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.installed
