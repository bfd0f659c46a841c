package spans

// splitHostPort splits "host:port", "[v6]:port" or a bare host or address. A missing or
// invalid port is 0.
func splitHostPort[T string | []byte](address T) (host T, port int64) {
	colon := -1
	for i := len(address) - 1; i >= 0; i-- {
		if c := address[i]; c == ':' {
			colon = i
			break
		} else if c < '0' || c > '9' {
			break
		}
	}
	if colon < 0 || !isHost(address[:colon]) {
		return withoutBrackets(address), 0
	}
	for i := colon + 1; i < len(address); i++ {
		port = port*10 + int64(address[i]-'0')
		if port > 65535 {
			return withoutBrackets(address[:colon]), 0
		}
	}
	return withoutBrackets(address[:colon]), port
}

// isHost reports whether the text before a colon is a whole host. In an IPv6 address
// without brackets it is not, since the last group is not a port.
func isHost[T string | []byte](s T) bool {
	if len(s) > 0 && s[0] == '[' {
		return s[len(s)-1] == ']'
	}
	for i := range len(s) {
		if s[i] == ':' {
			return false
		}
	}
	return true
}

func withoutBrackets[T string | []byte](host T) T {
	if n := len(host); n >= 2 && host[0] == '[' && host[n-1] == ']' {
		return host[1 : n-1]
	}
	return host
}
