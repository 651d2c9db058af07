{{/* The environment of the product (docs/operations.md, *Settings*). Each process gets what it needs of it and no more. */}}

{{- define "omniroute.environment.common" -}}
- {name: OMNIROUTE_HOST, value: "0.0.0.0"}
- {name: PORT, value: "20128"}
- {name: OMNIROUTE_METRICS_HOST, value: "0.0.0.0"}
- {name: OMNIROUTE_METRICS_PORT, value: "20129"}
- {name: DATA_DIR, value: /var/lib/omniroute}
- {name: OMNIROUTE_RUN_DIR, value: /run/omniroute/own}
- {name: LOG_LEVEL, value: {{ .Values.log.level | quote }}}
- {name: LOG_FORMAT, value: {{ .Values.log.format | quote }}}
- {name: OMNIROUTE_DEMO, value: {{ .Values.demo | quote }}}
- {name: REQUIRE_API_KEY, value: {{ .Values.requireApiKey | quote }}}
{{- if not .Values.requireApiKey }}
- {name: OMNIROUTE_ALLOW_OPEN, value: "true"}
{{- end }}
{{- with .Values.trustedProxies }}
- {name: OMNIROUTE_TRUSTED_PROXIES, value: {{ join "," . | quote }}}
{{- end }}
{{- with include "omniroute.publicUrl" . }}
- {name: BASE_URL, value: {{ . | quote }}}
{{- end }}
{{- end -}}

{{- define "omniroute.publicUrl" -}}
{{- $admin := .Values.ingress.admin -}}
{{- if .Values.publicUrl -}}
{{ .Values.publicUrl }}
{{- else if and $admin.enabled $admin.host -}}
{{ ternary "https" "http" (not (empty $admin.tlsSecret)) }}://{{ $admin.host }}
{{- end -}}
{{- end -}}

