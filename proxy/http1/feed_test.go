package http1

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
)

// decodeHead is one way to call a HeadDecoder.
type decodeHead func(d *HeadDecoder, buf []byte, h *message.Head) (int, error)

func asRequest(d *HeadDecoder, buf []byte, h *message.Head) (int, error) { return d.Request(buf, h) }

func asResponseTo(method message.Method) decodeHead {
	return func(d *HeadDecoder, buf []byte, h *message.Head) (int, error) { return d.Response(buf, method, h) }
}

// feedWhole gives all bytes at once.
func feedWhole(decode decodeHead, limits Limits, wire string, h *message.Head) (int, error) {
	d := HeadDecoder{Limits: limits}
	return decode(&d, []byte(wire), h)
}

// feedBytes gives one byte more at each call, each time at another place.
func feedBytes(decode decodeHead, limits Limits, wire string, h *message.Head) (int, error) {
	d := HeadDecoder{Limits: limits}
	for i := range len(wire) + 1 {
		if n, err := decode(&d, []byte(wire[:i]), h); n != 0 || err != nil {
			return n, err
		}
	}
	return 0, nil
}

// feed decodes wire in both ways, which must come to the same.
func feed(t *testing.T, decode decodeHead, limits Limits, wire string) (*message.Head, int, *fault.Error) {
	t.Helper()
	var whole, pieces message.Head
	n, err := feedWhole(decode, limits, wire, &whole)
	n2, err2 := feedBytes(decode, limits, wire, &pieces)
	if n != n2 || kindOf(t, err) != kindOf(t, err2) {
		t.Fatalf("all at once: %d, %v; byte by byte: %d, %v", n, err, n2, err2)
	}
	if n > 0 {
		if diff := cmp.Diff(describe(&whole), describe(&pieces)); diff != "" {
			t.Fatalf("all at once and byte by byte differ:\n%s", diff)
		}
	}
	if err != nil {
		return nil, 0, fault.Of(err)
	}
	return &whole, n, nil
}

func kindOf(t *testing.T, err error) fault.Kind {
	t.Helper()
	if err == nil {
		return fault.None
	}
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		t.Fatalf("%T is not a *fault.Error", err)
	}
	return e.Kind
}

// described is a head as values that cmp can tell apart.
type described struct {
	Version, Framing, Form, Status, Length string
	Close, Upgrade, Expect                 bool
	Method, Target, Scheme, Authority      string
	Path, Query, Host, Reason              string
	Fields                                 []string
}

func describe(h *message.Head) described {
	return described{
		Version: h.Version.String(), Framing: framingName(h.Framing), Form: fmt.Sprint(h.Form),
		Status: fmt.Sprint(h.Status), Length: fmt.Sprint(h.Length),
		Close: h.Close, Upgrade: h.Upgrade, Expect: h.Expect,
		Method: string(h.MethodText()), Target: string(h.Target()), Scheme: string(h.Scheme()),
		Authority: string(h.Authority()), Path: string(h.Path()), Query: string(h.Query()),
		Host: string(h.Host()), Reason: string(h.Reason()), Fields: liveFields(h),
	}
}

func framingName(f message.Framing) string {
	return [...]string{"none", "length", "chunked", "close", "tunnel"}[f]
}

func liveFields(h *message.Head) (lines []string) {
	for _, f := range h.Fields {
		if !f.Removed {
			lines = append(lines, string(h.Bytes(f.Name))+": "+string(h.Bytes(f.Value)))
		}
	}
	return lines
}

// crlf writes lines of a table as they are on the wire.
func crlf(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n" }

// get is a good request but for the lines that are given.
func get(lines ...string) string {
	return crlf("GET / HTTP/1.1", "Host: a") + crlf(append(lines, "")...)
}

func post(lines ...string) string {
	return crlf("POST / HTTP/1.1", "Host: a") + crlf(append(lines, "")...)
}

func ok(lines ...string) string { return crlf("HTTP/1.1 200 OK") + crlf(append(lines, "")...) }
