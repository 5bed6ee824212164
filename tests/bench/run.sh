#!/bin/bash
# run.sh BUILD - every benchmark in turn; collects "name value unit peer
# peer_value ratio" lines into BUILD/bench.tsv and prints them as a table.
# Medians of at least five alternating rounds are the programs' own business.
set -u
build=$1
out=$build/bench.tsv
printf 'name\tvalue\tunit\tpeer\tpeer_value\tratio\n' >"$out"
bad=0
for b in "$build"/bench/bench_* tests/bench/*.py; do
	[ -x "$b" ] || continue
	echo "== ${b##*/}" >&2
	VAYLA_BUILD=$build "$b" >"$build/bench.one" || bad=1
	grep -P '^[a-z0-9_]+\t' "$build/bench.one" | tee -a "$out" >&2
done
rm -f "$build/bench.one"
column -t -s "$(printf '\t')" "$out" 2>/dev/null || cat "$out"
exit $bad
