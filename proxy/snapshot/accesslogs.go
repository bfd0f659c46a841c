package snapshot

import (
	"context"
	"fmt"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/telemetry/accesslog"
	"github.com/hopscope/hopscope/telemetry/record"
)

// openLogs opens the access logs, and finds out which fields have to be recorded for them.
// If one can't be opened, none stays open.
func (p *Proxy) openLogs(c *config.AccessLog) (views []record.View, err error) {
	defer func() {
		if err != nil {
			for _, v := range views {
				_ = v.Close(context.Background()) // nothing was written
			}
			p.logs = nil
		}
	}()
	for i, a := range c.All() {
		if a.Path == "off" {
			continue
		}
		layout, err := a.Layout(&p.recorded)
		if err != nil {
			return views, fmt.Errorf("access log: %w", err)
		}
		log, err := accesslog.Open(a.Path, accesslog.Options{
			Name: logName(i), Layout: layout, Selection: accesslog.NewSelection(only(a.Only), a.Sample), Log: p.options.Log,
		})
		if err != nil {
			return views, err
		}
		p.logs, views = append(p.logs, log), append(views, log)
	}
	return views, nil
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
