package config

import (
	"github.com/hopscope/hopscope/telemetry/accesslog"
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
	// SIGUSR1.
	Path string `yaml:"path" default:"stdout"`
	// Fields are the keys that a line has, of those of the default line, in this order.
	Fields []string `yaml:"fields" enum:"time,service,direction,client,host,method,path,route,cluster,upstream,protocol,status,grpc_status,grpc_status_name,grpc_message,flags,failed_hop,failure_reason,failure,bytes_in,bytes_out,duration_ms,upstream_ms,timeout_ms,attempts,trace_id,span_id,parent_id,sampled,request_id,user_agent,tls,write_blocked_ms,recovered"`
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
func (a *AccessLogTo) Layout(recorded *accesslog.Recorded) (*accesslog.Layout, error) {
	return accesslog.Format{Fields: a.Fields, Text: a.Format, JSON: string(a.JSONFormat)}.Compile(recorded)
}

// accessLogs checks what spans the keys of access logs.
func (v validator) accessLogs() {
	var recorded accesslog.Recorded
	top := v.root.key("telemetry").key("access_log")
	for i, a := range v.config.Telemetry.AccessLog.All() {
		p := top
		if i > 0 {
			p = top.key("also").item(i - 1)
			if a.Path == "off" {
				v.errs.add(p.key("path"), `"off" makes this log do nothing: remove it from the list`)
			}
		}
		v.accessLog(p, a, &recorded)
	}
}

// accessLog checks the lines of one log.
func (v validator) accessLog(p *place, a *AccessLogTo, recorded *accesslog.Recorded) {
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
	if len(given) == 0 || given[0] == "fields" || given[0] == "format" && checkLogFormat(a.Format) != nil {
		return // it was checked for itself
	}
	if _, err := a.Layout(recorded); err != nil {
		v.errs.add(p.key(given[0]), "%v", err)
	}
}

// checkLogFormat checks a format string for itself.
func checkLogFormat(s string) error {
	_, err := accesslog.Format{Text: s}.Compile(new(accesslog.Recorded))
	return err
}
