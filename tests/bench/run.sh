#!/bin/bash
# run.sh BUILD - every benchmark in turn; collects "name value unit peer
# peer_value ratio" lines into BUILD/bench.tsv, prints them as a table, and the
# rows of README.md's table as BUILD/bench.md (words: rows.tsv). Medians of at
# least five alternating rounds are the programs' own business, and so is saying
# which peer is absent.
#
#   BENCH="map json"   these alone (bench_map, bench_json); default: all
#   BENCH_SKIP="..."   all but these
#   BENCH_PART=480     seconds that one may take before it is ended
#
# Everything that runs or lies about while it measures is a child of this script
# or below one folder, and is gone when it ends, however it ends.
set -u
build=$1
cd "$(dirname "$0")/../.." || exit 1
out=$build/bench.tsv
export VAYLA_BUILD=$build BENCH_PEERS=${BENCH_PEERS:-$build/bench/peers}
tests/bench/peers.sh "$BENCH_PEERS"

# On a disk, which /tmp need not be: what is measured is its flush.
TMPDIR=$(mktemp -d /var/tmp/vayla-bench.XXXXXX) || exit 1
export TMPDIR
pid=
# What left its group (a peer's daemon) is known by the folder it was given.
end_all() {
	[ -z "$pid" ] || kill -- "-$pid" 2>/dev/null
	for e in $(grep -lzs "^TMPDIR=$TMPDIR\$" /proc/[0-9]*/environ); do
		e=${e#/proc/}
		kill "${e%/environ}" 2>/dev/null
	done
}
finish() {
	end_all
	rm -rf "$TMPDIR"
}
trap finish EXIT
trap 'exit 130' INT TERM

printf 'name\tvalue\tunit\tpeer\tpeer_value\tratio\n' >"$out"
bad=0
for b in "$build"/bench/bench_*; do
	name=${b##*/bench_}
	case " ${BENCH:-$name} " in *" $name "*) ;; *) continue ;; esac
	case " ${BENCH_SKIP:-} " in *" $name "*) echo "skipped: $name" >&2; continue ;; esac
	[ -x "$b" ] || continue
	echo "== bench_$name" >&2
	begin=$SECONDS
	# a group of its own, so that what it started goes with it
	setsid timeout -k 10 "${BENCH_PART:-480}" "$b" >"$TMPDIR/lines" &
	pid=$!
	wait "$pid" || { bad=1; echo "bench_$name: failed" >&2; }
	end_all
	pid=
	# once, where more than one peer of it is absent
	awk '/^[a-z0-9_]+\t/ && !seen[$0]++' "$TMPDIR/lines" | tee -a "$out" >&2
	echo "   $((SECONDS - begin)) s" >&2
	rm -rf "${TMPDIR:?}"/*
done
column -t -s "$(printf '\t')" "$out" 2>/dev/null || cat "$out"

# README.md's rows: of the lines that have words, in the order of the words.
awk -F'\t' '
	function figure(v,   t) {
		if (v < 1000)
			return sprintf(v >= 100 ? "%.0f" : v >= 10 ? "%.1f" : "%.2f", v)
		for (v = sprintf("%.0f", v); length(v) > 3; v = substr(v, 1, length(v) - 3))
			t = "," substr(v, length(v) - 2) t
		return v t
	}
	NR == FNR { if ($1 !~ /^#/ && NF > 1) { words[$1] = $2; order[++n] = $1 } next }
	FNR > 1 && ($4 != "-" || row[$1] == "") { row[$1] = row[$1] sprintf("| %s | %s | %s | %s |\n",
		row[$1] == "" ? words[$1] : "", row[$1] == "" ? figure($2) " " $3 : "", $4 == "-" ? "" : $4 ($5 > 0 ? ": " figure($5) " " $3 : ""),
		$6 > 0 ? sprintf("%.1f x", $6) : "") }
	END {
		print "| | Vayla | beside it | |\n|---|---|---|---|"
		for (i = 1; i <= n; i++) printf "%s", row[order[i]]
	}' tests/bench/rows.tsv "$out" >"$build/bench.md"
echo
cat "$build/bench.md"
exit $bad
