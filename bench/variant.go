package main

import (
	"bytes"
	"embed"
	"fmt"
	"path/filepath"
	"strings"
	"text/template"
)

// configFiles are the configurations of everything that runs, with {{.Names}}
// where a port or a path goes.
//
//go:embed configs
var configFiles embed.FS

// Names of the variants that targets and ratios speak of.
const (
	haproxyPlain   = "haproxy-plain"
	haproxyDressed = "haproxy-dressed"
	hopscopeFull   = "hopscope-full"
	hopscopeTraces = "hopscope-traces-100"
	hopscopeOff    = "hopscope-off"

	haproxyH2    = "haproxy-h2"
	hopscopeH2   = "hopscope-h2"
	haproxyH2H2  = "haproxy-h2h2"
	hopscopeH2H2 = "hopscope-h2h2"
	haproxyGRPC  = "haproxy-grpc"
	hopscopeGRPC = "hopscope-grpc"
	haproxyTLS   = "haproxy-tls"
	hopscopeTLS  = "hopscope-tls"

	haproxyLarge  = "haproxy-large"
	hopscopeLarge = "hopscope-large"
	haproxyChurn  = "haproxy-churn"
	hopscopeChurn = "hopscope-churn"

	haproxyOne   = "haproxy-one"
	hopscopeOne  = "hopscope-one"
	hopscopeMany = "hopscope-many"

	hopscopePlainRoute = "hopscope-plain-route"
	hopscopeRoutes     = "hopscope-routes"
)

// variant is one row of the result: a proxy with one configuration, and what
// that configuration promises to do for each request. The promises are checked,
// so that no row looks cheap by not doing its work.
type variant struct {
	name    string
	group   string // that it is measured in
	program string // haproxy, nginx or hopscope
	config  string // file in configs/
	base    string // the variant that its ratio is to; empty: its group's

	fileLog     bool    // a line a request in the access log file
	stdoutLog   bool    // the same, written to stdout, which goes to a file
	syslog      bool    // a line a request to the syslog sink
	spans       float64 // spans a request at the OTLP sink
	traceparent bool    // the backend sees traceparent and x-request-id
	proxyStatus bool    // responses carry Proxy-Status; when false they must not

	endpoints int // that its cluster has; 0: the one that its group's backend is
	routes    int // that it has; 0: one
}

// traced is the spans a request at a sample of 1 %: a sampled hop is one, with its one
// attempt.
const traced = 0.01

// variants lists the rows in the order they are reported, a group after the other.
func variants() []variant {
	return []variant{
		{name: haproxyPlain, group: groupHTTP1, program: "haproxy", config: "haproxy-plain.cfg"},
		{name: haproxyDressed, group: groupHTTP1, program: "haproxy", config: "haproxy-dressed.cfg", syslog: true, traceparent: true},
		// Where httplog goes is much of what it costs; this is the cheapest way to a file.
		{name: "haproxy-dressed-stdout", group: groupHTTP1, program: "haproxy", config: "haproxy-dressed-stdout.cfg", stdoutLog: true, traceparent: true},
		{name: "nginx-plain", group: groupHTTP1, program: "nginx", config: "nginx-plain.conf"},
		fullyViewed(hopscopeFull, groupHTTP1, "hopscope-full.yaml", traced),
		fullyViewed(hopscopeTraces, groupHTTP1, "hopscope-traces-100.yaml", 1),
		{name: hopscopeOff, group: groupHTTP1, program: "hopscope", config: "hopscope-off.yaml"},

		{name: haproxyH2, group: groupH2, program: "haproxy", config: "haproxy-h2.cfg"},
		{name: "nginx-h2", group: groupH2, program: "nginx", config: "nginx-h2.conf"},
		fullyViewed(hopscopeH2, groupH2, "hopscope-h2.yaml", traced),

		// nginx speaks HTTP/2 to no server but one of gRPC.
		{name: haproxyH2H2, group: groupH2H2, program: "haproxy", config: "haproxy-h2h2.cfg"},
		fullyViewed(hopscopeH2H2, groupH2H2, "hopscope-h2h2.yaml", traced),

		{name: haproxyGRPC, group: groupGRPC, program: "haproxy", config: "haproxy-h2h2.cfg"},
		{name: "nginx-grpc", group: groupGRPC, program: "nginx", config: "nginx-grpc.conf"},
		fullyViewed(hopscopeGRPC, groupGRPC, "hopscope-h2h2.yaml", traced),

		{name: haproxyTLS, group: groupTLS, program: "haproxy", config: "haproxy-tls.cfg"},
		{name: "nginx-tls", group: groupTLS, program: "nginx", config: "nginx-tls.conf"},
		fullyViewed(hopscopeTLS, groupTLS, "hopscope-tls.yaml", traced),

		{name: haproxyLarge, group: groupLarge, program: "haproxy", config: "haproxy-plain.cfg"},
		{name: "nginx-large", group: groupLarge, program: "nginx", config: "nginx-plain.conf"},
		fullyViewed(hopscopeLarge, groupLarge, "hopscope-full.yaml", traced),

		{name: haproxyChurn, group: groupChurn, program: "haproxy", config: "haproxy-plain.cfg"},
		{name: "nginx-churn", group: groupChurn, program: "nginx", config: "nginx-plain.conf"},
		fullyViewed(hopscopeChurn, groupChurn, "hopscope-full.yaml", traced),

		scaled(hopscopeOne, 1, 1),
		scaled(hopscopeMany, manyEndpoints, manyRoutes),
		// What each of the two costs by itself.
		scaled("hopscope-many-endpoints", manyEndpoints, 1),
		scaled("hopscope-many-routes", 1, manyRoutes),
		// What a thousand connections cost in the kernel is in these as well.
		{name: haproxyOne, group: groupScale, program: "haproxy", config: "haproxy-scale.cfg", base: haproxyOne, endpoints: 1},
		{name: "haproxy-many", group: groupScale, program: "haproxy", config: "haproxy-scale.cfg", base: haproxyOne, endpoints: manyEndpoints},

		fullyViewed(hopscopePlainRoute, groupRoutes, "hopscope-full.yaml", traced),
		fullyViewed(hopscopeRoutes, groupRoutes, "hopscope-routes.yaml", traced),
	}
}

