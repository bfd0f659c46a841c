package upgrades

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
)

// New returns the filter. Requests that ask to change to none of these protocols, whose names
// are in lower case, are refused with 403, as Envoy does. Of several protocols that a request
// offers (RFC 9110 section 7.8), those that are allowed are offered to the endpoint.
func New(allowed []string) filter.Filter {
	return func(next filter.Handler) filter.Handler {
		return func(x *filter.Exchange) error {
			if x.Request.Upgrade {
				if err := offer(x, allowed); err != nil {
					return err
				}
			}
			return next(x)
		}
	}
}

// offer cuts what the request offers to what is allowed.
func offer(x *filter.Exchange, allowed []string) error {
	r := &x.Request
	var asked, kept []string
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.ID != message.Upgrade || f.Removed {
			continue
		}
		for protocol := range bytes.SplitSeq(r.Bytes(f.Value), []byte{','}) {
			name := string(bytes.TrimSpace(protocol))
			if name == "" {
				continue
			}
			if asked = append(asked, name); slices.Contains(allowed, strings.ToLower(name)) {
				kept = append(kept, name)
			}
		}
	}
	switch {
	case len(asked) == 0:
		return refused("the request asks to change protocols, and its field Upgrade names none")
	case len(kept) == 0:
		return refused(fmt.Sprintf("route %s does not let requests change to the protocol %s (upgrades)", x.Hop.Labels.Route, clip(strings.Join(asked, ", "))))
	case len(kept) < len(asked):
		r.Replace(message.Upgrade, strings.Join(kept, ", "))
	}
	return nil
}

func refused(why string) *fault.Answer {
	return &fault.Answer{Why: fault.New(fault.Forbidden, why), Details: "upgrade_failed"}
}

// clip keeps what a client sent to a length that is fit for a message.
func clip(s string) string { return s[:min(len(s), 100)] }
