{{- define "omniroute.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects: never changes in the life of a release. */}}
{{- define "omniroute.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "omniroute.labels" -}}
{{ include "omniroute.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: omniroute
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "omniroute.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "omniroute.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "omniroute.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{/* How long a pod may take to stop: the drain of the product (gateway/serve/supervisor.py), its own spare time of 7 s, and as much again. */}}
{{- define "omniroute.gracePeriod" -}}
{{- add (ceil .Values.drain.delaySeconds) (ceil .Values.drain.streamsSeconds) 15 -}}
{{- end -}}

{{/* Said before anything is rendered, with what to do. */}}
{{- define "omniroute.check" -}}
{{- if not .Values.secrets.existingSecret -}}
{{- fail "secrets.existingSecret is required: make a Secret with API_KEY_SECRET, STORAGE_ENCRYPTION_KEY, REDIS_URL and DATABASE_URL, and name it (see the chart's README)" -}}
{{- end -}}
{{- if and (gt (int .Values.admin.replicas) 1) .Values.admin.persistence.enabled -}}
{{- fail "admin.replicas above 1 needs admin.persistence.enabled=false: one volume holds the backups of one admin" -}}
{{- end -}}
{{- if and .Values.redis.host .Values.redis.sentinel.hosts -}}
{{- fail "redis.host and redis.sentinel.hosts exclude each other: the Sentinels say where the server is" -}}
{{- end -}}
{{- if and .Values.redis.sentinel.hosts (not .Values.redis.sentinel.primary) -}}
{{- fail "redis.sentinel.primary is required with redis.sentinel.hosts: what the Sentinels call the primary" -}}
{{- end -}}
{{- if and .Values.redis.sentinel.hosts .Values.redis.tls -}}
{{- fail "redis.tls is not available with Sentinels" -}}
{{- end -}}
{{- if and .Values.config.inline .Values.config.existingConfigMap -}}
{{- fail "config.inline and config.existingConfigMap exclude each other" -}}
{{- end -}}
{{- $scaling := .Values.gateway.autoscaling -}}
{{- if and $scaling.enabled (not $scaling.cpuUtilization) (not $scaling.openStreams.enabled) -}}
{{- fail "gateway.autoscaling needs cpuUtilization, openStreams.enabled, or both" -}}
{{- end -}}
{{- end -}}
