package http1

import (
	"bytes"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

const version11 = "HTTP/1.1"

// statusLine reads the status line (RFC 9112 section 4); ok is false where it
// is not whole yet.
func (d *HeadDecoder) statusLine(buf []byte, h *message.Head) (ok bool, err error) {
	end := d.lineEnd(buf, d.Limits.HeadBytes)
	if end < 0 {
		return false, d.partialStatusLine(buf)
	}
	line := buf[:end]
	if len(line) == 0 || line[len(line)-1] != '\r' {
		return false, d.badStatus("the line ends in a bare LF", line)
	}
	line = line[:len(line)-1]
	switch {
	case bytes.HasPrefix(line, []byte("HTTP/1.1 ")):
		h.Version = hop.HTTP11
	case bytes.HasPrefix(line, []byte("HTTP/1.0 ")):
		h.Version = hop.HTTP10
	default:
		return false, d.badStatus("the version is not HTTP/1.0 or HTTP/1.1", line)
	}
	status := line[len("HTTP/1.1 "):]
	code := status
	if len(status) > 3 && status[3] == ' ' {
		code = status[:3]
	}
	var reason string
	if h.Status, reason = message.ParseStatus(code); reason != "" {
		return false, d.badStatus("the status "+reason, line)
	}
	if len(status) > 4 {
		if !isValue(status[4:]) {
			return false, d.badStatus(controlIn(status[4:]), line)
		}
		h.SetReason(message.Span{Off: uint32(len(line) - len(status) + 4), Len: uint32(len(status) - 4)})
	}
	d.pos, d.scanned = end+1, end+1
	return true, nil
}

// partialStatusLine refuses what can't become a status line.
func (d *HeadDecoder) partialStatusLine(buf []byte) error {
	window := buf[:min(len(buf), d.Limits.HeadBytes)]
	n := min(len(window), len("HTTP/1."))
	if string(window[:n]) != version11[:n] {
		return d.badStatus("this is not HTTP/1", window)
	}
	if reason := d.partialLine(window); reason != "" {
		return d.badStatus(reason, window)
	}
	if len(window) == d.Limits.HeadBytes {
		return d.fail(fault.HeaderTooLarge, "the status line does not end")
	}
	return nil
}

// badStatus refuses the line, guessing what it is if not a status line.
func (d *HeadDecoder) badStatus(reason string, line []byte) error {
	switch {
	case len(line) >= 1 && line[0] == 0x15:
		reason = "a TLS alert: the endpoint speaks TLS, the cluster does not"
	case len(line) >= 1 && line[0] == 0:
		reason = "a binary protocol, HTTP/2 perhaps, not HTTP/1"
	case bytes.HasPrefix(line, []byte("HTTP/2")):
		reason = "the version is HTTP/2"
	}
	return d.fail(fault.BadRequest, "status line: "+reason)
}
