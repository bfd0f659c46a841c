package message

// MayTrail reports whether a field may come as a trailer: not those that frame,
// route, authenticate, condition or describe the message (RFC 9110 section
// 6.5.1), as the next hop may merge trailers into the head.
func MayTrail(id FieldID, name []byte) bool {
	if id != Unknown {
		return id == GRPCStatus || id == GRPCMessage || id == ServerTiming || id == ProxyStatus
	}
	for _, prefix := range [...]string{"content-", "if-", "x-forwarded-", "access-control-"} {
		if len(name) > len(prefix) && EqualFold(name[:len(prefix)], prefix) {
			return EqualFold(name, "content-digest") // made for trailers (RFC 9530)
		}
	}
	for _, forbidden := range [...]string{
		"accept", "accept-encoding", "age", "authorization", "cache-control", "cookie", "expires", "last-modified", "location",
		"max-forwards", "pragma", "range", "retry-after", "set-cookie", "vary", "warning", "www-authenticate",
		"x-real-ip",
	} {
		if EqualFold(name, forbidden) {
			return false
		}
	}
	return true
}
