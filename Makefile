# make demo | test | run ARGS="dataset=... seeds=3" | status RUN=demo | report RUN=demo | bench | docs | release | lint | format | check | clean
SHELL := /bin/bash
ifneq ($(words $(CURDIR)),1)
$(error The path of this folder has a space in it, and Snakemake starts no job from there: $(CURDIR). Move it to a path without)
endif
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS ?= workflow,annotate,slurm,pixels,encoder,mmseg,nnunet,hact,dev
comma := ,
STAMP := $(VENV)/.installed-$(or $(subst $(comma),-,$(EXTRAS)),alone)
# What a run on this machine with the embedded learner or `pixels` needs; all is more, if it is there.
BASE := $(or $(wildcard $(STAMP)),$(VENV)/.installed-workflow-annotate-pixels)
PIP_ARGS ?=
RUN ?=
FOLDER ?=
NAME ?=
PROFILE ?= local
ARGS ?=
TAKEOVER ?=
DEMO_ARGS ?= dataset=cityscapes_mini run=demo
ANNOTATE_ARGS ?= dataset=cityscapes_mini learner=pixels annotator=human run=annotate-demo region=64x64 budget=3x2 \
	generate="{train: 12, val: 4, height: 256, width: 512}"
TEST_ARGS ?=
SLURM_TESTS ?= slurm
PYTHON_FILES := config decomp_core docs scripts tests

export OMP_NUM_THREADS ?= 1
export PYTHONPATH := $(CURDIR)/scripts$(if $(PYTHONPATH),:$(PYTHONPATH))

.DEFAULT_GOAL := help
.PHONY: help venv demo dataset run annotate annotate-demo check-cluster status report compare test test-fast test-slurm fuzz bench docs release lint format check clean

help:
	@echo 'make demo                   a whole active-learning run on generated street images'
	@echo 'make run ARGS="dataset=..." any run; see docs/compare.md'
	@echo 'make dataset FOLDER=...     looks at a folder of yours and writes config/datasets/NAME.yaml (NAME=...)'
	@echo 'make annotate RUN=mine      people label the regions that a run with annotator=human chose'
	@echo 'make annotate-demo          the same on generated street images'
	@echo 'make check-cluster PROFILE=slurm ARGS="dataset=..."  what in a profile does not fit'
	@echo 'make status RUN=demo        how far a run is, also while it goes on'
	@echo 'make report RUN=demo        its figures, tables and page, also while it goes on; RUN="a b" compares'
	@echo 'make compare                every strategy on the three generated datasets'
	@echo 'make test                   the test suite'
	@echo 'make test-fast              what takes about a minute of it'
	@echo 'make test-slurm             failures on a SLURM cluster of its own (root, Debian)'
	@echo 'make fuzz                   damaged and senseless input, ten thousand at random'
	@echo 'make bench                  the limits of selection, measured into docs/benchmarks; ARGS="--quick"'
	@echo 'make docs                   these pages as a site, in site/index.html'
	@echo 'make release                a wheel and an sdist in dist/, checked; nothing is uploaded'
	@echo 'make lint | format          check, or mend, the style'
	@echo 'make check                  what CI runs'
	@echo 'make clean                  remove caches and build leftovers; results stay'

venv: $(STAMP)

# A changed pin or dependency installs again; an unchanged one costs nothing.
$(VENV)/.installed-%: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-compile $(PIP_ARGS) \
		-c constraints.txt -e '.$(patsubst %,[%],$(subst -,$(comma),$(patsubst alone,,$*)))'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Python 3.11 or later is needed; name it with PYTHON=...' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

demo: $(BASE)
	@$(MAKE) --no-print-directory run ARGS='$(DEMO_ARGS)'
	@$(BIN)/python -m al.cli.results demo

# What SLURM would refuse is told first: Snakemake's own message of it gives no reason.
run: $(if $(filter local,$(PROFILE)),$(BASE),$(STAMP))
	@if grep -qs '^executor: slurm' profiles/$(PROFILE)/config.yaml; then \
		$(BIN)/python -m al.cli.check_cluster --profile profiles/$(PROFILE) -- $(ARGS) \
			| grep '^does not fit'; \
	fi; true
	@$(BIN)/python -m al.cli.launch --profile profiles/$(PROFILE) \
		$(if $(TAKEOVER),--takeover) -- $(ARGS)

