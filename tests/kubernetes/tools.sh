#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds what a cluster of one node is made of, into a folder: Kubernetes and CoreDNS from their Go
# modules, etcd, containerd and runc from packages. A quarter of an hour the first time, nothing later.
#
# usage: tools.sh FOLDER CHART_TOOLS
#
# CHART_TOOLS is the folder that tests/chart/tools.sh filled: kubectl, helm and definitions of custom
# resources are there, and Go if the system's is too old.
set -euo pipefail

kubernetes=1.37.2
coredns=v1.15.0

folder=$(mkdir -p "$1" && cd "$1" && pwd)
chart_tools=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$folder/bin"
[[ ! -d $chart_tools/go/bin ]] || PATH=$chart_tools/go/bin:$PATH
export GOFLAGS=-mod=mod CGO_ENABLED=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Kubernetes replaces its own libraries by folders of its repository; here they are the released ones.
build_kubernetes() {
	[[ ! -x $folder/bin/kubernetes-$kubernetes ]] || return 0
	local mod version=k8s.io/component-base/version
	mod=$(go mod download -json "k8s.io/kubernetes@v$kubernetes" | sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p')
	mkdir "$work/kubernetes"
	cp "$here/go/kubernetes/main.go" "$work/kubernetes/"
	cd "$work/kubernetes"
	{
		echo module local/kubernetes
		grep -E '^go(debug)? ' "$mod"
		echo "require k8s.io/kubernetes v$kubernetes"
		sed -nE "s|^\t(k8s\.io/[a-z0-9-]+) v0\.0\.0( .*)?\$|replace \1 => \1 v0.${kubernetes#1.}|p" "$mod" | sort -u
	} >go.mod
	go mod tidy 2>"$work/log" || {
		cat "$work/log" >&2
		return 1
	}
	go build -trimpath -o "$folder/bin/kubernetes-$kubernetes" -ldflags="-s -w \
		-X $version.gitVersion=v$kubernetes -X $version.gitMajor=1 -X $version.gitMinor=37 \
		-X $version.gitTreeState=clean -X $version.buildDate=1970-01-01T00:00:00Z" .
	local name
	for name in kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubelet; do
		ln -sf "kubernetes-$kubernetes" "$folder/bin/$name"
	done
}

build_coredns() {
	[[ ! -x $folder/bin/coredns ]] || return 0
	mkdir "$work/dns"
	cp "$here/go/dns/main.go" "$work/dns/"
	cd "$work/dns"
	printf 'module local/dns\n\ngo 1.26.0\n\nrequire github.com/coredns/coredns %s\n' "$coredns" >go.mod
	go mod tidy 2>"$work/log" || {
		cat "$work/log" >&2
		return 1
	}
	go build -trimpath -ldflags='-s -w' -o "$folder/bin/coredns" .
}

build_pause() {
	[[ -f $folder/pause.tar ]] || {
		mkdir -p "$work/pause"
		gcc -Os -static -s -o "$work/pause/pause" "$here/pause.c"
		"$here/oci.py" "$folder/pause.tar" localhost/pause:1 "$work/pause" /pause
	}
}

build_pause
build_coredns
build_kubernetes
