package handover

import "net"

// Socket is a listening socket on its way.
type Socket struct {
	// Kind and Name say whose it is; what they mean is between the two sides.
	Kind, Name string
	// Address is what the configuration says, which the socket's own need not
	// be: its port may have been 0.
	Address  string
	Listener net.Listener
}
