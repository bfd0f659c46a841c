package forward

import (
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/pathform"
)

// normalize gives the path of a request its normal form. It comes before every match, so
// that no other way to write a path leads past a route.
func (f *Forwarder) normalize(x *filter.Exchange) error {
	r := &x.Request
	path := r.Path()
	if f.Paths.Plain(path) || r.Form == message.Asterisk || r.Form == message.Authority {
		return nil
	}
	form, verdict := f.Paths.Append(r.Scratch(), path)
	switch verdict {
	case pathform.Same:
		return nil
	case pathform.Changed, pathform.Moved:
		r.SetPath(r.Bytes(r.Keep(form)))
		if verdict == pathform.Changed {
			x.Hop.Rewrite(r.Path())
			return nil
		}
		if x.Hop.GRPC { // whose clients follow no redirect
			break
		}
		to := (&Redirect{Status: 307}).location(x)
		return &fault.Answer{Status: 307, Details: "path_normalized_redirect", Fields: []fault.Field{{Name: "location", Value: string(to)}}}
	}
	if verdict == pathform.Moved {
		verdict = pathform.Slash
	}
	reason := "the path of the request is refused: " + verdict.Reason()
	if verdict == pathform.Slash {
		reason += "; see path.escaped_slashes of listener " + f.Labels.Listener
	}
	return fault.New(fault.BadPath, reason)
}
