# SPDX-License-Identifier: Apache-2.0
# A thin front of Meson; `make help` says what there is.

BUILD ?= build
MESON ?= meson
SETUP_FLAGS ?=
GUEST_FILES := $(or $(MEMVISOR_GUEST_FILES),guest-files)
RUN_FLAGS ?= -m 256M -m 256M@8G -c 2
RUN_CMDLINE ?= console=ttyS0 cryptomgr.notests
BENCH_FLAGS ?=
CHECK_FLAGS ?=

# Where Debian's linker and pkg-config look, below whatever prefix; Meson alone
# knows it only where dpkg-dev is installed.
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)
LIBDIR_FLAG := $(if $(findstring libdir,$(SETUP_FLAGS)),,$(if $(MULTIARCH),--libdir=lib/$(MULTIARCH)))

.PHONY: all build run check check-long check-jit check-asan check-tsan bench demo-ivshmem install deb clean help \
	setup-build setup-run setup-check setup-bench setup-deb guest-files

all: build

help:
	@echo 'make              set up and build $(BUILD)/memvisor'
	@echo 'make run          boot Debian'\''s arm64 kernel to a shell, its RAM in two banks'
	@echo 'make check        run every test (make check-long: the long ones as well)'
	@echo 'make check-jit    the same with guests whose code is translated'
	@echo 'make check-asan   the same under AddressSanitizer and UBSan, in build-asan/'
	@echo 'make check-tsan   the same under ThreadSanitizer, in build-tsan/'
	@echo 'make bench        measure against QEMU in the same run'
	@echo 'make demo-ivshmem  guests that share memory and ring each other, side by side'
	@echo 'make guest-files  fetch the guest kernel and busybox, build the initramfs'
	@echo 'make install      install memvisor, its man pages and bash completion (DESTDIR counts)'
	@echo 'make deb          build Debian packages in $(BUILD)/deb, and have lintian look at them'
	@echo 'make clean        remove the build folders; the guest files stay'
	@echo
	@echo 'BUILD=DIR builds elsewhere; RUN_FLAGS=, RUN_CMDLINE= change what make run starts;'
	@echo 'CHECK_FLAGS= goes to pytest, such as CHECK_FLAGS="-k banks";'
	@echo 'BENCH_FLAGS= goes to bench/boot.py; MEMVISOR_GUEST_FILES=DIR shares the guest files.'

setup-build setup-run setup-check setup-bench setup-deb: setup-%:
	@scripts/setup.sh $*

# A goal's own setup comes first, so that all that is in its way is told before
# anything is fetched or built, and one at a time, also under make -j: apt has one
# lock.  What it installs is then there for the smaller ones.
OWN_SETUP := $(firstword $(if $(filter check% demo-ivshmem,$(MAKECMDGOALS)),setup-check) \
	$(if $(filter deb,$(MAKECMDGOALS)),setup-deb) \
	$(if $(filter bench,$(MAKECMDGOALS)),setup-bench) $(if $(filter run guest-files,$(MAKECMDGOALS)),setup-run))
$(filter-out $(OWN_SETUP),setup-build setup-run setup-bench setup-deb): | $(OWN_SETUP)
$(filter-out $(OWN_SETUP) setup-build,setup-run setup-bench setup-deb): | setup-build

$(BUILD)/build.ninja: | setup-build
	@echo '== setting up $(BUILD)/'
	@$(MESON) setup $(LIBDIR_FLAG) $(SETUP_FLAGS) $(BUILD)

build: setup-build $(BUILD)/build.ninja
	@echo '== building $(BUILD)/memvisor'
	@ninja -C $(BUILD)

guest-files: setup-run
	@scripts/guest-files.sh

run: setup-run guest-files build
	@echo '== the console follows; the command is'
	@echo "   $(BUILD)/memvisor run -k $(GUEST_FILES)/vmlinuz -i $(GUEST_FILES)/initrd.cpio $(RUN_FLAGS) -a '$(RUN_CMDLINE)'"
	@$(BUILD)/memvisor run -k $(GUEST_FILES)/vmlinuz -i $(GUEST_FILES)/initrd.cpio $(RUN_FLAGS) -a '$(RUN_CMDLINE)'

