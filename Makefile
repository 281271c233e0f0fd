# Two commands do everything: `make study` and `make test`. Each sets up .venv first, once.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
BENCH := results/bench
CONFIG ?= config/config.yaml
CONDA ?= conda

.PHONY: study test check report hazards nano-report bench bench-data env-cuda clean

study: $(READY)  ## the default study, to every table; `snakemake -n` explains what it would do
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --quiet all

test: $(READY)  ## the tests
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadgroup

KERNELS := .venv-kernels
.PHONY: test-kernels test-kernels-full
test-kernels: $(KERNELS)/ready  ## kernels for GPUs, interpreted on the CPU, against torch
	TRITON_INTERPRET=1 $(KERNELS)/bin/python -m pytest -n 2 -m "kernels and not full_size" tests/kernels

test-kernels-full: $(KERNELS)/ready  ## the same at full size, and compiled for A100 and H100
	TRITON_INTERPRET=1 $(KERNELS)/bin/python -m pytest -n 2 -m kernels tests/kernels

check: $(READY)  ## style, types and the workflow's own linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

report: $(READY)  ## Snakemake's report on a finished study: tables, figures, what made them
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --report report.zip --configfile $(CONFIG)

# Interactive figures, which hold the library that draws them, are made but not committed.
nano-report: study  ## renew the committed output of the default study
	rm -rf reports/nano && mkdir -p reports/nano
	cp -r $(addprefix results/nano/,tables figures report.md explorer.html) reports/nano/
	rm reports/nano/figures/*.html
	cp $(wildcard results/nano/*claims.* results/nano/findings.* results/nano/audit.*) reports/nano/

hazards: $(READY)  ## what each published defect costs the small models; renews reports/hazards
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --configfile config/hazards.yaml --quiet all
	mkdir -p reports/hazards/figures
	cp results/hazards/hazards.md results/hazards/hazards.csv reports/hazards/
	cp $(addprefix results/hazards/figures/hazard_waterfall,.svg .png) reports/hazards/figures/

bench: $(BENCH)/ready  ## the engine beside transformers and lm-evaluation-harness; an hour and more
	$(BIN)/needlework bench $(BENCH)/engine.json --harness $(BENCH)/venv/bin/python

# The harness beside our environment, not in it: it sees the same torch and transformers.
$(BENCH)/ready: $(READY)
	$(BIN)/python -m venv --clear --without-pip $(BENCH)/venv
	SITE='import sysconfig; print(sysconfig.get_path("purelib"))'; \
	  $(BIN)/python -c "$$SITE" > "$$($(BENCH)/venv/bin/python -c "$$SITE")/needlework-environment.pth"
	PIP=$(BIN)/python; $(BIN)/python -m pip --version >/dev/null 2>&1 || PIP=$(PYTHON); \
	  $$PIP -m pip --python $(BENCH)/venv/bin/python install -c constraints.txt lm_eval==0.4.13 accelerate==1.15.0
	@touch $@

# Beside our environment, not in it: it sees the same torch, whose own pin of triton (where torch is
# built for CUDA) is another one. The packages are installed without their compiled halves.
$(KERNELS)/ready: $(READY) envs/kernels.txt
	$(BIN)/python -m venv --clear --without-pip $(KERNELS)
	SITE='import sysconfig; print(sysconfig.get_path("purelib"))'; \
	  { $(BIN)/python -c "$$SITE"; echo "$(CURDIR)/src"; } \
	  > "$$($(KERNELS)/bin/python -c "$$SITE")/needlework-environment.pth"
	PIP=$(BIN)/python; $(BIN)/python -m pip --version >/dev/null 2>&1 || PIP=$(PYTHON); \
	  CAUSAL_CONV1D_SKIP_CUDA_BUILD=TRUE CAUSAL_CONV1D_FORCE_BUILD=TRUE \
	  FLASH_ATTENTION_SKIP_CUDA_BUILD=TRUE FLASH_ATTENTION_FORCE_BUILD=TRUE \
	  MAMBA_SKIP_CUDA_BUILD=TRUE MAMBA_FORCE_BUILD=TRUE \
	  $$PIP -m pip --python $(KERNELS)/bin/python install --no-deps --no-build-isolation \
	  --no-cache-dir -r envs/kernels.txt
	@touch $@

bench-data: $(READY)  ## what released datasets cost, beside the artifact (after `needlework fetch`)
	$(BIN)/needlework bench-data results/bench-data.md \
	  --tokenizer resources/external/tokenizers/gpt-neox-20b \
	  $(if $(NEEDLEWORK_SHARED),--golden $(NEEDLEWORK_SHARED)/golden)

# Kernels are built against the torch that is there, one after the other, as envs/cuda.yaml says.
env-cuda:  ## the environment for NVIDIA GPUs, in .conda, where conda and nvcc are (not yet built)
	$(CONDA) env create --prefix .conda --file envs/cuda.yaml
	$(CONDA) run --prefix .conda python -m pip install --no-deps -e .
	sed -n 's/^# *pip install --no-build-isolation --no-deps //p' envs/cuda.yaml | \
	  xargs -n 1 env MAX_JOBS=8 TORCH_CUDA_ARCH_LIST=8.0 FLASH_ATTN_CUDA_ARCHS=80 \
	  $(CONDA) run --prefix .conda python -m pip install --no-build-isolation --no-deps

clean:  ## what the study made; the environment stays
	rm -rf results logs benchmarks .snakemake

# A Debian without python3-venv has no ensurepip: the pip of the system then fills the environment.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "needlework: $(PYTHON) is older than Python 3.11; use make PYTHON=python3.11" >&2; exit 2; }
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
	  $(PYTHON) -m venv .venv && $(BIN)/python -m pip install -c constraints.txt -e '.[dev]'; \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then \
	  $(PYTHON) -m venv --without-pip .venv && \
	  $(PYTHON) -m pip --python $(BIN)/python install -c constraints.txt -e '.[dev]'; \
	else \
	  echo "needlework: $(PYTHON) has neither venv nor pip; install python3-venv" >&2; exit 2; \
	fi
	@touch $@
