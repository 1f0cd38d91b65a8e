# Two commands: `make micro` runs the whole method in miniature, `make test` the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The CPU wheel of torch. Where the package index has only GPU builds under this version, pip takes it from pytorch.org.
TORCH ?= torch==2.13.0
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
STAMP := $(VENV)/.installed
# Packages that are to have other versions than in constraints.txt, and which ones.
INSTEAD ?=
EXTRAS ?= dev
# Which tests; all of them where nothing is said.
TESTS ?=

VLLM_VENV := .venv-vllm

.PHONY: micro studies bench test test-slow test-oldest check verify-vllm clean

micro: $(STAMP)
	$(BIN)/xreasoner run recipes/micro.yaml

# The paper's tables that are run with three seeds, one after the other (docs/studies/README.md).
studies: $(STAMP)
	for name in stages domain overlong med; do $(BIN)/xreasoner study $$name || exit 1; done

# Everything that is measured beside other libraries, in an environment that has them; the table goes into the documents.
bench:
	$(MAKE) .venv-bench/.installed VENV=.venv-bench EXTRAS=dev,bench
	rm -rf runs/bench
	.venv-bench/bin/python -m benchmarks --json runs/bench --write README.md docs/performance.md

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 $(TESTS)

test-slow: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m slow

# The oldest transformers of the range in pyproject.toml, which is what vLLM 0.31 brings.
test-oldest:
	$(MAKE) test VENV=.venv-oldest INSTEAD='transformers==5.17.0 huggingface_hub==1.33.0'

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Sampling and training through the real vLLM, built for CPUs, in an environment to throw away (docs/vllm.md).
verify-vllm: $(VLLM_VENV)/.installed
	$(VLLM_VENV)/bin/python tools/verify_vllm/run.py

$(VLLM_VENV)/.installed: tools/verify_vllm/build.py tools/verify_vllm/cpu_patch.py pyproject.toml constraints.txt
	$(PYTHON) tools/verify_vllm/build.py $(VLLM_VENV)
	touch $@

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --retries 1 --extra-index-url $(TORCH_INDEX) $(TORCH)
	grep -v $(foreach each,$(INSTEAD) nothing==0,-e '^$(firstword $(subst ==, ,$(each)))==') constraints.txt >$(VENV)/constraints.txt
	$(BIN)/python -m pip install --quiet --constraint $(VENV)/constraints.txt $(INSTEAD) --editable '.[$(EXTRAS)]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) .venv-oldest .venv-bench $(VLLM_VENV) runs
