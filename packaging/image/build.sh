#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the image with buildah from the last commit, on bases that it makes from Debian's packages
# where none are given; needs root, buildah and debootstrap.
#
# usage: build.sh [OPTIONS] [ARCHIVE]
#
#   ARCHIVE              where the image goes, an OCI archive (default: token-service.tar in --work)
#   --name NAME:TAG      its name (default: token-service:VERSION)
#   --base IMAGE         what the programs run on
#   --build-base IMAGE   Debian 12 with apt
#   --work FOLDER        keeps images and bases between builds (default: build/image)
#   --again              builds from the very start, but for the packages of the build base
#   --help               this text
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
name='' base='' build_base='' work=$root/build/image archive='' again=0
while (($#)); do
	case $1 in
	--name | --base | --build-base | --work)
		(($# > 1)) || {
			echo "build.sh: $1 needs a value" >&2
			exit 2
		}
		option=${1#--}
		printf -v "${option//-/_}" %s "$2"
		shift
		;;
	--again) again=1 ;;
	-h | --help)
		sed -n '/^# usage: /,/^set /{ /^set /d; s/^# \{0,1\}//; p }' "$0"
		exit
		;;
	-*)
		echo "build.sh: there is no option '$1'" >&2
		exit 2
		;;
	*)
		[[ ! $archive ]] || {
			echo "build.sh: one archive is made, not '$archive' and '$1'" >&2
			exit 2
		}
		archive=$1
		;;
	esac
	shift
done
mkdir -p "$work"
work=$(cd "$work" && pwd)
archive=${archive:-$work/token-service.tar}
[[ $archive == /* ]] || archive=$PWD/$archive
version=$(sed -n 's/^project(token-service VERSION \([0-9.]*\).*/\1/p' "$root/CMakeLists.txt")
revision=$(git -C "$root" rev-parse HEAD)
epoch=$(git -C "$root" log -1 --format=%ct)
name=${name:-token-service:$version}
# Everything, policies too, stays in the folder.
export TMPDIR=$work/tmp
mkdir -p "$TMPDIR"
printf '{"default": [{"type": "insecureAcceptAnything"}]}\n' >"$work/policy.json"

b() {
	buildah --root "$work/storage" --runroot "$work/run" --storage-driver overlay "$@"
}

have() {
	b inspect --type image "$1" >/dev/null 2>&1
}

# image_of NAME FOLDER: an image with one layer, the same for the same files.
image_of() {
	local container
	container=$(b from scratch)
	b copy -q "$container" "$2" / >/dev/null
	b commit -q --timestamp 0 --rm "$container" "$1" >/dev/null
}

if [[ ! $base ]]; then
	base=localhost/base:$(sha256sum "$root/packaging/image/base.sh" | cut -c1-12)
	have "$base" || {
		rm -rf "$work/base"
		"$root/packaging/image/base.sh" "$work/base"
		image_of "$base" "$work/base"
	}
fi
if [[ ! $build_base ]]; then
	build_base=localhost/build-base:bookworm
	have "$build_base" || {
		rm -rf "$work/bootstrap"
		debootstrap --variant=minbase bookworm "$work/bootstrap" >&2
		rm -rf "$work"/bootstrap/{dev,proc,sys}/* "$work"/bootstrap/var/cache/apt/archives/*.deb
		image_of "$build_base" "$work/bootstrap"
		rm -rf "$work/bootstrap"
	}
fi

source=$(mktemp -d "$TMPDIR/source.XXXXXX")
trap 'rm -rf "$source"' EXIT
git -C "$root" archive HEAD | tar -x -C "$source"

bud() {
	b bud -q --isolation chroot --network host --signature-policy "$work/policy.json" \
		--timestamp "$epoch" --build-arg SOURCE_DATE_EPOCH="$epoch" --build-arg BUILD_BASE="$build_base" \
		--build-arg BASE="$base" --build-arg JOBS="${JOBS:-$(nproc)}" --build-arg VERSION="$version" \
		--build-arg REVISION="$revision" \
		--build-arg CREATED="$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)" -f "$source/Containerfile" "$@" "$source"
}

# The packages are installed once for a list of them.
tools=localhost/build-tools:$(sha256sum "$source/tools/packages.txt" | cut -c1-12)
have "$tools" || bud --target tools -t "$tools"
build_base=$tools
layers=(--layers)
[[ $again == 0 ]] || layers=(--no-cache)
bud "${layers[@]}" -t "$name" >/dev/null
rm -f "$archive"
b push -q --signature-policy "$work/policy.json" "$name" "oci-archive:$archive:$name"
echo "$archive"