# A build folder made before the test tools were there has no unit tests yet.
$(BUILD)/.tests-enabled: | setup-check $(BUILD)/build.ninja
	@$(MESON) configure -Dtests=enabled $(BUILD)
	@touch $@

check: setup-check $(BUILD)/.tests-enabled guest-files
	@scripts/guest-headers.sh
	@scripts/guest-files.sh amd64
	@scripts/guest-headers.sh amd64
	@scripts/guest-files.sh newer
	@scripts/guest-userland.sh
	@scripts/qemu-reference.sh || echo "== going on without QEMU's reference programs: their tests are skipped"
	@[ -z "$(MEMVISOR_LONG)" ] || scripts/cluster-root.sh
	@$(MAKE) --no-print-directory build BUILD=$(BUILD)
	@scripts/check.sh $(BUILD) $(CHECK_FLAGS)

check-long: export MEMVISOR_LONG = 1
check-long: check

# Guests whose code is translated from the second time on (tests/memvisor-jit.sh).
check-jit: export MEMVISOR = $(abspath $(BUILD))/memvisor-jit
check-jit: check

# The sanitizers make everything slower: timeouts stretch by MEMVISOR_SLOW.
check-asan:
	@MEMVISOR_SLOW=6 $(MAKE) --no-print-directory check BUILD=build-asan \
		SETUP_FLAGS='-Db_sanitize=address,undefined -Dc_args=-fno-sanitize-recover=undefined'

# GCC says of each fence that ThreadSanitizer does not follow it.
check-tsan:
	@MEMVISOR_SLOW=20 $(MAKE) --no-print-directory check BUILD=build-tsan \
		SETUP_FLAGS='-Db_sanitize=thread -Dc_args=-Wno-tsan'

demo-ivshmem: setup-check guest-files build
	@scripts/guest-headers.sh
	@! command -v qemu-system-x86_64 >/dev/null || scripts/guest-files.sh amd64
	@! command -v qemu-system-x86_64 >/dev/null || scripts/guest-headers.sh amd64
	@/usr/bin/python3 scripts/demo-ivshmem.py --memvisor $(BUILD)/memvisor

bench: setup-bench guest-files build
	@echo '== measuring, in turns with QEMU'
	@bench/boot.py --memvisor $(BUILD)/memvisor $(BENCH_FLAGS)
	@echo '== computing, in turns with QEMU'
	@bench/compute.py --memvisor $(BUILD)/memvisor
	@echo '== the cost of memory'
	@bench/memory.py --memvisor $(BUILD)/memvisor
	@echo '== what a restored guest waits for'
	@bench/restore.py --memvisor $(BUILD)/memvisor
	@echo '== forking a guest'
	@bench/fork.py --memvisor $(BUILD)/memvisor
	@echo '== saving blocks, against copying and writing'
	@$(MESON) test -C $(BUILD) --benchmark --verbose ram-writer
	@echo '== saving guests, in turns with QEMU'
	@bench/save.py --memvisor $(BUILD)/memvisor
	@echo '== moving guests, in turns with QEMU'
	@bench/move.py --memvisor $(BUILD)/memvisor
	@echo '== taking in ivshmem peers, in turns with QEMU'\''s reference server'
	@bench/ivshmem.py --memvisor $(BUILD)/memvisor
	@echo '== ivshmem doorbells, in turns with QEMU'
	@scripts/guest-headers.sh
	@bench/doorbell.py --memvisor $(BUILD)/memvisor

# A build folder that Meson made by itself was told no library folder.
install: build
	@grep -qs '^libdir *=' $(BUILD)/meson-private/cmd_line.txt || [ -z '$(LIBDIR_FLAG)' ] || \
		{ $(MESON) configure $(LIBDIR_FLAG) $(BUILD) && ninja -C $(BUILD); }
	@echo '== installing'
	@$(MESON) install -C $(BUILD) --no-rebuild

deb: setup-deb
	@scripts/deb.sh $(BUILD)

clean:
	@echo '== removing build folders'
	@rm -rf build build-asan build-tsan
