# SPDX-License-Identifier: GPL-2.0-only
# The tasks of the project by name. Each target has a one-line help and calls a script in scripts/,
# which does the work. Kbuild has the kernel build.

# Given on the command line, these reach the scripts.
export TESTS GUESTS CLOCK OUT ROUNDS ROWS KERNEL SCRIPT ADD TIMEOUT SMP MEM MACHINES MODULES KDIR DESTDIR PREFIX KERNEL_SERIES DEBIAN_FLAVOUR MATRIX STALE_MIRROR IPVS_RS_CACHE VM_LOG VM_APPEND
# The scripts run in parallel where it pays; make itself must not reorder them.
.NOTPARALLEL:

.PHONY: all
all: ## build the modules for the stock Debian kernel, and lvsadm
	@scripts/build

.PHONY: demo
demo: ## watch a director balance real HTTP requests through NAT, TUN and DR in a virtual machine
	@scripts/demo

.PHONY: check
check: ## run every test: host tests, lints, guest tests on the stock and the debug kernel
	@scripts/check full

.PHONY: check-quick
check-quick: ## host tests, lints and each guest test on one kernel only
	@scripts/check quick

.PHONY: check-packages
check-packages: ## install the Debian packages, upgrade them and the kernel, and boot with systemd each time (about 30 minutes)
	@scripts/packages --kernels

.PHONY: check-deb
check-deb: ## build the Debian packages twice, compare the results, and run lintian
	@scripts/deb --check

.PHONY: check-kernels
check-kernels: ## guest tests on all supported kernels of Debian [MATRIX='7.2/amd64 sid/cloud-amd64'] [TESTS='forwarding icmp']
	@scripts/matrix

.PHONY: check-arm64
check-arm64: ## build the modules for arm64 and run guest tests there [TESTS='module']
	@scripts/arm64

.PHONY: check-long
check-long: ## for hours: a million hostile packets, the packages, all kernels, ... [TESTS='hostile packages']
	@scripts/check long

.PHONY: check-guests
check-guests: ## the guest tests only [TESTS='forwarding icmp'] [KERNEL=stock|debug|debug-x86] [GUESTS=n]
	@scripts/check guests

.PHONY: bench
bench: ## measure against plain forwarding, the C director and nftables (about 30 minutes) [OUT=dir] [ROUNDS=5] [ROWS=regex]
	@scripts/bench all

.PHONY: shell
shell: ## an interactive guest with everything in it (KERNEL=stock|debug|debug-x86|uml|icount)
	@scripts/vm "$${KERNEL:-stock}" --shell "$$ADD"

.PHONY: vm
vm: ## run SCRIPT=path as root in a guest: KERNEL=stock|debug|debug-x86|uml|icount [ADD=dir] [TIMEOUT=s] [SMP=n] [MEM=2G] [MACHINES=2] [MODULES=none]
	@scripts/vm "$${KERNEL:-stock}" "$$SCRIPT" "$$ADD"

.PHONY: modules
modules: ## build the modules for any configured kernel tree: KDIR=path
	@scripts/modules-for "$$KDIR"

.PHONY: install
install: ## install modules for the running kernel (or KDIR=path) and lvsadm (DESTDIR and PREFIX honored)
	@scripts/install

.PHONY: uninstall
uninstall: ## remove the files that install added
	@scripts/install --remove

.PHONY: deb
deb: ## build Debian packages, ipvs-rs-dkms and lvsadm, and print where they are
	@scripts/deb

.PHONY: load
load: ## build for the running kernel and insert the modules into it
	@scripts/load

.PHONY: htmldocs
htmldocs: ## build Documentation/ as web pages and print where they are
	@scripts/htmldocs

.PHONY: update
update: ## look for a newer kernel of the series at the next build
	@scripts/cache forget-kernel

.PHONY: clean
clean: ## remove the build results of this tree (downloads and kernels stay)
	@scripts/cache clean

.PHONY: distclean
distclean: ## remove the whole cache
	@scripts/cache remove

.PHONY: help
help: ## show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24
	@echo
	@echo "  The first target to try is 'make demo'. Downloads and builds are kept in $${IPVS_RS_CACHE:-$${XDG_CACHE_HOME:-~/.cache}/ipvs_rs} (IPVS_RS_CACHE)."
