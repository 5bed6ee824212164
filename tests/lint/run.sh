#!/bin/bash
# lint - what can be said about the source without running it: direction of
# includes, sizes, formatting, no product's name in C, no text that speaks of
# where it was written. Prints every finding; "N passed, N failed" at the end.
set -u
cd "$(dirname "$0")/../.." || exit 1
passed=0
failed=0
check() { # name, command that prints findings and fails
	local name=$1 out
	shift
	if out=$("$@" 2>&1); then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'lint: %s\n%s\n' "$name" "$out"
	fi
}
mapfile -t code < <(git ls-files --cached --others --exclude-standard '*.c' '*.h' | sort)
mapfile -t ours < <(printf '%s\n' "${code[@]}" | grep -v '^tests/')

products() { # every pack's folder name, as a word, in code
	local names
	names=$(find mappings -mindepth 2 -maxdepth 2 -name pack.yaml -printf '%h\n' |
		sed 's,.*/,,' | grep -vx ledger | paste -sd'|')
	names="$names|shopify|stripe|posti|matkahuolto|postnord|pakettikauppa|klarna|adyen|netvisor|tryton|vendure"
	! grep -nwiE "(${names#|})" "${ours[@]}"
}
words() {
	! git grep -nIiE '/wor[k]/|/farm/|bash_job[s]|subagen[t]|\bLL[M]\b' -- . ':!tests/lint/run.sh'
}
check "includes point down" awk -f tests/lint/layers.awk "${code[@]}"
check "sizes" awk -f tests/lint/sizes.awk "${code[@]}"
check "formatting (clang-format -i mends it)" clang-format --dry-run --Werror "${code[@]}"
check "a product's name in C: products are YAML in their pack" products
check "words of a workplace" words
echo "lint: $passed passed, $failed failed"
[ "$failed" = 0 ]
