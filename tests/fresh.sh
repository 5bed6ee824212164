#!/bin/bash
# fresh.sh - do the two commands work on a Debian 12 that has git and make and
# nothing else? Makes one with debootstrap (root), clones HEAD into it, runs both.
# The package source is the one this machine uses. Set FRESH_ONLY=run to leave out
# `make test`, FRESH_KEEP=1 to keep the chroot.
set -u
cd "$(dirname "$0")/.." || exit 1
[ "$(id -u)" = 0 ] || { echo "make fresh needs root (debootstrap, chroot)" >&2; exit 77; }
root=$(mktemp -d /var/tmp/vayla-fresh.XXXXXX)
source=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' 'Created-By: Packages' 'Component: main' | grep -v security | head -n 1)
: "${source:?no package source for bookworm on this machine}"
clean() {
	mountpoint -q "$root/dev/shm" && umount "$root/dev/shm"
	for m in proc dev/pts dev sys; do mountpoint -q "$root/$m" && umount -l "$root/$m"; done
	[ -n "${FRESH_KEEP:-}" ] || rm -rf --one-file-system "$root"
}
trap clean EXIT
begin=$SECONDS
echo "== debootstrap"
debootstrap --variant=minbase --include=git,make bookworm "$root" "$source" >"$root.log" 2>&1 ||
	{ tail -n 20 "$root.log"; exit 1; }
rm -f "$root.log"
cp -L /etc/resolv.conf "$root/etc/" 2>/dev/null
echo "127.0.0.1 localhost" >"$root/etc/hosts" # an installer writes it, debootstrap does not
cp -R /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/" 2>/dev/null
[ -f /etc/apt/apt.conf ] && cp /etc/apt/apt.conf "$root/etc/apt/"
for m in proc sys dev; do mount --rbind "/$m" "$root/$m" && mount --make-rslave "$root/$m"; done
before=$(du -sm --one-file-system "$root" | cut -f1)
git bundle create -q "$root/vayla.bundle" HEAD
cat >"$root/try.sh" <<'T'
set -u
export HOME=/root LC_ALL=C.UTF-8 VAYLA_FIXTURES=/fixtures
set -m # jobs get a group of their own, so that Ctrl-C can be sent to one
git -c advice.detachedHead=false clone -q /vayla.bundle /root/vayla && cd /root/vayla || exit 1
echo "== make run"
: >/run.log
make run >/run.log 2>&1 &
pid=$!
# It runs on until Ctrl-C: wait for what it says at the end of the main job.
for _ in $(seq 900); do
	grep -q 'Ctrl-C' /run.log && break
	kill -0 $pid 2>/dev/null || break
	sleep 1
done
grep -q 'Ctrl-C' /run.log; ok=$?
kill -INT -- -$pid; wait $pid; echo "after Ctrl-C: exit $?"
tail -n 60 /run.log
[ $ok = 0 ] || { echo "make run did not finish its main job"; exit 1; }
hledger -f var/books/books.journal check --strict || exit 1
du -sm --one-file-system / | cut -f1 >/size.run
[ "${FRESH_ONLY:-}" != run ] || exit 0
echo "== make test"
make test
T
[ -d "${VAYLA_FIXTURES:-../shared/fixtures}" ] && cp -RL "${VAYLA_FIXTURES:-../shared/fixtures}" "$root/fixtures"
FRESH_ONLY=${FRESH_ONLY:-} chroot "$root" /bin/bash /try.sh
status=$?
[ -f "$root/size.run" ] && echo "make run added $(($(cat "$root/size.run") - before)) MB"
echo "fresh: $((SECONDS - begin)) s, exit $status"
exit $status
