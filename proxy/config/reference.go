package config

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
)

const referenceIntro = `# The configuration file

Generated from the structs of ` + "`proxy/config`" + `; do not edit. ` + "`hopscope config schema`" + ` prints the same as a
JSON Schema for editors, ` + "`hopscope check -c FILE`" + ` tells what is wrong with a file.

A configuration is one YAML document. A key that is not listed here is an error, and so is one
that is given twice. An absent key has its default; a key with nothing behind it is an error.
A string that looks like a number, like true or false, or like null goes in quotes.

- A *duration* is a number with a unit: ` + "`250ms`, `10s`, `5m`, `1h30m`" + `; or ` + "`0`" + `.
- An *address* is a host and a port: ` + "`127.0.0.1:3000`, `web:80`, `\"[::1]:3000\"`" + `. IPv6 addresses
  are in brackets, and so the whole goes in quotes.
- A *file* is a path, relative to the directory that hopscope is started in. ` + "`hopscope check`" + ` reads
  these files too.
- What is *in per cent* is a number without a sign: ` + "`20`" + `.
- Bytes are counted in plain integers. A *size* may also have a unit: ` + "`64KiB`, `10MiB`, `1GiB`" + `.
- Anchors (` + "`&name`" + `), aliases (` + "`*name`" + `) and merge keys (` + "`<<: *name`" + `) can be used to repeat what is the same.

` + "```yaml" + `
service: web
admin: {address: 127.0.0.1:9901}
listeners:
  - name: ingress
    address: 0.0.0.0:8080
    routes:
      - match: {path_prefix: /api/}
        cluster: api
      - cluster: web            # everything else
clusters:
  web: {endpoints: [127.0.0.1:3000, 127.0.0.1:3001]}
  api: {endpoints: [127.0.0.1:4000], connect_timeout: 250ms}
telemetry:
  traces: {otlp: {endpoint: 127.0.0.1:4317}, sample: 0.01}
  access_log: {path: stdout}
` + "```" + `

With TLS on both sides, where both sides show certificates:

` + "```yaml" + `
listeners:
  - name: edge
    address: 0.0.0.0:8443
    tls:
      certificates: [{cert: web.pem, key: web.key}]
      client_auth: require
      client_ca: ca.pem
      client_san: ["spiffe://mesh/ns/default/*"]
    routes: [{cluster: api}]
clusters:
  api: {endpoints: [127.0.0.1:4443], tls: {ca: ca.pem, sni: api.internal, cert: me.pem, key: me.key}}
` + "```" + `

With endpoints that come and go: those of a service of Consul, of a name in DNS and of a file.
Requests that fail are sent again, and endpoints that fail are taken out:

` + "```yaml" + `
listeners:
  - name: ingress
    address: 0.0.0.0:8080
    routes:
      - {match: {path_prefix: /pay/}, cluster: payments}
      - {match: {path_prefix: /old/}, cluster: legacy}
      - {match: {path_prefix: /batch/}, cluster: batch}
consul: {address: 127.0.0.1:8500, token_file: consul.token}   # once; a cluster may override it
clusters:
  payments:
    consul: {service: payments, tags: [v2], only_passing: true}
    balance: {policy: peak_ewma}
    retry: {on: [connect-failure, gateway-error], attempts: 2, budget: {percent: 20}}
    circuit_breaker: {max_connections: 1024, max_pending: 1024, max_requests: 1024, max_retries: 3}
    outlier: {consecutive_5xx: 5, interval: 10s, base_ejection: 30s, max_ejected_percent: 10}
    health_checks: [{http: {path: /health}, interval: 5s, timeout: 1s}]
  legacy: {dns: {name: legacy.internal, port: 8080}}
  batch: {file: {path: endpoints.yaml}}
` + "```" + `
`

// Reference is the reference of every key in Markdown, generated from
// config.go: docs/config.md.
func Reference() []byte {
	r := referenceWriter{comments: readComments()}
	r.b.WriteString(referenceIntro)
	r.section("", "", reflect.TypeFor[Config]())
	return r.b.Bytes()
}

type referenceWriter struct {
	b        bytes.Buffer
	comments comments
}

