{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{/* ---- names and labels ---- */}}

{{- define "token-service.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* At most 50 characters, so that the longest name made from it has no more than 63. */}}
{{- define "token-service.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "token-service.gatewayName" -}}
{{- include "token-service.fullname" . }}-gateway
{{- end }}

{{- define "token-service.headlessName" -}}
{{- include "token-service.fullname" . }}-headless
{{- end }}

{{/* The Secret that the chart makes itself. */}}
{{- define "token-service.secretName" -}}
{{- include "token-service.fullname" . }}
{{- end }}

{{- define "token-service.selectorLabels" -}}
app.kubernetes.io/name: {{ include "token-service.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* (dict "root" $ "component" "service" ["labels" more]): of two for one name the nearer wins, but
     those that selectors ask for are the chart's. */}}
{{- define "token-service.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" (.root.Chart.AppVersion | replace "+" "_" | trunc 63)
  "app.kubernetes.io/part-of" "token-service"
  "app.kubernetes.io/managed-by" .root.Release.Service }}
{{- $selected := include "token-service.selectorLabels" . | fromYaml }}
{{- toYaml (mergeOverwrite $own (deepCopy (.root.Values.commonLabels | default dict)) (deepCopy (.labels | default dict)) $selected) }}
{{- end }}

{{/* metadata of an object: (dict "root" $ "component" C "name" N ["annotations" A] ["labels" L]) */}}
{{- define "token-service.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "token-service.labels" . | nindent 2 }}
{{- $annotations := mergeOverwrite (dict) (deepCopy (.root.Values.commonAnnotations | default dict)) (.annotations | default dict) }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "token-service.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "token-service.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "token-service.image" -}}
{{- $registry := .Values.global.imageRegistry | default .Values.image.registry }}
{{- with $registry }}{{ . }}/{{ end }}{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}
{{- else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* ---- what the values say together ---- */}}

{{- define "token-service.isStateful" -}}
{{- if eq .Values.store "sqlite" }}true{{ end }}
{{- end }}

{{- define "token-service.tlsSecret" -}}
{{- if .Values.tls.existingSecret }}{{ .Values.tls.existingSecret }}
{{- else if .Values.tls.certManager.enabled }}{{ include "token-service.fullname" . }}-tls
{{- end }}
{{- end }}

{{- define "token-service.scheme" -}}
{{- if include "token-service.tlsSecret" . }}https{{ else }}http{{ end }}
{{- end }}

{{/* appProtocol of gRPC: (what the values say, else) h2c without TLS, https with it. */}}
{{- define "token-service.grpcProtocol" -}}
{{- if .Values.service.grpc.appProtocol }}{{ .Values.service.grpc.appProtocol }}
{{- else if include "token-service.tlsSecret" . }}https
{{- else }}kubernetes.io/h2c
{{- end }}
{{- end }}

{{- define "token-service.httpProtocol" -}}
{{- .Values.service.http.appProtocol | default (include "token-service.scheme" .) }}
{{- end }}

{{/* What pods listen on: [::] takes IPv4 as well, but not every node has IPv6. */}}
{{- define "token-service.listenAddress" -}}
{{- if .Values.listenAddress }}{{ .Values.listenAddress }}
{{- else if or (has "IPv6" .Values.service.ipFamilies) (hasSuffix "DualStack" .Values.service.ipFamilyPolicy) }}[::]
{{- else }}0.0.0.0
{{- end }}
{{- end }}

{{/* The ports of the database: those that the URLs name for each host, and those that the values add; a
     list in YAML. */}}
{{- define "token-service.postgresPorts" -}}
{{- $ports := list }}
{{- range .Values.postgres.ports }}{{ $ports = append $ports (int .) }}{{ end }}
{{- range $url := compact (list .Values.postgres.url .Values.postgres.directUrl) }}
{{- $hosts := regexReplaceAll "^[a-z]+://([^/?]*@)?([^/?]*).*$" $url "${2}" }}
{{- range splitList "," $hosts }}
{{- $ports = append $ports (regexFind ":[0-9]+$" . | trimPrefix ":" | default "5432" | int) }}
{{- end }}
{{- end }}
{{- uniq $ports | toYaml }}
{{- end }}

{{/* The Service that answers HTTP, and its port. */}}
{{- define "token-service.httpService" -}}
{{- if .Values.gateway.enabled }}{{ include "token-service.gatewayName" . }}{{ else }}{{ include "token-service.fullname" . }}{{ end }}
{{- end }}

{{/* Can this rendering ask the cluster? Without an answer, a secret made here would be another one
     each time. The account "default" is in every namespace but one that is made just now. */}}
{{- define "token-service.canLookUp" -}}
{{- if or (lookup "v1" "ServiceAccount" .Release.Namespace "default") (lookup "v1" "Namespace" "" "default") }}true{{ end }}
{{- end }}

{{/* A 64-digit secret of the chart's own Secret: the one that is there, else a new one, the same in
     every template of this rendering. (dict "root" $ "key" "admin-token" "value" "adminToken") */}}
{{- define "token-service.generated" -}}
{{- $root := .root }}
{{- if not (hasKey $root.Values "_generated") }}
{{- $_ := set $root.Values "_generated" dict }}
{{- end }}
{{- $memory := get $root.Values "_generated" }}
{{- if not (hasKey $memory .key) }}
{{- $found := lookup "v1" "Secret" $root.Release.Namespace (include "token-service.secretName" $root) }}
{{- $old := index ($found.data | default dict) .key }}
{{- if $old }}
{{- $_ := set $memory .key (b64dec $old) }}
{{- else if include "token-service.canLookUp" $root }}
{{- $_ := set $memory .key (sha256sum (randBytes 32)) }}
{{- else }}
{{- fail (printf "%s.existingSecret: name a Secret that holds it: it cannot be generated here, because this rendering cannot ask the cluster whether there is one already (helm template, Argo CD, --dry-run=client)" .value) }}
{{- end }}
{{- end }}
{{- get $memory .key }}
{{- end }}

{{/* A change of a secret, or of another issuer's keys, rolls the pods. The same where the cluster cannot be asked. */}}
{{- define "token-service.secretsChecksum" -}}
{{- $root := . }}
{{- $parts := list }}
{{- range $key, $value := dict "admin-token" "adminToken" "encryption-key" "encryptionKey" }}
{{- $given := (index $root.Values $value).existingSecret }}
{{- if $given }}
{{- $parts = append $parts (dict "secret" $given "key" (index $root.Values $value).key) }}
{{- else }}
{{- $parts = append $parts (include "token-service.generated" (dict "root" $root "key" $key "value" $value)) }}
{{- end }}
{{- end }}
{{- with .Values.postgres.existingSecret }}{{ $parts = append $parts (dict "secret" . "key" $root.Values.postgres.key) }}{{ end }}
{{- with .Values.jwtKey.existingSecret }}{{ $parts = append $parts (dict "secret" . "key" $root.Values.jwtKey.key) }}{{ end }}
{{- with .Values.externalJwks }}
{{- if .name }}{{ $parts = append $parts (dict "kind" .kind "secret" .name "key" .key) }}{{ end }}
{{- end }}
{{- $text := "" }}
{{- range $parts }}
{{- if kindIs "map" . }}
{{- $found := lookup "v1" (.kind | default "Secret") $root.Release.Namespace .secret }}
{{- $text = printf "%s %s" $text (index ($found.data | default dict) .key | default "") }}
{{- else }}
{{- $text = printf "%s %s" $text . }}
{{- end }}
{{- end }}
{{- sha256sum $text }}
{{- end }}

{{- define "token-service.checkValues" -}}
{{- if eq .Values.store "sqlite" }}
{{- if ne (int .Values.replicas) 1 }}
{{- fail (printf "replicas: must be 1 with store: sqlite, one process owns the database, got %d" (int .Values.replicas)) }}
{{- end }}
{{- if .Values.autoscaling.enabled }}
{{- fail "autoscaling.enabled: must be false with store: sqlite, one process owns the database" }}
{{- end }}
{{- end }}
{{- if eq .Values.store "postgres" }}
{{- if not .Values.postgres.url }}
{{- fail "postgres.url: must be given with store: postgres" }}
{{- end }}
{{- if regexMatch "^[a-z]+://[^/@]*:[^/@]*@|[?&](ssl)?password=" .Values.postgres.url }}
{{- fail "postgres.url: must not hold the password; name a Secret with postgres.existingSecret" }}
{{- end }}
{{- else if .Values.postgres.url }}
{{- fail "postgres.url: must be empty with store: sqlite" }}
{{- end }}
{{- include "token-service.checkOptions" (dict "root" . "path" "options" "options" .Values.options) }}
{{- include "token-service.checkOptions" (dict "root" . "path" "gateway.options" "options" .Values.gateway.options) }}
{{- if and .Values.postgres.directUrl (ne .Values.options.postgresPooler "transaction") }}
{{- fail "postgres.directUrl: must be given together with options.postgresPooler: transaction" }}
{{- end }}
{{- if and .Values.tls.existingSecret .Values.tls.certManager.enabled }}
{{- fail "tls.certManager.enabled: must be false with tls.existingSecret, which is the certificate already" }}
{{- end }}
{{- if and .Values.tls.certManager.enabled (not .Values.tls.certManager.issuerRef.name) }}
{{- fail "tls.certManager.issuerRef.name: must name the Issuer with tls.certManager.enabled" }}
{{- end }}
{{- if not (or (include "token-service.tlsSecret" .) .Values.tls.insecurePlaintext) }}
{{- fail "tls.insecurePlaintext: must be true without tls.existingSecret and tls.certManager.enabled" }}
{{- end }}
{{- if and (ne .Values.tls.clientAuth "none") (not (include "token-service.tlsSecret" .)) }}
{{- fail (printf "tls.clientAuth: must be none without tls.existingSecret and tls.certManager.enabled, got %s" .Values.tls.clientAuth) }}
{{- end }}
{{- if and .Values.tls.certManager.enabled (regexMatch "^[0-9]+h$" .Values.tls.certManager.duration) (regexMatch "^[0-9]+h$" .Values.tls.certManager.renewBefore) }}
{{- if ge (trimSuffix "h" .Values.tls.certManager.renewBefore | int) (trimSuffix "h" .Values.tls.certManager.duration | int) }}
{{- fail (printf "tls.certManager.renewBefore: must be less than tls.certManager.duration, %s, got %s" .Values.tls.certManager.duration .Values.tls.certManager.renewBefore) }}
{{- end }}
{{- end }}
{{- if and .Values.options.externalIssuer (not (and .Values.options.externalAudience .Values.externalJwks.name)) }}
{{- fail "options.externalIssuer: must be given together with options.externalAudience and externalJwks.name" }}
{{- end }}
{{- if and .Values.gateway.autoscaling.enabled (not .Values.gateway.enabled) }}
{{- fail "gateway.autoscaling.enabled: must be false without gateway.enabled" }}
{{- end }}
{{- range $path, $pods := dict "" .Values "gateway." .Values.gateway }}
{{- $scale := $pods.autoscaling }}
{{- if $scale.enabled }}
{{- if lt (int $scale.maxReplicas) (int $scale.minReplicas) }}
{{- fail (printf "%sautoscaling.maxReplicas: must be %sautoscaling.minReplicas, %d, or more, got %d" $path $path (int $scale.minReplicas) (int $scale.maxReplicas)) }}
{{- end }}
{{- if not (or $scale.targetCPUUtilizationPercentage $scale.metrics) }}
{{- fail (printf "%sautoscaling.metrics: must say what to scale by when targetCPUUtilizationPercentage is 0" $path) }}
{{- end }}
{{- if and $scale.targetCPUUtilizationPercentage (not (dig "requests" "cpu" "" ($pods.resources | default dict))) }}
{{- fail (printf "%sresources.requests.cpu: must be given with %sautoscaling.targetCPUUtilizationPercentage, which is a part of it" $path $path) }}
{{- end }}
{{- end }}
{{- if and $.Values.serviceMonitor.enabled (not $pods.options.metrics) }}
{{- fail (printf "%soptions.metrics: must be true with serviceMonitor.enabled" $path) }}
{{- end }}
{{- end }}
{{- with .Values.podDisruptionBudget }}
{{- if and (ne (toString .minAvailable) "") (ne (toString .maxUnavailable) "") }}
{{- fail "podDisruptionBudget.minAvailable: must be empty when podDisruptionBudget.maxUnavailable is given" }}
{{- end }}
{{- end }}
{{- with .Values.service }}
{{- if ne .type "LoadBalancer" }}
{{- range $name := list "loadBalancerClass" "loadBalancerSourceRanges" }}
{{- if index $.Values.service $name }}
{{- fail (printf "service.%s: must be empty unless service.type is LoadBalancer, got type %s" $name $.Values.service.type) }}
{{- end }}
{{- end }}
{{- end }}
{{- if eq .type "ClusterIP" }}
{{- if .externalTrafficPolicy }}
{{- fail "service.externalTrafficPolicy: must be empty with service.type: ClusterIP" }}
{{- end }}
{{- range $name := list "grpc" "http" }}
{{- if (index $.Values.service $name).nodePort }}
{{- fail (printf "service.%s.nodePort: must be 0 with service.type: ClusterIP" $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .grpc.nodePort (eq (int .grpc.nodePort) (int .http.nodePort)) }}
{{- fail (printf "service.http.nodePort: must be another than service.grpc.nodePort, got %d for both" (int .http.nodePort)) }}
{{- end }}
{{- if and (eq (int .grpc.port) (int .http.port)) (not $.Values.gateway.enabled) }}
{{- fail (printf "service.http.port: must be another than service.grpc.port, got %d for both" (int .http.port)) }}
{{- end }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
{{- fail "httpRoute.parentRefs: must name a Gateway with httpRoute.enabled" }}
{{- end }}
{{- if and .Values.grpcRoute.enabled (not .Values.grpcRoute.parentRefs) }}
{{- fail "grpcRoute.parentRefs: must name a Gateway with grpcRoute.enabled" }}
{{- end }}
{{- with .Values.grpcRoute }}
{{- $other := $.Values.httpRoute }}
{{- if and .enabled $other.enabled (eq (toJson .parentRefs) (toJson $other.parentRefs)) }}
{{- $shared := or (not .hostnames) (not $other.hostnames) }}
{{- range .hostnames }}{{ $shared = or $shared (has . $other.hostnames) }}{{ end }}
{{- if $shared }}
{{- fail "grpcRoute.hostnames: must be other names than httpRoute.hostnames, or a Gateway takes one of the two routes only" }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* ---- configuration files ---- */}}

{{/* A duration in milliseconds, or a size in bytes. */}}
{{- define "token-service.amount" -}}
{{- $units := dict "" 1 "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000
  "kB" 1e3 "MB" 1e6 "GB" 1e9 "TB" 1e12 "K" 0x1p10 "M" 0x1p20 "G" 0x1p30 "T" 0x1p40 }}
{{- mulf (regexFind "^[0-9]+" .) (get $units (regexReplaceAll "^[0-9]+|iB?$" . "")) }}
{{- end }}

{{/* What the schema cannot say of options: the range of durations and sizes, and what they go with.
     (dict "path" "options" "options" values "store" store) */}}
{{- define "token-service.checkOptions" -}}
{{- $known := get (.root.Files.Get "files/options.json" | fromJson) .path }}
{{- $path := .path }}{{ $store := .root.Values.store }}
{{- range $name, $value := .options }}
{{- with get $known $name }}
{{- if .range }}
{{- $amount := kindIs "string" $value | ternary (include "token-service.amount" (toString $value)) $value | float64 }}
{{- if or (lt $amount (float64 .min)) (and .max (gt $amount (float64 .max))) }}
{{- fail (printf "%s.%s: must be %s, got %v" $path $name .range $value) }}
{{- end }}
{{- end }}
{{- if and .store (ne .store $store) (ne (toString $value) (toString .default)) }}
{{- fail (printf "%s.%s: must be given together with store: %s, got %v" $path $name .store $value) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Options as the file of --config has them: cacheTtl: 30s -> cache-ttl: "30s"; "" is left out. */}}
{{- define "token-service.options" -}}
{{- range $name, $value := . }}
{{- if kindIs "float64" $value }}
{{ kebabcase $name }}: {{ int64 $value }}
{{- else if kindIs "slice" $value }}
{{ kebabcase $name }}: {{ toJson $value }}
{{- else if ne (toString $value) "" }}
{{ kebabcase $name }}: {{ toJson $value }}
{{- end }}
{{- end }}
{{- end }}

{{/* Does the cluster know a preStop of `sleep`? Without it the drain delay has it all. */}}
{{- define "token-service.canSleep" -}}
{{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}true{{ end }}
{{- end }}

{{/* Replaceable pods leave in turn; a single one has nobody to wait for. */}}
{{- define "token-service.drain" -}}
{{- $drain := .root.Values.drain }}
{{- $delay := $drain.delaySeconds }}
{{- if .alone }}{{ $delay = 0 }}
{{- else if not (include "token-service.canSleep" .root) }}{{ $delay = add $drain.preStopSeconds $drain.delaySeconds }}
{{- end }}
drain-delay: {{ $delay }}s
drain-grace: {{ .root.Values.drain.graceSeconds }}s
{{- end }}

{{- define "token-service.listenTls" -}}
{{- if include "token-service.tlsSecret" . }}
tls-cert-file: /etc/token-service/tls/tls.crt
tls-key-file: /etc/token-service/tls/tls.key
{{- if ne .Values.tls.clientAuth "none" }}
tls-client-auth: {{ .Values.tls.clientAuth }}
tls-client-ca-file: /etc/token-service/tls/{{ .Values.tls.caKey }}
{{- end }}
{{- else }}
insecure-plaintext: true
{{- end }}
{{- end }}

{{- define "token-service.config" -}}
grpc-listen: {{ printf "%s:50051" (include "token-service.listenAddress" .) | quote }}
http-listen: {{ printf "%s:8080" (include "token-service.listenAddress" .) | quote }}
{{ include "token-service.listenTls" . | trim }}
data-dir: /var/lib/token-service
store: {{ .Values.store }}
{{- if eq .Values.store "postgres" }}
postgres-url: {{ .Values.postgres.url | quote }}
{{- with .Values.postgres.directUrl }}
postgres-direct-url: {{ . | quote }}
{{- end }}
{{- if .Values.postgres.existingSecret }}
postgres-password-file: /etc/token-service/secrets/postgres-password
{{- end }}
{{- end }}
admin-token-file: /etc/token-service/secrets/admin-token
encryption-key-file: /etc/token-service/secrets/encryption-key
{{- if .Values.jwtKey.existingSecret }}
jwt-key-file: /etc/token-service/secrets/jwt-key
{{- end }}
{{- if .Values.externalJwks.name }}
external-jwks-file: /etc/token-service/external/jwks.json
{{- end }}
{{ include "token-service.drain" (dict "root" . "alone" (include "token-service.isStateful" .)) }}
{{- include "token-service.options" .Values.options }}
{{- with .Values.roles }}
roles:
{{- range $name, $role := . }}
  - name: {{ $name | quote }}
    {{- toYaml $role | nindent 4 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "token-service.gatewayConfig" -}}
http-listen: {{ printf "%s:8080" (include "token-service.listenAddress" .) | quote }}
{{ include "token-service.listenTls" . | trim }}
service: {{ printf "%s.%s.svc:50051" (include "token-service.headlessName" .) .Release.Namespace | quote }}
{{- if include "token-service.tlsSecret" . }}
service-tls: true
{{- if .Values.tls.caKey }}
service-ca-file: /etc/token-service/tls/{{ .Values.tls.caKey }}
{{- end }}
service-name: {{ .Values.tls.serviceName | default (printf "%s.%s.svc" (include "token-service.fullname" .) .Release.Namespace) }}
{{- end }}
{{ include "token-service.drain" (dict "root" . "alone" "") }}
{{- include "token-service.options" .Values.gateway.options }}
{{- end }}

{{/* ---- parts of pods ---- */}}

{{- define "token-service.preStop" -}}
{{- if and (not .alone) .root.Values.drain.preStopSeconds (include "token-service.canSleep" .root) }}
lifecycle:
  preStop:
    sleep:
      seconds: {{ .root.Values.drain.preStopSeconds }}
{{- end }}
{{- end }}

{{- define "token-service.gracePeriod" -}}
{{- $drain := .root.Values.drain }}
{{- if .alone }}{{ add $drain.graceSeconds 5 }}{{ else }}{{ add $drain.preStopSeconds $drain.delaySeconds $drain.graceSeconds 5 }}{{ end }}
{{- end }}

{{/* Alive needs no database; ready does. The start may take as long as migrations do. */}}
{{- define "token-service.probes" -}}
{{- $scheme := include "token-service.scheme" .root | upper }}
startupProbe:
  httpGet: {path: /healthz, port: http, scheme: {{ $scheme }}}
  periodSeconds: 1
  timeoutSeconds: {{ .probes.timeoutSeconds }}
  failureThreshold: {{ .probes.startupSeconds }}
livenessProbe:
  httpGet: {path: /healthz, port: http, scheme: {{ $scheme }}}
  periodSeconds: {{ .probes.livenessPeriodSeconds }}
  timeoutSeconds: {{ .probes.timeoutSeconds }}
  failureThreshold: {{ .probes.livenessFailures }}
readinessProbe:
  httpGet: {path: /readyz, port: http, scheme: {{ $scheme }}}
  periodSeconds: {{ .probes.readinessPeriodSeconds }}
  timeoutSeconds: {{ .probes.timeoutSeconds }}
  failureThreshold: {{ .probes.readinessFailures }}
{{- end }}

{{- define "token-service.image.fields" -}}
image: {{ include "token-service.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{/* Pods without access to the API, which pass the Pod Security Standard "restricted". */}}
{{- define "token-service.podBasics" -}}
serviceAccountName: {{ include "token-service.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with concat (.Values.global.imagePullSecrets | default list) .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Where pods may run: (dict "root" $ "component" C "where" values) */}}
{{- define "token-service.placement" -}}
{{- $root := .root }}{{ $component := .component }}
{{- with .where.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .where.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .where.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .where.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .where.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .where.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - {{ toYaml . | nindent 4 | trim }}
    {{- if not .labelSelector }}
    labelSelector:
      matchLabels:
        {{- include "token-service.selectorLabels" (dict "root" $root "component" $component) | nindent 8 }}
    {{- end }}
  {{- end }}
{{- end }}
{{- with .where.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "token-service.tlsVolume" -}}
{{- with include "token-service.tlsSecret" . }}
- name: tls
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end }}
