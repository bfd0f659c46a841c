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
// one that it had, as Envoy does.
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
	if bytes.Equal(to, path) || r.Form == message.Asterisk {
		return
	}
	r.RemoveName([]byte(originalPath))
	target := r.OriginTarget() // before the field begins, as it may add to the head
	r.EndField(message.Unknown, append(r.BeginField(originalPath), target...))
	r.SetPath(to)
}

const originalPath = "x-envoy-original-path"

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