// fullyViewed is a hopscope with every view on.
func fullyViewed(name, group, config string, spans float64) variant {
	return variant{name: name, group: group, program: "hopscope", config: config,
		fileLog: true, spans: spans, traceparent: true, proxyStatus: true}
}

// scaled is a hopscope with every view on and so many endpoints and routes.
func scaled(name string, endpoints, routes int) variant {
	v := fullyViewed(name, groupScale, "hopscope-scale.yaml", traced)
	v.endpoints, v.routes = endpoints, routes
	return v
}

// baseOf is the variant that the ratio of another is to.
func baseOf(group, name string) string {
	for _, v := range variants() {
		if v.name == name && v.base != "" {
			return v.base
		}
	}
	return groupOf(group).base
}

func variantNames() []string {
	var names []string
	for _, v := range variants() {
		names = append(names, v.name)
	}
	return names
}

// places is what a configuration template may name. Addresses are host:port.
type places struct {
	Dir       string // private folder of this process
	Listen    string // where it listens
	Backend   string // where it sends requests
	Service   string // the variant's name
	Admin     string // hopscope's admin API
	OTLP      string // the span sink
	Syslog    string // the syslog sink
	AccessLog string // file
	Bodies    []int  // bytes; the backend's answers

	ListenHTTP2     string // where the backend speaks HTTP/2
	ListenAll       string // where it speaks HTTP/1.1 on every address, if anywhere
	Cert, Key, Pair string // files of the certificate, its key, and both in one

	Endpoints   []string // the backend's addresses, where there may be many
	OtherRoutes []string // matches of routes that no request takes

	Consul        string // where Consul answers
	ConsulService string // the service that has the endpoints
}

// render fills in the configuration template called name.
func render(name string, p places) ([]byte, error) {
	text, err := configFiles.ReadFile("configs/" + name)
	if err != nil {
		return nil, err
	}
	t, err := template.New(name).Option("missingkey=error").Funcs(template.FuncMap{
		"filler": filler,
		"body":   bodyText,
		"blocks": func() string { return strings.Repeat("$kib", blockBytes/1024) },
		"large":  func(n int) bool { return n >= blockBytes },
	}).Parse(string(text))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, p); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// filler returns n bytes of body.
func filler(n int) string { return strings.Repeat("x", n) }

// bodyText is an nginx string of n bytes. "$kib" stands for 1,024 of them, "$block" for
// blockBytes.
func bodyText(n int) string {
	return strings.Repeat("$block", n/blockBytes) + strings.Repeat("$kib", n%blockBytes/1024) + filler(n%1024)
}

// blockBytes is what a block of a large answer has.
const blockBytes = 64 << 10

// command returns the arguments and extra environment that run program in the
// foreground on a configuration file.
func command(program, path, config string) (argv, env []string, err error) {
	switch program {
	case "haproxy":
		return []string{path, "-db", "-f", config}, nil, nil
	case "nginx":
		return []string{path, "-p", filepath.Dir(config), "-e", "stderr", "-c", config}, nil, nil
	case "hopscope", hopscopeBase:
		return []string{path, "run", "-c", config}, []string{"GOMAXPROCS=1"}, nil
	}
	return nil, nil, fmt.Errorf("no way known to run %q", program)
}
