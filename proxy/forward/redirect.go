package forward

import (
	"bytes"
	"strconv"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/pathtemplate"
)

// Redirect is the action of a route that sends clients to another URL: the one that they
// ask for, with these parts replaced.
type Redirect struct {
	Status       int
	Scheme, Host string // "" for the request's
	Port         int    // 0 for the request's, or none where there is a Host
	// Target is the path, with or without a query; "" for the request's path, of which
	// Prefix and Regex then replace parts, if they are there.
	Target     string
	Prefix     *Prefix
	Regex      *pathtemplate.Substitution
	StripQuery bool
}

// Prefix replaces the first bytes of a path.
type Prefix struct {
	// Length is how many bytes; -1 is the whole path.
	Length int
	With   string
}

func (p *Prefix) apply(path []byte) []byte {
	n := p.Length
	if n < 0 || n > len(path) {
		n = len(path)
	}
	return append([]byte(p.With), path[n:]...)
}

func (a *Redirect) act(_ *Forwarder, x *filter.Exchange) error {
	return &fault.Answer{Status: a.Status, Fields: []fault.Field{{Name: "location", Value: string(a.location(x))}}}
}

// location is where the client is sent.
func (a *Redirect) location(x *filter.Exchange) []byte {
	r := &x.Request
	scheme := x.Hop.Scheme
	if a.Scheme != "" {
		scheme = a.Scheme
	}
	var to []byte
	authority := a.authority(r.Host(), x.Hop.Scheme, scheme)
	if len(authority) > 0 {
		to = append(append(append(to, scheme...), "://"...), authority...)
	}
	path := a.path(r.Path())
	if len(authority) == 0 && bytes.HasPrefix(path, []byte("//")) {
		to = append(to, "/."...) // else it would name a host (RFC 3986 section 4.2)
	}
	to = append(to, path...)
	if _, query, asked := bytes.Cut(r.Target(), []byte("?")); !a.StripQuery && asked && !bytes.Contains(path, []byte("?")) {
		to = append(append(to, '?'), query...)
	}
	return to
}

// authority is host and port of the location; asked is that of the request.
func (a *Redirect) authority(asked []byte, from, scheme string) []byte {
	var to []byte
	if a.Host != "" {
		to = []byte(a.Host)
	} else {
		host, port := message.SplitPort(asked)
		to = append(to, host...)
		defaultPort := from != scheme && (string(port) == "80" && scheme == "https" || string(port) == "443" && scheme == "http")
		if len(port) > 0 && !defaultPort && a.Port == 0 {
			to = append(append(to, ':'), port...)
		}
	}
	if a.Port != 0 && len(to) > 0 {
		host, _ := message.SplitPort(to)
		to = strconv.AppendInt(append(host[:len(host):len(host)], ':'), int64(a.Port), 10)
	}
	return to
}

func (a *Redirect) path(path []byte) []byte {
	switch {
	case a.Target != "":
		return []byte(a.Target)
	case a.Prefix != nil:
		path = a.Prefix.apply(path)
	case a.Regex != nil:
		path = a.Regex.Apply(path)
	}
	if len(path) == 0 || path[0] != '/' && path[0] != '*' {
		path = append([]byte{'/'}, path...)
	}
	return path
}
