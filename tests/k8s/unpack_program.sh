#!/bin/sh
# Puts kubectl or promtool into FOLDER, out of Debian's package, which is not installed: no root needed, nothing started.
# The package comes from the machine's own Debian mirror, always from one release, and apt checks its signature.
# Usage: unpack_program.sh kubectl|promtool FOLDER
set -eu
program=$1 folder=$2
release=trixie # the first whose kubectl has kustomize 5; it needs glibc 2.34, which the release before has too

give_up() {
    echo "Please put $program on PATH (kubectl 1.27 or newer, promtool 2.42 or newer): $1" >&2
    exit 1
}

command -v apt-get >/dev/null || give_up "here are no Debian packages to take it from"
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"

apt() {
    apt-get -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o Acquire::Languages=none \
        -o APT::Sandbox::User="$(id -un)" "$@"
}

apt_of_release() {
    apt -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null "$@"
}

mirror=$(apt --print-uris update | sed -n "s|^'\(.*\)/dists/[a-z]*/InRelease'.*|\1|p" | head --lines=1)
[ -n "$mirror" ] || give_up "apt knows no Debian mirror"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main" >"$work/sources.list"
apt_of_release -qq update || give_up "Debian's packages cannot be reached"
(cd "$work" && apt_of_release -qq download "$program/$release" >/dev/null) || give_up "its Debian package cannot be fetched"
dpkg --extract "$work/$program"_*.deb "$work"
install -m 755 "$work/usr/bin/$program" "$folder/$program"
