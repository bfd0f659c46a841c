package main

// The configurations that are attacked: what a user would write, with nothing set
// against the attack.

var (
	hopscopePlain  = hopscope(`{access_log: {path: "off"}}`)
	hopscopeFIFO   = hopscope(`{access_log: {path: "{{fifo .Dir}}"}}`)
	hopscopeZipkin = hopscope(`{access_log: {path: "off"}, traces: {sample: 1, zipkin: {url: "http://{{.Refused}}/api/v2/spans?api_key=` + zipkinKey + `"}}}`)
)

// zipkinKey is a secret.
const zipkinKey = "k3yOfTheAttack"

func hopscope(telemetry string) string { return hopscopeBase + "telemetry: " + telemetry + "\n" }

const hopscopeBase = `
service: shop
admin: {address: "{{.Admin}}"}
clusters:
  web: {endpoints: ["{{.Endpoint}}"]}
  stalled: {endpoints: ["{{.Stalled}}"], protocol: http2}
  refused: {endpoints: ["{{.Refused}}"]}
  echo: {endpoints: ["{{.Echo}}"]}
  endless: {endpoints: ["{{.Endless}}"]}
listeners:
  - name: ingress
    address: "{{.Listen}}"
    routes:
      - {match: {path_prefix: /stalled}, cluster: stalled, timeout: 60s}
      - {match: {path_prefix: /xxx}, cluster: refused}
      - {cluster: web}
  - {name: other, address: "{{.Other}}", routes: [{cluster: web}]}
  - {name: echoing, address: "{{.Echoing}}", routes: [{cluster: echo}]}
  - {name: interim, address: "{{.Interim}}", routes: [{cluster: endless}]}
  - {name: forward, address: "{{.Forward}}", direction: outbound, forward_proxy: {}}
`

const haproxyPlain = `
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout http-request 10s
frontend in
    bind {{.Listen}}
    use_backend stalled if { path_beg /stalled }
    default_backend web
frontend other
    bind {{.Other}}
    default_backend web
frontend interim
    bind {{.Interim}}
    default_backend endless
backend web
    server a {{.Endpoint}}
backend stalled
    server a {{.Stalled}} proto h2
backend endless
    server a {{.Endless}}
`
