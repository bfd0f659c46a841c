package hop

import (
	"bytes"

	"github.com/hopscope/hopscope/telemetry/redact"
)

// Ask records what the last attempt asks its endpoint for. Values that are the same as in
// the request, which nearly all are, take no memory.
func (h *Hop) Ask(scheme string, host, path, query []byte) {
	a := h.LastAttempt()
	a.Scheme = scheme
	h.share(&a.Host, h.Host, host)
	h.share(&a.Path, h.Path, path)
	h.share(&a.Query, h.Query, query)
}

// AskHost records that the last attempt asks for another host than the request.
func (h *Hop) AskHost(host string) {
	if a := h.LastAttempt(); string(h.Bytes(a.Host)) != host {
		h.SetString(&a.Host, host)
	}
}

// share points t at b, and reuses piece if it has the same bytes.
func (h *Hop) share(t *Text, piece Text, b []byte) {
	if bytes.Equal(h.Bytes(piece), b) {
		*t = piece
		return
	}
	h.Set(t, b)
}

// AppendURL appends the URL that an attempt of h asked for, without a user name and with
// credentials in the query redacted. It appends nothing if there is no URL, as for a
// tunnel.
func AppendURL(dst []byte, h *Hop, a *Attempt) []byte {
	host := WithoutUser(h.Bytes(a.Host))
	if a.Path.Len() == 0 || a.Scheme == "" || len(host) == 0 {
		return dst
	}
	dst = append(append(dst, a.Scheme...), "://"...)
	dst = append(append(dst, host...), h.Bytes(a.Path)...)
	if a.Query.Len() > 0 {
		dst = redact.AppendQuery(append(dst, '?'), h.Bytes(a.Query))
	}
	return dst
}

// WithoutUser cuts the user name and password off an authority. RFC 9110 section 4.2.4
// has them refused or ignored; here they must not be shown.
func WithoutUser(authority []byte) []byte {
	if bytes.IndexByte(authority, '@') < 0 {
		return authority
	}
	return authority[bytes.LastIndexByte(authority, '@')+1:]
}

// Fork returns a copy of h for an attempt that runs at the same time as others. Each adds
// to its own copy, and [Hop.Join] merges them.
func (h *Hop) Fork() *Hop {
	c := *h
	c.text = h.text[:len(h.text):len(h.text)]
	c.Attempts = append(make([]Attempt, 0, len(h.Attempts)+2), h.Attempts...)
	return &c
}

// Join appends the attempts of a fork from the n-th on.
func (h *Hop) Join(fork *Hop, n int) {
	for i := n; i < len(fork.Attempts); i++ {
		a := h.Attempt()
		*a = fork.Attempts[i]
		h.Ask(a.Scheme, fork.Bytes(a.Host), fork.Bytes(a.Path), fork.Bytes(a.Query))
	}
}
