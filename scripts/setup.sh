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

# The other generation of the thin tools, for the tests to run beside the one of this machine: 0.9 is
# in Debian 12, 1.x in Debian 13. It is only unpacked.
fetch_other_thin_tools() {
    own=$(dpkg-query -W -f '${Version}' thin-provisioning-tools)
    case "$own" in 0.*) release=trixie ;; *) release=bookworm ;; esac
    into="$(cd "$(dirname "$0")/.." && pwd)/target/tools/thin-tools-$release"
    [ ! -e "$into/usr/sbin/pdata_tools" ] || return 0
    rm -rf "$into"
    mkdir -p "$into/lists/partial" "$into/cache/archives/partial"
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
        sed -n "s/^$codename //p" | head -n 1)
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main" \
        > "$into/sources.list"
    set -- -o "Dir::Etc::SourceList=$into/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o "Dir::State::Lists=$into/lists" -o "Dir::Cache=$into/cache" -o APT::Sandbox::User=root
    apt-get "$@" update
    (cd "$into" && apt-get "$@" download thin-provisioning-tools)
    dpkg-deb -x "$into"/thin-provisioning-tools_*.deb "$into"
    rm -rf "$into/lists" "$into/cache"
}

if [ "${1:-build}" = test ]; then
    install lvm2 util-linux strace
    # A kernel with device-mapper, and what the scenarios run on it.
    install user-mode-linux thin-provisioning-tools dmsetup e2fsprogs xfsprogs kmod psmisc udev \
        fdisk
    fetch_other_thin_tools
    [ "$(id -u)" = 0 ] || { echo "the tests attach loop devices: run them as root" >&2; exit 1; }
fi
