#!/bin/sh
# Installs what building (`build`) or testing (`test`) needs, when it is not there.
set -eu

# The `rust-version` of Cargo.toml.
RUST_MIN=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml")

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

updated=
install() {
    for package in "$@"; do
        if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed'; then
            [ -n "$updated" ] || as_root apt-get update
            updated=yes
            as_root env DEBIAN_FRONTEND=noninteractive \
                apt-get install -y --no-install-recommends "$package"
        fi
    done
}

# Whether the cargo on PATH is new enough.
cargo_serves() {
    command -v cargo >/dev/null || return 1
    have=$(cargo --version | cut -d' ' -f2 | cut -d- -f1)
    [ "$(printf '%s\n%s\n' "$RUST_MIN" "$have" | sort -V | head -n 1)" = "$RUST_MIN" ]
}

# The devicemapper crate reads the headers of libdevmapper with libclang, and needs nothing of either
# when it runs. libclang-dev brings the headers of the compiler that libclang is of.
install gcc libc6-dev pkg-config libdevmapper-dev libclang-dev
if ! cargo_serves; then
    # The distribution's own cargo where it is new enough, else its rustup, else rustup's installer.
    as_root apt-get update
    updated=yes
    as_root apt-get install -y --no-install-recommends cargo || true
    if ! cargo_serves; then
        if as_root apt-get install -y --no-install-recommends rustup; then
            rustup default stable
        else
            install curl ca-certificates
            curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile default
        fi
        PATH="$HOME/.cargo/bin:$PATH"
        cargo_serves || { echo "rust $RUST_MIN or newer is needed" >&2; exit 1; }
    fi
fi

if [ "${1:-build}" = test ]; then
    install lvm2 util-linux strace
    # A kernel with device-mapper, and what the scenarios run on it.
    install user-mode-linux thin-provisioning-tools dmsetup e2fsprogs xfsprogs kmod psmisc udev \
        fdisk
    [ "$(id -u)" = 0 ] || { echo "the tests attach loop devices: run them as root" >&2; exit 1; }
fi
