# The entry points of this project. `make demo` and `make test` work on a fresh Debian or Ubuntu.

CARGO ?= cargo
export PATH := $(CURDIR)/target/tools/bin:$(HOME)/.cargo/bin:$(PATH)

.PHONY: help setup setup-test build demo test test-crash deny bench fuzz clean

help:
	@echo "make demo      build lvmend and watch it mend two volume groups on disk images"
	@echo "make build     build target/release/lvmend"
	@echo "make test      everything: format, lints, licences, tests against real LVM2 (root)"
	@echo "make test-crash  every plan killed at every record of its journal, on a real kernel (root)"
	@echo "make bench     the engine alone, lvmend beside LVM2, the thin tools and dd (root)"
	@echo "make fuzz      every fuzz target, FUZZ_RUNS runs each (nightly Rust)"

setup:
	./scripts/setup.sh build

setup-test:
	./scripts/setup.sh test

build: setup
	$(CARGO) build --release --locked

demo: build
	./scripts/demo.sh target/release/lvmend

test: setup-test
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	$(CARGO) test --locked
	$(CARGO) test --locked --doc
	$(MAKE) deny

deny:
	command -v cargo-deny >/dev/null || $(CARGO) install cargo-deny --debug --locked --root target/tools
	$(CARGO) deny --locked check licenses bans sources

test-crash: setup-test
	$(CARGO) test --locked --test kernel -- --ignored

bench: setup-test
	$(CARGO) bench --locked --bench engine --bench beside_lvm --bench thin --bench copy

FUZZ_RUNS ?= 10000000
FUZZ_SEEDS = $(CURDIR)/target/fuzz-seeds

# The seeds come from the fixtures; what is found comes to lie in fuzz/artifacts.
fuzz: setup-test
	command -v cargo-fuzz >/dev/null || $(CARGO) install cargo-fuzz --locked --root target/tools
	FUZZ_SEEDS=$(FUZZ_SEEDS) $(CARGO) test --locked --test it fuzz::
	cd fuzz && for target in label area text thin_superblock signature journal sealed_plan plan; do \
		mkdir -p corpus/$$target; \
		$(CARGO) +nightly fuzz run -O $$target corpus/$$target $(FUZZ_SEEDS)/$$target -- \
			-runs=$(FUZZ_RUNS) -max_len=4096 || exit 1; \
	done
	cd fuzz && mkdir -p corpus/image && $(CARGO) +nightly fuzz run -O image corpus/image \
		$(FUZZ_SEEDS)/image -- -runs=$$(($(FUZZ_RUNS) / 10)) -max_len=300

clean:
	$(CARGO) clean
