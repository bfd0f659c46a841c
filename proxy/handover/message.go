package handover

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// The conversation. Each message is a line of JSON:
//
//	new: {"protocol":1,"version":"v1.3.0","pid":17}
//	old: {"protocol":1,"version":"v1.2.0","pid":12,"sockets":[{"kind":"listener",...},...]}
//	     and with it, as SCM_RIGHTS, a descriptor for each of the sockets, in order;
//	     those that one message can't take come with the spaces that follow it.
//	     One that is of kind "memory" is no socket but a file: what old knows
//	new: {"state":"ready","registered":["web-1"]}
//	old: {"state":"retiring"}
//
// or, instead of any of them: {"error":"..."}. The two sides may be different versions of
// hopscope. Each ignores fields and kinds of sockets that it does not know. A later
// version adds only things that an earlier one can do without.

// protocol is the version of the conversation.
const protocol = 1

// The limits of a conversation.
const (
	maxMessage = 1 << 20
	maxSockets = 10_000
	maxRights  = 253 // descriptors in one message: SCM_MAX_FD of Linux
)

// message is any of the messages.
type message struct {
	Protocol int         `json:"protocol,omitempty"`
	Version  string      `json:"version,omitempty"`
	PID      int         `json:"pid,omitempty"`
	Sockets  []described `json:"sockets,omitempty"`
	State    string      `json:"state,omitempty"`
	// Registered lists what the new process has registered in a catalog. The old process
	// deregisters everything else, and nothing if this is missing.
	Registered *[]string `json:"registered,omitempty"`
	Error      string    `json:"error,omitempty"`
}

// described is a socket without its descriptor.
type described struct {
	Kind    string `json:"kind"`
	Name    string `json:"name,omitempty"`
	Address string `json:"address"`
}

// The states.
const (
	isReady    = "ready"
	isRetiring = "retiring"
)

// hello returns a message with the sender's version and PID.
func hello(version string) message {
	return message{Protocol: protocol, Version: version, PID: os.Getpid()}
}

// parse reads a message.
func parse(line []byte) (message, error) {
	var m message
	if err := json.Unmarshal(line, &m); err != nil {
		return message{}, fmt.Errorf("invalid message: %w", err)
	}
	switch {
	case m.Error != "":
		return message{}, errors.New(m.Error)
	case len(m.Sockets) > maxSockets:
		return message{}, fmt.Errorf("%d sockets: at most %d are accepted", len(m.Sockets), maxSockets)
	}
	return m, nil
}

// send sends a message with descriptors. The caller keeps owning them.
func send(c *net.UnixConn, m message, fds []int) error {
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	next := append(line, '\n')
	for first := true; first || len(fds) > 0; first = false {
		n := min(len(fds), maxRights)
		var rights []byte
		if n > 0 {
			rights = syscall.UnixRights(fds[:n]...)
		}
		fds = fds[n:]
		sent, _, err := c.WriteMsgUnix(next, rights, nil)
		if err == nil && sent < len(next) {
			_, err = c.Write(next[sent:])
		}
		if err != nil {
			return err
		}
		next = []byte{' '}
	}
	return nil
}

// receive reads a message and the descriptors of its sockets. The caller owns them. On an
// error there are none.
func receive(c *net.UnixConn) (m message, fds []int, err error) {
	defer func() {
		if err != nil {
			closeAll(fds)
			fds = nil
		}
	}()
	var line []byte
	for parsed := false; !parsed || len(fds) < len(m.Sockets); {
		piece, rights, err := receiveSome(c)
		fds = append(fds, rights...)
		if err != nil {
			return message{}, fds, err
		}
		if parsed {
			continue
		}
		line = append(line, piece...)
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			if m, err = parse(line[:i]); err != nil {
				return message{}, fds, err
			}
			parsed = true
		} else if len(line) > maxMessage {
			return message{}, fds, fmt.Errorf("a message of more than %d bytes", maxMessage)
		}
	}
	if len(fds) != len(m.Sockets) {
		return message{}, fds, fmt.Errorf("%d descriptors came with %d sockets", len(fds), len(m.Sockets))
	}
	return m, fds, nil
}

// receiveSome reads some bytes, and the descriptors that came with them.
func receiveSome(c *net.UnixConn) (piece []byte, fds []int, err error) {
	piece, rights := make([]byte, 16<<10), make([]byte, syscall.CmsgSpace(4*maxRights))
	n, k, flags, _, err := c.ReadMsgUnix(piece, rights)
	if err != nil {
		return nil, nil, err
	}
	controls, err := syscall.ParseSocketControlMessage(rights[:k])
	if err != nil {
		return nil, nil, err
	}
	for _, control := range controls {
		some, err := syscall.ParseUnixRights(&control)
		fds = append(fds, some...)
		if err != nil {
			return nil, fds, err
		}
	}
	switch {
	case flags&syscall.MSG_CTRUNC != 0:
		return nil, fds, errors.New("descriptors were lost: the limit on open files is too low")
	case n == 0:
		return nil, fds, io.EOF
	}
	return piece[:n], fds, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		syscall.Close(fd)
	}
}