// section writes the table of a struct's keys, then the tables of the structs that they
// hold. name is the end of the path.
func (r *referenceWriter) section(path, name string, t reflect.Type) {
	if path == "" {
		r.b.WriteString("\n## Top level\n")
	} else {
		// A Go name of two words is the key's name by now.
		meaning := startWith(startWith(r.comments[t.Name()], t.Name(), "`"+name+"`"), name, "`"+name+"`")
		fmt.Fprintf(&r.b, "\n## %s\n\n%s\n", path, meaning)
		path += "."
	}
	r.b.WriteString("\n| Key | Type | Default | Meaning |\n|---|---|---|---|\n")
	for _, k := range keysOf(t) {
		meaning := startWith(r.comments.field(k), k.name, "`"+k.name+"`")
		fmt.Fprintf(&r.b, "| `%s%s` | %s | %s | %s |\n", path, k.name, cell(k.typeText()), k.defaultText(), cell(meaning))
	}
	for _, k := range keysOf(t) {
		if inner, suffix := k.holds(); inner != nil {
			r.section(path+k.name+suffix, k.name+suffix, inner)
		}
	}
}

// holds returns the struct that a key holds, if any, and what its path has
// behind the key.
func (k key) holds() (inner reflect.Type, suffix string) {
	inner = k.typ
	switch kindOf(k.typ) {
	case kindPointer:
		inner = inner.Elem()
	case kindList:
		inner, suffix = inner.Elem(), "[]"
	case kindMap:
		inner, suffix = inner.Elem(), ".NAME"
	}
	if kindOf(inner) != kindStruct {
		return nil, ""
	}
	return inner, suffix
}

// typeText is the type of a key with its limits.
func (k key) typeText() string {
	switch kindOf(k.typ) {
	case kindStruct, kindPointer, kindJSON:
		if k.orBool {
			return "mapping, or `true` or `false`"
		}
		return "mapping"
	case kindMap:
		return "mapping of names to " + plural(k.elem().typeText())
	case kindList:
		return "list of " + plural(k.elem().typeText())
	case kindBool:
		return "`true` or `false`"
	case kindInt:
		return "integer" + k.limits()
	case kindFloat:
		return "number" + k.limits()
	case kindDuration:
		if k.min == "0" {
			return "duration"
		}
		return "duration" + k.limits()
	case kindNetwork:
		return "network"
	}
	words := k.literals
	if len(k.enum) > 0 {
		words = k.enum
	}
	text := "`" + strings.Join(words, "`, `") + "`"
	switch {
	case len(k.enum) > 0:
		return "one of " + text
	case k.ref != "":
		return "name of one of `" + k.ref + "`"
	case len(k.literals) > 0:
		return k.formatText() + " or " + text
	}
	return k.formatText()
}

func (k key) formatText() string {
	switch k.format {
	case "":
		return "string"
	case "listen":
		return "address"
	case "log format":
		return "format string"
	case "url", "trace link":
		return "URL"
	case "collector":
		return "address or URL"
	case "authority":
		return "host, with or without port"
	case "target":
		return "path, with or without query"
	case "regex":
		return "regular expression"
	case "path template":
		return "template of a path"
	case "grpc name":
		return "name"
	case "hostname":
		return "host name"
	case "field":
		return "field name"
	case "cookie":
		return "cookie name"
	case "domain":
		return "host name"
	case "datacenter":
		return "name"
	case "statuses":
		return "status or range"
	case "ip":
		return "host name or IP address"
	case "san":
		return "DNS name or SPIFFE id"
	case "spki":
		return "pin"
	}
	return k.format
}

func plural(text string) string {
	switch text {
	case "address":
		return "addresses"
	case "DNS name or SPIFFE id":
		return "DNS names and SPIFFE ids"
	case "status or range":
		return "statuses and ranges"
	}
	if words, ok := strings.CutPrefix(text, "one of "); ok {
		return "any of " + words
	}
	if limits, ok := strings.CutPrefix(text, "integer "); ok {
		return "integers " + limits
	}
	return text + "s"
}

func (k key) defaultText() string {
	switch {
	case k.required:
		return "required"
	case kindOf(k.typ) == kindPointer:
		return "absent"
	case k.def == "":
		return ""
	case kindOf(k.typ) == kindList:
		return "`[" + strings.ReplaceAll(k.def, ",", ", ") + "]`"
	}
	return "`" + k.def + "`"
}

// cell makes text fit for a cell of a Markdown table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`).Replace(text)
}
