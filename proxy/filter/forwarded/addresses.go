package forwarded

import (
	"bytes"
	"net/netip"

	"github.com/hopscope/hopscope/proxy/message"
)

// Addresses lists all addresses that the request says it came from, by
// X-Forwarded-For, X-Real-IP and Forwarded (RFC 7239), whoever wrote them. ok is
// false where one of them is no IP address, such as "unknown".
func Addresses(h *message.Head) (all []netip.Addr, ok bool) {
	ok = true
	add := func(node []byte) {
		addr, err := address(string(node))
		if err != nil {
			ok = false
			return
		}
		all = append(all, addr)
	}
	for i := range h.Fields {
		f := &h.Fields[i]
		value := h.Bytes(f.Value)
		switch {
		case f.Removed:
		case f.ID == message.XForwardedFor, message.EqualFold(h.Bytes(f.Name), "x-real-ip"):
			for entry := range bytes.SplitSeq(value, []byte(",")) {
				if entry = bytes.TrimSpace(entry); len(entry) > 0 {
					add(entry)
				}
			}
		case f.ID == message.Forwarded:
			for pair := range bytes.FieldsFuncSeq(value, func(r rune) bool { return r == ',' || r == ';' }) {
				name, node, _ := bytes.Cut(bytes.TrimSpace(pair), []byte("="))
				if message.EqualFold(bytes.TrimSpace(name), "for") {
					add(bytes.Trim(bytes.TrimSpace(node), `"`))
				}
			}
		}
	}
	return all, ok
}
