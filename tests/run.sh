#!/bin/bash
# run.sh - every test, stage by stage, each stage's output as it comes; at the
# end the sum of all closing lines. A stage that fails does not stop the others.
#
# gcc builds the program (warnings are errors), clang its copy under the address
# and undefined-behaviour sanitizers, gcc the broker's rooms under the thread
# sanitizer.
set -u
cd "$(dirname "$0")/.." || exit 1
: "${JOBS:=$(nproc)}"
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
log=$(mktemp -d)
export log
trap 'rm -rf "$log"' EXIT
bad=()

stage() { # name, command
	local name=$1
	shift
	echo "== $name"
	"$@" 2>&1 | tee "$log/$name"
	[ "${PIPESTATUS[0]}" = 0 ] || bad+=("$name")
}
mk() { make --no-print-directory -j"$JOBS" WERROR=1 "$@"; }
# The tests run one at a time (no -j): what they print stays in order.
unit() { mk "$@" unit-programs && make --no-print-directory WERROR=1 "$@" unit; }
# One file of tests; its output in one piece, whoever else prints.
one() { # file
	local out rc
	out=$(/usr/bin/python3 -m pytest -q -p no:cacheprovider "$1" 2>&1)
	rc=$?
	flock "$log" printf '%s\n%s\n' "$1" "$out"
	[ $rc = 0 ] || [ $rc = 5 ] # 5: there are no tests in it
}
export -f one
# They mostly wait, for disks and for each other: more at once than processors,
# the longest first.
e2e() {
	find tests/e2e tests/diff -name 'test_*.py' -printf '%s %p\n' | sort -rn |
		cut -d' ' -f2 | VAYLA_BUILD=build xargs -P $((JOBS + 1)) -I{} bash -c 'one {}'
}

bus_address() {
	mk SAN=address CC=clang all &&
		VAYLA_BUILD=build/address VAYLA_CRASH_ROUNDS=4 /usr/bin/python3 -m pytest -q \
			-p no:cacheprovider tests/e2e/test_bus.py tests/e2e/test_crash.py
}

stage lint tests/lint/run.sh
stage build mk all
stage unit.address unit SAN=address CC=clang
stage unit.thread unit SAN=thread
stage e2e e2e
# the bus and the crashes once more, sanitized and with failpoints built in
stage bus.address bus_address

count() { # word: the sum of "N word" over all closing lines
	grep -hE '^([^ ]+: )?[0-9]+ passed|^(=+ )?[0-9]+ (passed|failed).* in [0-9.]+s|^[0-9]+ (passed|failed|skipped).* in ' "$log"/* |
		grep -oE "[0-9]+ $1" | awk '{n += $1} END {print n + 0}'
}
echo
for name in "${bad[@]}"; do echo "FAILED: $name"; done
failed=$(count failed)
[ ${#bad[@]} = 0 ] || [ "$failed" != 0 ] || failed=${#bad[@]}
echo "$(count passed) passed, $failed failed, $(count skipped) skipped"
[ ${#bad[@]} = 0 ] && [ "$failed" = 0 ]
