#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Lays out what an image of the programs runs on, from Debian's packages: glibc, libgcc, libstdc++,
# ca-certificates, tzdata, and the few files that they look at. No shell, no package manager. For
# where no image of this kind can be pulled.
#
# usage: base.sh FOLDER
set -euo pipefail

mkdir -p "$1"
target=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work" # apt downloads as a user of its own
cd "$work"
apt-get download -q libc6 libgcc-s1 gcc-12-base libstdc++6 ca-certificates tzdata >&2
for package in *.deb; do
	name=$(dpkg-deb --field "$package" Package)
	dpkg-deb --extract "$package" "$work/root"
	mkdir -p "$target/var/lib/dpkg/status.d"
	dpkg-deb --field "$package" >"$target/var/lib/dpkg/status.d/$name"
done

# One /usr, whatever a package thinks of it.
mkdir -p "$target/usr/lib"
cp -a "$work/root/usr/." "$target/usr/"
[[ ! -d $work/root/lib ]] || cp -a "$work/root/lib/." "$target/usr/lib/"
mkdir -p "$target/usr/lib64"
ln -sfn ../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 "$target/usr/lib64/ld-linux-x86-64.so.2"
ln -sfn usr/lib "$target/lib"
ln -sfn usr/lib64 "$target/lib64"

# Character sets beside those of glibc itself, programs, and words for people are not needed.
rm -rf "${target:?}"/usr/{bin,sbin} "$target"/usr/lib/x86_64-linux-gnu/{gconv,audit} "$target"/usr/share/{lintian,man,locale,bug} \
	"$target"/usr/share/zoneinfo/{right,posix} "$target"/usr/share/gcc "$target"/usr/share/gdb "$target"/usr/lib/locale
rm -rf "$target"/usr/share/doc/*/examples
find "$target/usr/share/doc" -type f ! -name copyright -delete
find "$target/usr/share/doc" -depth -type d -empty -delete
mkdir -p "$target"/{etc/ssl/certs,tmp,proc,sys,dev,run,var/tmp,home}
cat "$target"/usr/share/ca-certificates/mozilla/*.crt >"$target/etc/ssl/certs/ca-certificates.crt"
rm -rf "$target/usr/share/ca-certificates"
printf 'root:x:0:0:root:/:/nonexistent\nnonroot:x:65532:65532:nonroot:/tmp:/nonexistent\n' >"$target/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$target/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$target/etc/nsswitch.conf"
printf 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm), libraries only"\nID=debian\nVERSION_ID="12"\n' >"$target/etc/os-release"
chmod 1777 "$target/tmp" "$target/var/tmp"
