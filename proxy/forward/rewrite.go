package forward

import (
	"bytes"

	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/pathtemplate"
)

// Rewrite makes the path that the endpoint is asked for. One of these is set.
type Rewrite struct {
	Prefix   *Prefix
	Regex    *pathtemplate.Substitution
	Template *pathtemplate.Rewrite
}

func (w *Rewrite) apply(path []byte) []byte {
	switch {
	case w.Prefix != nil:
		return w.Prefix.apply(path)
	case w.Regex != nil:
		return w.Regex.Apply(path)
	}
	return w.Template.Apply(path)
}

// rewrite gives the request the path that the endpoint is to see, and keeps the
// one that it had, as Envoy does: where there is a Rewrite, also one that did not change.
func (a *Forward) rewrite(r *message.Head) {
	path := r.Path()
	rest := bytes.TrimPrefix(path, []byte(a.Strip))
	var to []byte
	if to = append(append(to, a.Prepend...), rest...); a.Rewrite != nil {
		to = a.Rewrite.apply(path)
	}
	if len(to) == 0 || to[0] != '/' {
		to = append([]byte{'/'}, to...)
	}
	same := bytes.Equal(to, path)
	if same && a.Rewrite == nil || r.Form == message.Asterisk {
		return
	}
	keep(r, originalPath, r.OriginTarget())
	if !same {
		r.SetPath(to)
	}
}

// Fields that tell the endpoint what the client asked for.
const (
	originalPath = "x-envoy-original-path"
	originalHost = "x-envoy-original-host"
)

// keep sets a field of the request.
func keep(r *message.Head, name string, value []byte) {
	r.RemoveName([]byte(name))
	r.EndField(message.Unknown, append(r.BeginField(name), value...))
}

// hostFor is the Host field that the endpoint sees: see Host and HostFrom.
func (a *Forward) hostFor(r *message.Head) string {
	if a.HostFrom == "" {
		return a.Host
	}
	value, ok := r.Lookup(a.HostFrom)
	if !ok || message.BadHost(value) != "" {
		return ""
	}
	return string(value)
}
