# The very lines that CI runs. `make demo` and `make test` need nothing but a
# Rust toolchain: what else is missing is installed first (as root, or with sudo).

CACHE ?= $(HOME)/.cache/pam-passkey
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(CACHE)/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny

CARGO_AUDITABLE_VERSION := 0.7.1
CARGO_AUDITABLE := $(CACHE)/cargo-auditable-$(CARGO_AUDITABLE_VERSION)/bin/cargo-auditable

VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
# The date of everything in a package, in seconds since 1970: that of the last commit.
SOURCE_DATE_EPOCH ?= $(shell git log --max-count=1 --format=%ct)
export SOURCE_DATE_EPOCH

SHELL_FILES := .ci/run .ci/advisories .ci/apt-as-here .ci/debians .ci/guests .ci/prerequisites fuzz/run fuzz/instrument \
	packaging/compile packaging/stage packaging/make-deb packaging/make-rpm packaging/check-packages \
	packaging/lines-that-need-the-module packaging/authselect/profiles $(wildcard packaging/deb/*.p*)
# Without a first line, as rpm wants them.
SCRIPTLETS := packaging/rpm/preun packaging/rpm/post-passkey

# What the bench plays with and judges by, beyond what building needs. No openssh-server, which
# would open a port on whichever machine runs the tests: `.ci/debians` has one without that.
BENCH_PACKAGES := binutils groff-base git jq openssl openssh-client util-linux bsdutils passwd login sudo fido2-tools libpam-u2f pamu2fcfg

# What `.ci/guests` builds a guest with, and what boots it.
GUEST_PACKAGES := qemu-system-x86 mmdebstrap e2fsprogs util-linux

# How long each fuzz target runs.
FUZZ_SECONDS ?= 60

# The fuzzers' workspace, and the right to make mount namespaces in it.
FUZZ := --locked --manifest-path fuzz/Cargo.toml --target-dir target
IN_A_NAMESPACE := $(if $(filter 0,$(shell id -u)),,unshare --mount --map-root-user)

.PHONY: help demo check test hostile e2e build bench fuzz deb rpm compiled prerequisites

help:
	@echo "make demo    watch a security key open a real PAM service, or not; nothing under /etc is touched"
	@echo "make test    every test but the long ones"
	@echo "make hostile the long ones: keys that lie in every member, packet and moment"
	@echo "make e2e     Debian booted, the packages installed, a person at the console"
	@echo "make check   formatting, lints, licences, documentation"
	@echo "make bench   what a login costs, beside pam_u2f; writes BENCHMARKS.md and docs/bench.svg"
	@echo "make fuzz    every fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS)"
	@echo "make build   pam_passkey.so and passkey, in target/release"
	@echo "make deb     libpam-passkey and passkey for Debian, in target/package"
	@echo "make rpm     pam-passkey and passkey for Fedora and openSUSE, in the same place"
	@echo "Debian packages that are missing are installed first: as root, or with sudo."

# One member at a time, so that no other member's features leak into it.
build: prerequisites
	cargo build --locked --release -p pam-passkey
	cargo build --locked --release -p passkey

# Built whole before it is run: the demonstration starts the bench's other programs.
demo: build
	@.ci/prerequisites $(BENCH_PACKAGES)
	cargo build --locked -p tests
	@cargo run --locked --quiet -p tests --bin demo

# The second build of the bench has keys that check fingerprints. Last, what the
# fuzzers have found is replayed, without a fuzzer.
test: build
	@.ci/prerequisites $(BENCH_PACKAGES)
	@.ci/debians $(CACHE) target/debian
	cargo test --locked --workspace
	cargo test --locked -p tests --features built-in-uv --test built_in_uv --test key_fingerprints
	$(IN_A_NAMESPACE) cargo test $(FUZZ)

# What `make test` leaves out because it takes minutes.
hostile: build
	@.ci/prerequisites $(BENCH_PACKAGES)
	cargo build --locked -p tests
	cargo test --locked -p tests --test liar -- --ignored

# Debian 12, Debian 13 and sid, booted, with the packages installed. Built by `.ci/guests` where
# they are not in the cache yet; what their consoles showed is in target/e2e. sid is left out on
# a day on which it cannot be installed.
e2e: deb
	@.ci/prerequisites $(GUEST_PACKAGES)
	@.ci/guests $(CACHE) target/guests bookworm trixie sid
	cargo build --locked --profile in-guest -p tests --bin hands
	@cargo run --locked --quiet -p tests --bin e2e -- bookworm trixie $$(cd target/guests && ls -d sid 2>/dev/null)

# Needs more than the rest, and only here: valgrind, and what it reads libc's symbols from. Without
# a guest its section of BENCHMARKS.md stays as it is.
bench: build
	@.ci/prerequisites $(BENCH_PACKAGES) valgrind libc6-dbg $(GUEST_PACKAGES)
	@.ci/guests $(CACHE) target/guests trixie
	cargo build --locked --profile in-guest -p tests --bin hands --bin pam-host --bin yardstick
	cargo build --locked -p tests
	@cargo run --locked --quiet -p tests --bin bench

# A build of its own, the same from every clone: see packaging/compile.
compiled: prerequisites $(CARGO_AUDITABLE)
	packaging/compile $(dir $(CARGO_AUDITABLE))

deb: compiled
	@.ci/prerequisites binutils dpkg-dev lintian
	packaging/make-deb $(VERSION) target/package
	packaging/check-packages deb $(VERSION) target/package
	lintian --fail-on error,warning target/package/*_$(VERSION)-1_*.deb

rpm: compiled
	@.ci/prerequisites binutils rpm rpmlint
	packaging/make-rpm $(VERSION) target/package
	packaging/check-packages rpm $(VERSION) target/package
	rpmlint --strict --config packaging/rpm/rpmlint.toml target/package/*-$(VERSION)-1.*.rpm

# Prints a table for SECURITY.md at the end.
fuzz: prerequisites
	@.ci/prerequisites g++ util-linux
	fuzz/run $(FUZZ_SECONDS)

# libFuzzer is C++.
check: prerequisites $(CARGO_DENY)
	@.ci/prerequisites shellcheck g++ groff-base gettext
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked -p tests --features built-in-uv --all-targets -- -D warnings
	FUZZ_TARGET=names cargo clippy $(FUZZ) --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items
	for po in pam-passkey/po/*.po; do msgfmt --check --output-file=/dev/null $$po || exit 1; done
	shellcheck --external-sources $(SHELL_FILES)
	shellcheck --shell sh $(SCRIPTLETS)
	groff -man -Tutf8 -ww -z packaging/man/*
	$(CARGO_DENY) --locked check bans licenses sources
	.ci/advisories $(CARGO_DENY)
	@twice=$$(cargo tree --locked -p pam-passkey -e normal,no-proc-macro --duplicates 2>/dev/null); \
	echo "crates that the module would link twice: $${twice:-none}"; test -z "$$twice"

prerequisites:
	@.ci/prerequisites

# Built once and kept outside the clone; named for its version.
$(CARGO_DENY):
	cargo install --locked --version $(CARGO_DENY_VERSION) --root $(CACHE)/cargo-deny-$(CARGO_DENY_VERSION) cargo-deny

$(CARGO_AUDITABLE):
	cargo install --locked --version $(CARGO_AUDITABLE_VERSION) --root $(CACHE)/cargo-auditable-$(CARGO_AUDITABLE_VERSION) cargo-auditable
