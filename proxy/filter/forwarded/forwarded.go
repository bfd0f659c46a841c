package forwarded

import (
	"bytes"
	"net/netip"
	"strings"

	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Mode is what happens to a field.
type Mode uint8

// The modes. Append adds what this proxy knows, Replace starts anew, Pass
// leaves the field as it came, Cut removes it.
const (
	Append Mode = iota
	Replace
	Pass
	Cut
)

// ModeOf returns the mode of a configuration word; an unknown word, which the
// configuration does not let through, is Append.
func ModeOf(word string) Mode {
	switch word {
	case "replace":
		return Replace
	case "pass":
		return Pass
	case "cut":
		return Cut
	}
	return Append
}

// Options are the filter's settings.
type Options struct {
	// TrustedProxies is how many proxies in front of this one have written
	// X-Forwarded-For and X-Forwarded-Proto truthfully.
	TrustedProxies int
	// XForwarded is for X-Forwarded-For and X-Forwarded-Proto, Forwarded for
	// the field of RFC 7239.
	XForwarded, Forwarded Mode
	// Via is the name under which this proxy adds itself to Via in requests,
	// empty for not at all.
	Via string
}

// New returns the filter.
func New(o Options) filter.Filter {
	via := [...]string{hop.HTTP10: "1.0 " + o.Via, hop.HTTP11: "1.1 " + o.Via, hop.HTTP2: "2 " + o.Via}
	return func(next filter.Handler) filter.Handler {
		return func(x *filter.Exchange) error {
			info, h := x.Conn.Info(), &x.Request
			if o.TrustedProxies > 0 {
				if client, ok := Client(h, o.TrustedProxies); ok {
					x.Hop.Client = client.String()
				}
			}
			if o.Forwarded != Pass {
				o.forwarded(h, info)
			}
			if o.XForwarded != Pass {
				o.xForwarded(h, info)
			}
			if o.Via != "" {
				h.Add(message.Via, "via", via[h.Version])
			}
			return next(x)
		}
	}
}

// Client is the address that the first of the trusted proxies saw: the entry
// of X-Forwarded-For that is as many from the right. Fewer entries than that
// mean that the left-most was written by one of them all the same. An entry
// that is no IP address, with or without a port, was not written by a proxy
// that can be trusted: what is to the left of it is not believed either. ok is
// false where there is no entry to believe; then the peer is the client.
func Client(h *message.Head, trusted int) (client netip.Addr, ok bool) {
	for i := len(h.Fields) - 1; i >= 0 && trusted > 0; i-- {
		f := &h.Fields[i]
		if f.ID != message.XForwardedFor || f.Removed {
			continue
		}
		list := h.Bytes(f.Value)
		for len(list) > 0 && trusted > 0 {
			var last []byte
			if j := bytes.LastIndexByte(list, ','); j >= 0 {
				list, last = list[:j], list[j+1:]
			} else {
				list, last = nil, list
			}
			if last = bytes.TrimSpace(last); len(last) == 0 {
				continue
			}
			addr, err := address(string(last))
			if err != nil {
				return client, ok
			}
			client, ok = addr, true
			trusted--
		}
	}
	return client, ok
}

// address reads an IP address that may have a port behind it, or brackets
// around it. A zone, which may be any text, is left out.
func address(s string) (netip.Addr, error) {
	if withPort, err := netip.ParseAddrPort(s); err == nil {
		return withPort.Addr().Unmap().WithZone(""), nil
	}
	if n := len(s); n > 2 && s[0] == '[' && s[n-1] == ']' {
		s = s[1 : n-1]
	}
	addr, err := netip.ParseAddr(s)
	return addr.Unmap().WithZone(""), err
}

// xForwarded writes X-Forwarded-For and X-Forwarded-Proto.
func (o *Options) xForwarded(h *message.Head, info *filter.ConnInfo) {
	if o.XForwarded == Cut {
		h.Remove(message.XForwardedFor)
		h.Remove(message.XForwardedProto)
		h.Remove(message.XForwardedHost)
		return
	}
	if o.XForwarded == Replace {
		h.Remove(message.XForwardedHost)
	}
	peer, _, _ := strings.Cut(info.PeerIP, "%") // a zone means nothing elsewhere
	add(h, message.XForwardedFor, "x-forwarded-for", peer, o.XForwarded == Append)
	if o.XForwarded == Append && o.TrustedProxies > 0 && h.Has(message.XForwardedProto) {
		return
	}
	h.Remove(message.XForwardedProto)
	h.Add(message.XForwardedProto, "x-forwarded-proto", info.Scheme)
}

// forwarded writes Forwarded: for, proto and host of this hop.
func (o *Options) forwarded(h *message.Head, info *filter.ConnInfo) {
	if o.Forwarded == Cut {
		h.Remove(message.Forwarded)
		return
	}
	element := "for=" + node(info.PeerIP) + ";proto=" + info.Scheme
	if host := string(h.Host()); host != "" {
		element += ";host=" + quoted(host)
	}
	add(h, message.Forwarded, "forwarded", element, o.Forwarded == Append)
}

// add sets a list field to the members that it has, in one line since many
// readers look at one line only, and the new one; or to the new one alone.
func add(h *message.Head, id message.FieldID, name, member string, keep bool) {
	if !h.Has(id) {
		h.Add(id, name, member)
		return
	}
	var list []byte
	for i := range h.Fields {
		if f := &h.Fields[i]; keep && f.ID == id && !f.Removed {
			if value := bytes.TrimSpace(h.Bytes(f.Value)); len(value) > 0 {
				list = append(append(list, value...), ", "...)
			}
		}
	}
	h.Remove(id)
	h.EndField(id, append(h.BeginField(name), append(list, member...)...))
}

// node is an address as RFC 7239 section 6 writes it: IPv6 in brackets and
// quotes.
func node(ip string) string {
	ip, _, _ = strings.Cut(ip, "%") // a zone means nothing elsewhere
	if strings.Contains(ip, ":") {
		return `"[` + ip + `]"`
	}
	if ip == "" {
		return "unknown"
	}
	return ip
}

// quoted is s as a quoted-string (RFC 9110 section 5.6.4).
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
