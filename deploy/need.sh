#!/bin/bash
# need.sh KIND ... - see that the Debian packages of these kinds are installed
# (deploy/packages). Root installs what is missing and says so; anyone else is
# told the one line to run. Nothing missing: silent, no rights needed.
set -u
list=$(dirname "$0")/packages
missing=()
for kind in "$@"; do
	for name in $(sed -n "s/^$kind  *//p" "$list"); do
		state=$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)
		[ "$state" = installed ] || missing+=("$name")
	done
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "Missing Debian packages. Install them and run make again:" >&2
	echo "  sudo apt-get install --no-install-recommends ${missing[*]}" >&2
	exit 1
fi
echo "Installing Debian packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
get() { apt-get install -qq -y --no-install-recommends "${missing[@]}"; }
out=$(mktemp)
trap 'rm -f "$out"' EXIT
if ! { apt-get update -qq && get; } >"$out" 2>&1; then
	cat "$out" >&2
	echo "need.sh: apt-get could not install them; see above." >&2
	exit 1
fi
