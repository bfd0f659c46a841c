package mesh

import (
	"fmt"
	"io"
	"slices"

	"github.com/hopscope/hopscope/telemetry/accesslog"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// maxLogged is how many lines of a trace are read from one log.
const maxLogged = 20_000

// Logs collects the hops of a trace from the access logs of any number of proxies. The
// zero value is ready.
type Logs struct {
	hops  []*hop.Hop
	notes []string
}

// Read takes the lines of the trace from the log with the name. An error is one of reading
// the log.
func (l *Logs) Read(name string, log io.Reader, id hop.TraceID) error {
	found, err := accesslog.ReadTrace(log, id, maxLogged)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	l.hops = append(l.hops, found.Hops...)
	if found.Broken > 0 {
		l.notes = append(l.notes, clean(fmt.Sprintf("%s: lines that name the trace but could not be read: %d (%v)", name, found.Broken, found.Why)))
	}
	if found.Other > 0 && len(found.Hops) == 0 {
		l.notes = append(l.notes, clean(fmt.Sprintf("%s: lines that name the trace but are in another format: %d; the default line is needed: an access log without format and json_format, and with all fields (docs/access-log.md)", name, found.Other)))
	}
	if found.Spanless > 0 {
		l.notes = append(l.notes, clean(fmt.Sprintf("%s: lines of an older version, without the span ids of their attempts: %d; what each attempt led to is inferred from the time", name, found.Spanless)))
	}
	return nil
}

// Assemble puts the trace together.
func (l *Logs) Assemble(id hop.TraceID) *Found {
	f := Assemble(id, l.hops, nil, l.notes...)
	timed := slices.ContainsFunc(f.Known, func(h *hop.Hop) bool { return h.Timeout > 0 })
	if f.Failed() && f.Culprit.Flags&hop.UpstreamTimeout != 0 && !timed {
		f.Notes = append(f.Notes, "these lines do not have the timeouts of routes, as an older version wrote them: whether a caller waits for less time than its callee may take is not known")
	}
	return f
}
