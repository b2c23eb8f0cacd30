#!/bin/sh
# Shows lvmend at work on disk images that real LVM2 wrote. Nothing outside of a temporary directory
# is touched, and no privileges are needed.
set -eu

LVMEND=$(realpath "$1")
FIXTURES=$(realpath "$(dirname "$0")/../tests/fixtures")
DESK=$(mktemp -d)
trap 'rm -rf "$DESK"' EXIT
cd "$DESK"

say() { printf '\n== %s\n' "$*"; }

# Shows a command, runs it, and insists on how it ends.
run() {
    expected=$1
    shift
    printf '\n$ lvmend %s\n' "$*"
    code=0
    "$LVMEND" "$@" --state-dir "$DESK/state" --volatile-state || code=$?
    echo "(exit $code)"
    [ "$code" = "$expected" ] || { echo "expected exit $expected" >&2; exit 1; }
}

unpack() {
    mkdir "$DESK/$1"
    cd "$DESK/$1"
    for disk in "$FIXTURES/$1"/*.img.gz; do
        gzip -dc "$disk" >"$(basename "$disk" .gz)"
    done
}

say "1. A disk came back late: its PV is flagged MISSING"
unpack demo-returned-pv
sha256sum ./*.img >../before
cat >plan.yaml <<'PLAN'
version: 1
name: returned-pv
summary: The controller of disk b came back late; its PV is attached again.
volume_group: {name: data}
physical_volumes:
  "*": {state: attached}
PLAN
images="--image a.img --image b.img --image c.img"
run 2 inspect $images
run 2 plan plan.yaml $images
run 0 apply plan.yaml --yes $images
run 0 inspect $images

say "   Applied again, there is nothing to do"
run 0 apply plan.yaml --yes $images

say "   And it can be put back, byte for byte"
run 0 rollback "$(ls ../state/runs)"
sha256sum -c ../before

say "2. An LV was removed, its description still stands in older metadata"
unpack demo-deleted-lv
images="--image a.img --image b.img"
cat >plan.yaml <<PLAN
version: 1
name: deleted-lv
summary: LV invoices is put back, and its content is copied to safety.
volume_group: {name: data}
logical_volumes:
  invoices: {state: present}
tasks:
  - copy: {from: invoices, to: {file: $DESK/rescued.img}}
PLAN
run 0 inspect $images
run 0 history list data $images
run 0 history list data --lv invoices $images
run 2 plan plan.yaml $images
run 0 apply plan.yaml --yes $images
ls -ls "$DESK"/rescued.img
run 0 apply plan.yaml --yes $images

say "3. A plan that would do harm is refused: the extents belong to somebody else now"
unpack deleted-reused
cat >plan.yaml <<'PLAN'
version: 1
name: too-late
volume_group: {name: vg}
logical_volumes:
  precious: {state: present}
PLAN
run 3 plan plan.yaml --image a.img --image b.img

say "Done"
