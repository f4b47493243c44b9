# On a fresh machine `make demo` sets up all and runs the main job; `make test` sets up all and runs the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_QUIET := 1

.PHONY: demo test check tasks ladder-tiny setup setup-dev fonts clean

setup: $(VENV)/.ready
setup-dev: $(VENV)/.ready-dev fonts

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The core: no torch, about 170 MB.
$(VENV)/.ready: pyproject.toml | $(BIN)/python
	$(BIN)/pip install -e .
	touch $@

# The demo's local model, its metrics and its figures.
$(VENV)/.ready-demo: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install -c constraints.txt torch
	$(BIN)/pip install -c constraints.txt -e '.[hf,bertscore,figures,data]'
	touch $@ $(VENV)/.ready

# Everything the tests need. torch comes first and pinned: an unpinned one brings gigabytes of CUDA.
$(VENV)/.ready-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install -c constraints.txt torch
	$(BIN)/pip install -c constraints.txt -e '.[dev]'
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get -qq update && \
	  apt-get -qq install -y --no-install-recommends chromium fonts-wqy-microhei; } || \
	  echo "chromium is missing: the browser tests will be skipped (in CI: fail)"
	touch $@ $(VENV)/.ready $(VENV)/.ready-demo

# A font for Chinese labels in figures. Without one labels are English, and the tests that need it are skipped.
FONT := /usr/share/fonts/truetype/wqy/wqy-microhei.ttc
ROOT := $(if $(filter 0,$(shell id -u)),,sudo -n)
fonts:
	@test -e $(FONT) || ! command -v apt-get >/dev/null || \
	  { $(ROOT) apt-get install -y -qq --no-install-recommends fonts-wqy-microhei >/dev/null 2>&1 || \
	    { $(ROOT) apt-get update -qq && $(ROOT) apt-get install -y -qq --no-install-recommends fonts-wqy-microhei; } >/dev/null 2>&1 || \
	    echo "no Chinese font for figures: apt-get install fonts-wqy-microhei"; }

# The model that ships goes the whole way offline: asked, read, scored with every metric, ranked and drawn, beside two guessers. It has
# read the facts that the bundled suite asks, so it has no rank. It is BERTScore's encoder as well, and the signature names it.
DEMO := results/demo
TINY := ladder_trainer/checkpoints/ladder_tiny
demo: $(VENV)/.ready-demo fonts
	OMP_NUM_THREADS=1 $(BIN)/tcm-eval run --model ladder-tiny --model guess --model echo/first --tasks tcm_core --limit 20 \
	  --max-tokens 160 --encoder $(TINY) --encoder-layer 2 --output $(DEMO)
	$(BIN)/tcm-eval leaderboard --output $(DEMO)
	$(BIN)/tcm-eval figures $(DEMO) --output $(DEMO)/figures
	@echo "Every answer, as pages: $(BIN)/tcm-eval view --output $(DEMO)"

test: setup-dev check
	OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python -m pytest

check: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Makes ladder-tiny anew from random weights, judges it and puts it into the package: about 40 minutes of one core, 16 of them for the
# second figure, without the test's facts. Its stages are so many updates from one seed, so the same machine and packages give the same
# weights bit for bit. Stopped and called again it goes on: a finished stage in build/ladder-tiny is not done again.
NEW := build/ladder-tiny
ladder-tiny: setup-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m ladder_trainer.tiny --output $(NEW)/withheld --withhold test --until supervised
	OMP_NUM_THREADS=1 $(BIN)/python -m ladder_trainer.tiny --output $(NEW)/whole --until publish --withheld $(NEW)/withheld/supervised

# Makes the bundled suite anew from the knowledge base; the same facts give the same bytes.
tasks: setup
	$(BIN)/python -m tools.make_tasks

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
