package message

// text is what a host or a field may be held in.
type text interface{ string | []byte }

// SplitPort cuts an authority, which has no user information, into host and
// port. The port is empty where there is none. An IPv6 address keeps its
// brackets; one without brackets is a host without a port.
func SplitPort[T text](authority T) (host, port T) {
	for i := len(authority) - 1; i >= 0; i-- {
		switch authority[i] {
		case ']':
			return authority, authority[len(authority):]
		case ':':
			for j := range i {
				if authority[j] == ':' && authority[i-1] != ']' {
					return authority, authority[len(authority):]
				}
			}
			return authority[:i], authority[i+1:]
		}
	}
	return authority, authority[len(authority):]
}

// Hostname is the name that an authority stands for, in the form in which names
// are compared but for the case of letters: without port, without the brackets
// of an IPv6 address, and without the dot that makes a name absolute. Whatever
// compares hosts (routes, tags, server names, allow lists) compares this form,
// by [EqualFold] or after [LowerHost]. What is sent on is not changed by it.
//
// Only one dot is cut, and only off a name: "." and "a.." stay as they are, and
// so match no name at all.
func Hostname[T text](authority T) T {
	host, _ := SplitPort(authority)
	return BareHost(host)
}

// BareHost is [Hostname] of a host that has no port, though it may have colons.
func BareHost[T text](host T) T {
	n := len(host)
	switch {
	case n >= 2 && host[0] == '[' && host[n-1] == ']':
		return host[1 : n-1]
	case n >= 2 && host[n-1] == '.' && host[n-2] != '.':
		return host[:n-1]
	}
	return host
}

// LowerHost is [BareHost] in lower case: a key to find hosts by. Letters outside
// of ASCII stay as they are.
func LowerHost(host string) string {
	host = BareHost(host)
	for i := range len(host) {
		if host[i] != lower(host[i]) {
			b := []byte(host)
			for i, c := range b {
				b[i] = lower(c)
			}
			return string(b)
		}
	}
	return host
}

// SameAuthority reports whether two authorities stand for the same host and
// port. The default port of the scheme counts as none, and so does an empty one
// (RFC 9113 section 8.3.1, RFC 3986 section 6.2.3). scheme is "http", "https",
// or empty where there is no default.
func SameAuthority[A, B text](a A, b B, scheme string) bool {
	hostA, portA := SplitPort(a)
	hostB, portB := SplitPort(b)
	return EqualFold(BareHost(hostA), BareHost(hostB)) && portNumber(portA, scheme) == portNumber(portB, scheme)
}

// portNumber is the number of a port, the scheme's default where it is empty.
func portNumber[T text](port T, scheme string) int {
	n := 0
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' || n > 65535 {
			return -1
		}
		n = n*10 + int(port[i]-'0')
	}
	switch {
	case len(port) > 0:
		return n
	case scheme == "http":
		return 80
	case scheme == "https":
		return 443
	}
	return 0
}