# ARGS="classes=road,tree,void": names by value; annotator=human; --replace a file of that name.
dataset: $(BASE)
	@$(BIN)/python -m al.cli.dataset "$(FOLDER)" $(if $(NAME),--name "$(NAME)") $(ARGS)

# People annotate what a run chose, until Ctrl-C; REVIEW=1 shows what they did, NEXT=no starts no cycle.
annotate: $(BASE)
	@$(BIN)/python -m al.cli.annotate $(RUN) $(if $(HOST),--host $(HOST)) $(if $(PORT),--port $(PORT)) \
		$(if $(REVIEW),--review) $(if $(filter no 0,$(NEXT)),--stay)

annotate-demo: $(BASE)
	@$(MAKE) --no-print-directory run ARGS='$(ANNOTATE_ARGS)'
	@$(MAKE) --no-print-directory annotate RUN=annotate-demo

check-cluster: $(STAMP)
	@$(BIN)/python -m al.cli.check_cluster --profile profiles/$(PROFILE) -- $(ARGS)

status: $(BASE)
	@$(BIN)/python -m al.cli.status $(RUN)

report: $(BASE)
	@$(BIN)/python -m al.cli.report $(RUN) $(ARGS)

compare: $(BASE)
	@for task in 2d 3d roi; do \
		$(MAKE) --no-print-directory run \
			ARGS="--configfile config/benchmarks/compare_$$task.yaml" || exit 1; \
	done
	@for task in 2d 3d roi; do $(BIN)/python -m al.cli.results compare-$$task; done

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=40 -m 'not slurm' $(TEST_ARGS)

# About a minute on two cores: settings, choices, scores, what the library refuses.
test-fast: $(STAMP)
	$(BIN)/python -m pytest -q -n 2 -m 'not slow' tests/config tests/scoring \
		tests/strategies/test_choose.py tests/core/test_core_arguments.py $(TEST_ARGS)

# Where SLURM cannot be installed, it says why and tests nothing.
test-slurm: $(STAMP)
	@if $(BIN)/python -m tests.slurm.cluster install; then \
		$(BIN)/python -m pytest -m '$(SLURM_TESTS)' --durations=0 $(TEST_ARGS) tests/slurm; \
	else \
		echo 'no test on a cluster was run'; \
	fi

# Figures count on a machine that does nothing else.
# FUZZ: examples for each of twelve kinds of input; what fails is tried first the next time.
fuzz: $(STAMP)
	FUZZ=$(or $(FUZZ),840) $(BIN)/python -m pytest -n 2 --dist worksteal --hypothesis-show-statistics \
		-p no:warnings --show-capture=no tests/fuzz $(TEST_ARGS)

bench: $(STAMP)
	@$(BIN)/python -m tests.benchmarks.limits $(ARGS)

docs: $(STAMP)
	@$(BIN)/python -c 'import material, mkdocstrings_handlers.python' 2>/dev/null || $(BIN)/python -m pip install \
		--disable-pip-version-check --quiet $(PIP_ARGS) -c constraints.txt -e '.[docs]'
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet && echo 'site/index.html'

release: $(STAMP)
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

lint: $(STAMP)
	$(BIN)/ruff format --check $(PYTHON_FILES)
	$(BIN)/ruff check $(PYTHON_FILES)
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/lint-imports >/dev/null || { $(BIN)/lint-imports; exit 1; }
	$(BIN)/python -m snakemake --lint >/dev/null

format: $(STAMP)
	$(BIN)/ruff check --fix $(PYTHON_FILES)
	$(BIN)/ruff format $(PYTHON_FILES)
	$(BIN)/snakefmt Snakefile rules

check:
	.ci/run

clean:
	rm -rf build dist site *.egg-info .pytest_cache .ruff_cache .hypothesis
	find $(PYTHON_FILES) -name __pycache__ -type d -prune -exec rm -rf {} +
