# The entry points of this project. `make demo` and `make test` work on a fresh Debian or Ubuntu.

CARGO ?= cargo
export PATH := $(CURDIR)/target/tools/bin:$(HOME)/.cargo/bin:$(PATH)

.PHONY: help setup setup-test build demo test deny clean

help:
	@echo "make demo      build lvmend and watch it mend two volume groups on disk images"
	@echo "make build     build target/release/lvmend"
	@echo "make test      everything: format, lints, licences, tests against real LVM2 (root)"

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
	command -v cargo-deny >/dev/null || $(CARGO) install cargo-deny --locked --root target/tools
	$(CARGO) deny --locked check licenses bans sources

clean:
	$(CARGO) clean
