#!/bin/bash
# run.sh SECONDS PROGRAM... - each target for so long, on its own corpus and the
# project's files; what it says of each: executions, edges covered and inputs
# kept, at the start and at the end. Ends at the first that finds something.
set -u
seconds=$1
shift
/usr/bin/python3 tests/diff/seeds.py build/fuzz/seeds || exit 1
/usr/bin/python3 tests/fuzz/session_seeds.py build/fuzz/session build/fuzz/seeds/fuzz_session || exit 1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for program in "$@"; do
	name=${program##*/}
	corpus=build/fuzz/corpus/$name
	more=(tests/samples mappings)
	[ -d "build/fuzz/seeds/$name" ] && more=("build/fuzz/seeds/$name")
	mkdir -p "$corpus"
	kept=$(find "$corpus" -type f | wc -l)
	# leaving out what libFuzzer looks at in vain: an input of over 64 kB
	"$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
		-print_final_stats=1 -artifact_prefix="$program-" "$corpus" "${more[@]}" >"$log" 2>&1
	status=$?
	awk -v name="$name" -v kept="$kept" -v now="$(find "$corpus" -type f | wc -l)" '
		/INITED/ { for (i = 1; i < NF; i++) { if ($i == "cov:") c0 = $(i + 1); if ($i == "ft:") f0 = $(i + 1) } }
		/cov: / { for (i = 1; i < NF; i++) { if ($i == "cov:") c1 = $(i + 1); if ($i == "ft:") f1 = $(i + 1) } }
		/number_of_executed_units/ { n = $2 }
		END { printf "%-14s %10d executions, edges %d -> %d, features %d -> %d, corpus %d -> %d\n", name, n, c0, c1, f0, f1, kept, now }' "$log"
	if [ $status != 0 ]; then
		grep -E 'ERROR|SUMMARY|Test unit written|assert' "$log"
		echo "fuzz: $name found something; run $program on the file named above" >&2
		exit 1
	fi
done
