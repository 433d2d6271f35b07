# What this project does by name. `make demo` and `make test` do all their set-up themselves.
SHELL := /bin/sh
VENV := .venv
PYTHON := $(VENV)/bin/python
# Chinese on any terminal, also where the locale is an old one.
export PYTHONUTF8 := 1
# Where this is set every process that a test starts compiles all of it anew, half a second each.
unexport PYTHONDONTWRITEBYTECODE
# For `make demo OPTIONS="--port-base 9000"` and `make test ARGS="tests/test_demo.py -k port"`.
OPTIONS ?=
ARGS ?=
# Tests at once: most of them wait for a process or a page, so there are more than processors.
JOBS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); [ "$$n" -gt 4 ] && n=4; echo $$((2 * n)))

.PHONY: help demo test unit bench lab check lock picture clean
help:
	@echo 'make demo     一条命令：装好所需，在本机启动县级监测和两个窗口（Ctrl-C 结束）'
	@echo 'make test     run every test, installing first what they need'
	@echo 'make unit     run those that are pure and quick: no process, browser, broker or database'
	@echo 'make bench    measure against the goals, beside mqtt-io'
	@echo 'make lab      in a virtual machine with a Pi'"'"'s devices: installed as the README says, pressed, unplugged, cut off (root)'
	@echo 'make picture  make the picture in README.md anew'
	@echo 'make check    ruff check, ruff format --check, mypy --strict'
	@echo 'make lock     renew requirements/*.txt from pyproject.toml (UPGRADE=1 for newer versions)'
	@echo 'sudo make install, sudo make install-county     put it on this Pi, or on the county'"'"'s machine'

# exec: Ctrl-C and a stop reach the demo itself, with no shell between that could end before it.
demo:
	@.ci/venv demo
	@exec $(PYTHON) -m appliance demo $(OPTIONS)

test:
	@.ci/venv test
	@.ci/packages
	@exec $(PYTHON) -m pytest -n $(JOBS) --dist loadgroup $(ARGS)

unit:
	@.ci/venv test
	@exec $(PYTHON) -m pytest -q -n 2 --dist worksteal -m unit $(ARGS)

bench:
	@.ci/venv bench
	@.ci/packages
	@exec $(PYTHON) -m tests.bench $(ARGS)

lab:
	@.ci/venv county
	@exec $(PYTHON) -m tests.lab $(ARGS)

picture:
	@.ci/venv test
	@.ci/packages
	@exec $(PYTHON) -m tests.pictures $(ARGS)

check:
	@.ci/venv test
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy --strict

lock:
	@.ci/venv test
	@.ci/lock $(if $(UPGRADE),--upgrade)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info

# `make install` on a Pi: what lands where.
-include firmware_config/install.mk