{{/* A variable from a Secret: (name, secret, key[, optional]). */}}
{{- define "omniroute.fromSecret" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
      {{- if .optional }}
      optional: true
      {{- end }}
{{- end -}}

{{- define "omniroute.environment.secrets" -}}
{{- range list "API_KEY_SECRET" "STORAGE_ENCRYPTION_KEY" }}
{{ include "omniroute.fromSecret" (dict "name" . "secret" $.Values.secrets.existingSecret "key" .) }}
{{- end }}
{{- end -}}

{{- define "omniroute.environment.redis" -}}
{{- $redis := .Values.redis -}}
{{- if $redis.passwordSecret.name }}
{{ include "omniroute.fromSecret" (dict "name" "REDIS_PASSWORD" "secret" $redis.passwordSecret.name "key" $redis.passwordSecret.key) }}
{{- end }}
{{- if $redis.sentinel.passwordSecret.name }}
{{ include "omniroute.fromSecret" (dict "name" "REDIS_SENTINEL_PASSWORD" "secret" $redis.sentinel.passwordSecret.name "key" $redis.sentinel.passwordSecret.key) }}
{{- end }}
{{- if or $redis.host $redis.sentinel.hosts }}
{{- $login := ternary "" (printf "%s@" $redis.username) (empty $redis.username) }}
{{- if $redis.sentinel.hosts }}
{{- $hosts := list }}
{{- range $redis.sentinel.hosts }}
{{- $hosts = append $hosts (ternary . (printf "%s:%d" . (int $redis.sentinel.port)) (contains ":" .)) }}
{{- end }}
- name: REDIS_URL
  value: {{ printf "redis+sentinel://%s%s/%s/%d" $login (join "," $hosts) $redis.sentinel.primary (int $redis.db) | quote }}
{{- else }}
- name: REDIS_URL
  value: {{ printf "%s://%s%s:%d/%d" (ternary "rediss" "redis" $redis.tls) $login $redis.host (int $redis.port) (int $redis.db) | quote }}
{{- end }}
{{- else }}
{{ include "omniroute.fromSecret" (dict "name" "REDIS_URL" "secret" (default .Values.secrets.existingSecret $redis.urlSecret.name) "key" $redis.urlSecret.key) }}
{{- end }}
{{- with .Values.cache.urlSecret.name }}
{{ include "omniroute.fromSecret" (dict "name" "REDIS_CACHE_URL" "secret" . "key" $.Values.cache.urlSecret.key) }}
{{- end }}
{{- end -}}

{{- define "omniroute.environment.database" -}}
{{- $database := .Values.database -}}
{{- if $database.passwordSecret.name }}
{{ include "omniroute.fromSecret" (dict "name" "DATABASE_PASSWORD" "secret" $database.passwordSecret.name "key" $database.passwordSecret.key) }}
{{- end }}
{{- if $database.host }}
- name: DATABASE_URL
  value: {{ printf "postgresql://%s@%s:%d/%s" $database.username $database.host (int $database.port) $database.name }}{{ with $database.options }}?{{ . }}{{ end }}
{{- else }}
{{ include "omniroute.fromSecret" (dict "name" "DATABASE_URL" "secret" (default .Values.secrets.existingSecret $database.urlSecret.name) "key" $database.urlSecret.key) }}
{{- end }}
{{- end -}}

{{- define "omniroute.environment.gateway" -}}
{{ include "omniroute.environment.common" . }}
- {name: OMNIROUTE_WORKERS, value: {{ .Values.gateway.workers | quote }}}
- {name: SHUTDOWN_DELAY_S, value: {{ .Values.drain.delaySeconds | quote }}}
- {name: SHUTDOWN_TIMEOUT_S, value: {{ .Values.drain.streamsSeconds | quote }}}
{{- include "omniroute.environment.secrets" . }}
{{- include "omniroute.environment.redis" . }}
{{- with .Values.tracing }}
{{- if .endpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ .endpoint | quote }}}
- {name: OTEL_TRACES_SAMPLER_ARG, value: {{ .ratio | quote }}}
- {name: OTEL_RESOURCE_ATTRIBUTES, value: "k8s.namespace.name={{ $.Release.Namespace }}"}
{{- with .headersSecret.name }}
{{ include "omniroute.fromSecret" (dict "name" "OTEL_EXPORTER_OTLP_HEADERS" "secret" . "key" $.Values.tracing.headersSecret.key) }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.gateway.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "omniroute.environment.admin" -}}
{{ include "omniroute.environment.common" . }}
{{- if hasPrefix "https://" (include "omniroute.publicUrl" .) }}
- {name: AUTH_COOKIE_SECURE, value: "true"}
{{- end }}
{{- if or .Values.config.inline .Values.config.existingConfigMap }}
- {name: OMNIROUTE_CONFIG, value: /etc/omniroute/omniroute.yaml}
{{- end }}
{{- include "omniroute.environment.secrets" . }}
{{- range list "JWT_SECRET" "INITIAL_PASSWORD" "OMNIROUTE_INITIAL_KEY" "OMNIROUTE_ADMIN_TOKEN" }}
{{ include "omniroute.fromSecret" (dict "name" . "secret" $.Values.secrets.existingSecret "key" . "optional" true) }}
{{- end }}
{{- include "omniroute.environment.redis" . }}
{{- include "omniroute.environment.database" . }}
{{- with .Values.admin.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "omniroute.environment.migrations" -}}
- {name: DATA_DIR, value: /var/lib/omniroute}
- {name: OMNIROUTE_RUN_DIR, value: /run/omniroute/own}
- {name: LOG_FORMAT, value: {{ .Values.log.format | quote }}}
- {name: OMNIROUTE_MIGRATION_BACKUP, value: {{ not (empty .Values.migrations.backupClaim) | quote }}}
{{- include "omniroute.environment.secrets" . }}
{{- include "omniroute.environment.database" . }}
{{- end -}}
