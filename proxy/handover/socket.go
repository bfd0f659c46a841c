package handover

import "net"

// Socket is a listening socket that is handed over.
type Socket struct {
	// Kind and Name say what the socket is for. The package does not interpret them.
	Kind, Name string
	// Address is the configured address. The socket's own may differ: the configured port
	// may be 0.
	Address  string
	Listener net.Listener
}
