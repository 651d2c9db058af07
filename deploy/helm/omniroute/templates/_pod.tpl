{{/* What the pods of both planes have in common: (top, own, component). */}}
{{- define "omniroute.podMetadata" -}}
labels:
  {{- include "omniroute.labels" .top | nindent 2 }}
  app.kubernetes.io/component: {{ .component }}
  {{- with .own.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "omniroute.podCommon" -}}
serviceAccountName: {{ include "omniroute.serviceAccount" .top }}
{{ include "omniroute.podBase" .top }}
{{- with .own.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- include "omniroute.podPlace" .own }}
{{- with .own.spread }}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: {{ $.own.spread }}
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "omniroute.selector" $.top | nindent 8 }}
        app.kubernetes.io/component: {{ $.component }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* The nodes that may have a pod. What runs for a while only goes where admin goes: a cluster may have no node for it else. */}}
{{- define "omniroute.podPlace" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A Service named like our variables would set OMNIROUTE_METRICS_PORT and others to addresses: so no service links. */}}
{{- define "omniroute.podBase" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "omniroute.containerBase" -}}
image: {{ include "omniroute.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- end -}}

{{/* `run` holds sockets and metrics files that are written four times a second: in memory. */}}
{{- define "omniroute.scratchVolumes" -}}
- name: run
  emptyDir: {medium: Memory, sizeLimit: 64Mi}
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
{{- end -}}

{{- define "omniroute.mounts" -}}
- {name: data, mountPath: /var/lib/omniroute}
- {name: run, mountPath: /run/omniroute}
- {name: tmp, mountPath: /tmp}
{{- end -}}
