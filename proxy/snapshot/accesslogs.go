package snapshot

import (
	"context"
	"fmt"
	"os"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/telemetry/accesslog"
	"github.com/hopscope/hopscope/telemetry/accesslog/als"
	"github.com/hopscope/hopscope/telemetry/accesslog/otlp"
	"github.com/hopscope/hopscope/telemetry/otlplogs"
	"github.com/hopscope/hopscope/telemetry/record"
	"github.com/hopscope/hopscope/telemetry/resource"
)

// openLogs opens the access logs, and finds out which fields have to be recorded for them.
// If one can't be opened, none stays open.
func (p *Proxy) openLogs(t *config.Telemetry) (views []record.View, err error) {
	defer func() {
		if err != nil {
			closeViews(views)
			p.logs = nil
		}
	}()
	about := resource.Options{Version: p.options.Version, Attributes: t.ResourceAttributes}
	for i, a := range t.AccessLog.All() {
		opened, err := p.openLog(i, a, about)
		views = append(views, opened...)
		if err != nil {
			return views, err
		}
	}
	return views, nil
}

// openLog opens one access log, the i-th, which may go to several places. about describes
// this process to collectors.
func (p *Proxy) openLog(i int, a *config.AccessLogTo, about resource.Options) (views []record.View, err error) {
	selection := accesslog.NewSelection(only(a.Only), a.Sample)
	layout, err := a.Layout(&p.recorded)
	if err != nil {
		return nil, fmt.Errorf("access log: %w", err)
	}
	if a.OTLP != nil {
		log, err := p.otlpLog(i, a.OTLP, about, layout, selection)
		if err != nil {
			return views, err
		}
		views = append(views, log)
	}
	if a.ALS != nil {
		log, err := als.New(p.alsOptions(a.ALS, logName(i)+"_als", selection))
		if err != nil {
			return views, err
		}
		views = append(views, log)
	}
	if a.Path == "off" {
		return views, nil
	}
	log, err := accesslog.Open(a.Path, accesslog.Options{Name: logName(i), Layout: layout, Selection: selection, Log: p.options.Log})
	if err != nil {
		return views, err
	}
	p.logs = append(p.logs, log)
	return append(views, log), nil
}

// otlpLog is a log that goes to an OpenTelemetry collector.
func (p *Proxy) otlpLog(i int, c *config.OTLP, about resource.Options, layout *accesslog.Layout, selection *accesslog.Selection) (record.View, error) {
	where := "telemetry.access_log.otlp"
	if i > 0 {
		where = fmt.Sprintf("telemetry.access_log.also[%d].otlp", i-1)
	}
	to, err := p.collector(where, c)
	if err != nil {
		return nil, err
	}
	o := otlp.Options{Name: logName(i) + "_otlp", Selection: selection}
	if layout != nil {
		o.Lines = accesslog.NewLines(layout)
	}
	log, err := otlp.New(to, otlplogs.Options{Service: p.service, Resource: about, Log: p.options.Log}, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	return log, nil
}

// closeViews closes views that have seen nothing.
func closeViews(views []record.View) {
	for _, v := range views {
		_ = v.Close(context.Background()) // nothing can be lost
	}
}

// alsOptions are the options of a service of Envoy's gRPC access log.
func (p *Proxy) alsOptions(c *config.ALS, name string, selection *accesslog.Selection) als.Options {
	node, err := os.Hostname()
	if err != nil {
		node = p.service // every node has a name
	}
	return als.Options{
		Address: c.Address, TLS: c.TLS, Timeout: c.Timeout, LogName: c.LogName, Service: p.service, Node: node,
		Version: p.options.Version, Name: name, Selection: selection, Log: p.options.Log,
	}
}

// logName is the name of a view: access_log, access_log_2 and so on.
func logName(i int) string {
	if i == 0 {
		return "access_log"
	}
	return fmt.Sprintf("access_log_%d", i+1)
}

func only(word string) accesslog.Only {
	switch word {
	case "failed":
		return accesslog.OnlyFailed
	case "failed_or_slow":
		return accesslog.OnlyFailedOrSlow
	}
	return accesslog.All
}
