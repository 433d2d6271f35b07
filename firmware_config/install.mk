# `sudo make install` on a Pi, `sudo make install-county` at the county. Each can be run again at any time: what was edited on
# the machine is left alone, and what is new goes beside it as .new.
#
#   DESTDIR=/mnt/card   puts everything under a mounted card and touches nothing of the running system
#   KIOSK=1             also installs sway and chromium, and starts the two screens at boot
#   PIP=true            leaves the Python packages out (they need the package index)
#   SYSTEM_PYTHON=…     the interpreter to make the venv with

DESTDIR ?=
KIOSK ?=
PIP ?=
SYSTEM_PYTHON ?= /usr/bin/python3
export DESTDIR KIOSK PIP SYSTEM_PYTHON

.PHONY: install install-county
install install-county: part = $(if $(filter install,$@),window,county)
install install-county:
	@for step in packages program files start; do firmware_config/install $(part) $$step || exit 1; done
