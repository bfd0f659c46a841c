package config

import (
	"time"

	"github.com/hopscope/hopscope/telemetry/accesslog"
	"github.com/hopscope/hopscope/telemetry/operators"
)

// AccessLog has a line for each hop: see docs/access-log.md. Change the lines with one of
// "fields", "format" and "json_format".
type AccessLog struct {
	AccessLogTo
	// Also are further logs, each with its own lines and its own choice of hops.
	Also []AccessLogTo `yaml:"also"`
}

// AccessLogTo is one log, with its own lines and its own choice of hops.
type AccessLogTo struct {
	// Path is a file, "stdout", "stderr", or "off". The file is reopened on
	// SIGUSR1. If the log goes elsewhere, the default is "off".
	Path string `yaml:"path" default:"stdout"`
	// OTLP sends a log record for each hop to an OpenTelemetry collector.
	OTLP *OTLP `yaml:"otlp"`
	// ALS sends an entry for each hop to a service of Envoy's gRPC access log.
	ALS *ALS `yaml:"als"`
	// Fields are the keys that a line has, of those of the default line, in this order.
	Fields []string `yaml:"fields" enum:"time,service,direction,client,host,method,path,route,cluster,upstream,protocol,status,grpc_status,grpc_status_name,grpc_message,flags,failed_hop,failure_reason,failure,bytes_in,bytes_out,duration_ms,upstream_ms,timeout_ms,attempts,trace_id,span_id,parent_id,sampled,request_id,user_agent,tls,rewritten_path,write_blocked_ms,queued_ms,recovered,variant,mirrored,injected"`
	// Format makes lines of text by a format string with Envoy's command operators, such as
	// "%REQ(:METHOD)% %RESPONSE_CODE%".
	Format string `yaml:"format" format:"log format"`
	// JSONFormat makes lines of JSON, with names of your own, as Envoy's json_format: a
	// mapping of names to format strings, lists, or further mappings.
	JSONFormat JSON `yaml:"json_format"`
	// Only says which hops have a line: "all", "failed", or "failed_or_slow".
	Only string `yaml:"only" default:"all" enum:"all,failed,failed_or_slow"`
	// Sample is the share of traces whose hops have a line, from 0 to 1. The trace id
	// decides, so all proxies with the same share keep the same traces. Failed and slow hops
	// always have a line.
	Sample float64 `yaml:"sample" default:"1.0" min:"0" max:"1"`
}

// ALS is a service of Envoy's gRPC access log (envoy.service.accesslog.v3). Entries wait in
// at most 16 MiB of memory.
type ALS struct {
	// Address is the service's host and port.
	Address string `yaml:"address" required:"true" format:"address"`
	// LogName is the name of the log, which the service is told.
	LogName string `yaml:"log_name" default:"hopscope" format:"name"`
	// Timeout is how long the service may leave a message unread.
	Timeout time.Duration `yaml:"timeout" default:"10s" min:"1ms"`
	// TLS encrypts the connection, and verifies the service with the system's
	// authorities.
	TLS bool `yaml:"tls" default:"false"`
}

// NewALS returns a service of Envoy's gRPC access log with every default in place.
func NewALS(address string) *ALS {
	a := withDefaults[ALS]()
	a.Address = address
	return &a
}

// elsewhere reports whether the log goes to something else than a file.
func (a *AccessLogTo) elsewhere() bool { return a.OTLP != nil || a.ALS != nil }

// settleAccessLogs turns off the files that nobody has asked for.
func settleAccessLogs(root *place, c *Config) {
	c.eachAccessLog(root, func(p *place, a *AccessLogTo) {
		if a.elsewhere() && !p.key("path").written {
			a.Path = "off"
		}
	})
}

// eachAccessLog visits the access logs of the configuration.
func (c *Config) eachAccessLog(root *place, visit func(*place, *AccessLogTo)) {
	top := root.key("telemetry").key("access_log")
	visit(top, &c.Telemetry.AccessLog.AccessLogTo)
	for i := range c.Telemetry.AccessLog.Also {
		visit(top.key("also").item(i), &c.Telemetry.AccessLog.Also[i])
	}
}

// All returns all logs.
func (a *AccessLog) All() []*AccessLogTo {
	all := []*AccessLogTo{&a.AccessLogTo}
	for i := range a.Also {
		all = append(all, &a.Also[i])
	}
	return all
}

// Layout returns what the lines of the log look like; nil for the default. It adds the
// fields that have to be recorded for them.
func (a *AccessLogTo) Layout(recorded *operators.Recorded) (*accesslog.Layout, error) {
	return accesslog.Format{Fields: a.Fields, Text: a.Format, JSON: string(a.JSONFormat)}.Compile(recorded)
}

// accessLogs checks what spans the keys of access logs.
func (v validator) accessLogs() {
	var recorded operators.Recorded
	v.config.eachAccessLog(v.root, func(p *place, a *AccessLogTo) {
		if a != &v.config.Telemetry.AccessLog.AccessLogTo && a.Path == "off" && !a.elsewhere() {
			v.errs.add(p.key("path"), `"off" makes this log do nothing: remove it from the list`)
		}
		v.accessLog(p, a, &recorded)
	})
}

// accessLog checks the lines of one log.
func (v validator) accessLog(p *place, a *AccessLogTo, recorded *operators.Recorded) {
	var given []string
	for _, k := range []struct {
		name string
		is   bool
	}{{"fields", len(a.Fields) > 0}, {"format", a.Format != ""}, {"json_format", a.JSONFormat != ""}} {
		if k.is {
			given = append(given, k.name)
		}
	}
	if len(given) > 1 {
		v.errs.add(p.key(given[1]), "a log has one of fields, format and json_format: %s is there already", given[0])
		return
	}
	if len(given) > 0 && a.Path == "off" && a.ALS != nil && a.OTLP == nil {
		v.errs.add(p.key(given[0]), "has no effect: it makes lines, and this log has none; entries of als have a form of their own")
		return
	}
	if len(given) == 0 || given[0] == "fields" || given[0] == "format" && checkLogFormat(a.Format) != nil {
		return // it was checked for itself
	}
	if _, err := a.Layout(recorded); err != nil {
		v.errs.add(p.key(given[0]), "%v", err)
	}
}

// checkLogFormat checks a format string for itself.
func checkLogFormat(s string) error {
	_, err := accesslog.Format{Text: s}.Compile(new(operators.Recorded))
	return err
}
