# Two commands do everything: `make study` and `make test`. Each sets up .venv first, once.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: study test check bench-data clean nano-report

study: $(READY)  ## the default study, to every table; `snakemake -n` explains what it would do
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --quiet all

test: $(READY)  ## the tests
	$(BIN)/python -m pytest -n auto --maxprocesses 8

check: $(READY)  ## style, types and the workflow's own linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

nano-report: study  ## renew the committed output of the default study
	rm -rf reports/nano && mkdir -p reports/nano
	cp -r $(addprefix results/nano/,tables figures report.md) reports/nano/
	cp $(wildcard results/nano/*claims.* results/nano/findings.* results/nano/audit.*) reports/nano/

bench-data: $(READY)  ## what released datasets cost, beside the artifact (after `needlework fetch`)
	$(BIN)/needlework bench-data results/bench-data.md \
	  --tokenizer resources/external/tokenizers/gpt-neox-20b

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
