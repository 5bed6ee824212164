#!/bin/bash
# peers.sh FOLDER - gets the peers that do not come with Debian, and builds those
# that are ours, into FOLDER. What is there already is left; what cannot be had
# (no network, no Go) is said, and the benchmarks go on without it. Nothing of
# it is ever committed, and versions are pinned: here and in bloblang/go.mod.
set -u
to=$1
from=$(dirname "$0")/peers
mkdir -p "$to"
log=$to/log
: >"$log"
absent() { echo "absent: $1: $2" >&2; }

# Together: npm takes away what an installation does not name.
packages=(jsonata@2.2.2 node-red@4.1.8)
if [ ! -d "$to/node_modules/jsonata" ] || [ ! -d "$to/node_modules/node-red" ]; then
	[ -f "$to/package.json" ] || echo '{"private": true}' >"$to/package.json"
	if ! command -v npm >/dev/null; then
		absent "JSONata, Node-RED" "there is no npm"
	elif ! timeout 240 npm install --prefix "$to" --no-save --no-audit \
		--no-fund --ignore-scripts "${packages[@]}" >>"$log" 2>&1; then
		absent "JSONata, Node-RED" "npm could not get them; see $log"
	fi
fi

if [ ! -x "$to/bloblang" ]; then
	out=$(realpath "$to")/bloblang
	if ! command -v go >/dev/null; then
		absent Bloblang "there is no Go"
	elif ! (cd "$from/bloblang" && timeout 400 go build -buildvcs=false \
		-mod=readonly -o "$out" .) >>"$log" 2>&1; then
		absent Bloblang "Go could not build it; see $log"
	fi
fi

for name in nats:libnats rabbitmq:librabbitmq; do
	c=$from/${name%:*}.c
	[ "$to/${name%:*}" -nt "$c" ] && continue
	if ! pkg-config --exists "${name#*:}"; then
		absent "${name%:*}" "there is no ${name#*:}-dev"
	elif ! cc -std=c11 -D_GNU_SOURCE -O2 -o "$to/${name%:*}" "$c" \
		$(pkg-config --cflags --libs "${name#*:}") -pthread \
		>>"$log" 2>&1; then
		absent "${name%:*}" "it does not build; see $log"
	fi
done
exit 0
