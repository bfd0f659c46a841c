package compress

import (
	"strings"

	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
)

// Options say what is compressed.
type Options struct {
	// Algorithms are those that are offered, the best first.
	Algorithms []Algorithm
	// MinBytes is the least length of content that is worth it.
	MinBytes int64
	// Types are the media types, such as text/html and text/*, in lower case.
	Types []string
}

// New returns the filter.
func New(o Options) filter.Filter {
	p := &policy{Options: o}
	for a := range p.encoders {
		p.encoders[a].algorithm = Algorithm(a)
	}
	return func(next filter.Handler) filter.Handler {
		return func(x *filter.Exchange) error {
			if !x.Hop.GRPC { // whose messages are compressed one by one
				w := filter.Reuse[response](x)
				w.Writer, w.policy, w.x = x.Writer, p, x
				w.chosen, w.head = negotiate(&x.Request, p.Algorithms), x.Request.Method == message.HEAD
				x.Writer = w
			}
			return next(x)
		}
	}
}

// policy is Options with the encoders that responses share.
type policy struct {
	Options
	encoders [len(codings)]encoders
}

// hasType reports whether content of a type is compressed.
func (p *policy) hasType(contentType []byte) bool {
	text, _, _ := strings.Cut(string(contentType), ";")
	text = strings.ToLower(strings.TrimSpace(text))
	if strings.HasPrefix(text, "application/grpc") {
		return false
	}
	for _, t := range p.Types {
		if all, ok := strings.CutSuffix(t, "*"); ok && strings.HasPrefix(text, all) || t == text {
			return true
		}
	}
	return false
}
