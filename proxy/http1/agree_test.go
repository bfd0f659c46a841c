package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// next is what follows a message on the connection: nobody may take it for a
// part of the message.
const next = "\r\nGET /next HTTP/1.1\r\n"

// understood is a message as one of two parsers understood it.
type understood struct {
	Method, Target, Host string
	Status               int
	Length               int64 // -1 for chunked and until close
	Chunked              bool
	Fields, Trailers     map[string][]string
	Content              string
	Rest                 string
}

// agreeOnRequest decodes a request and what follows it. Where it is accepted it
// is sent on, and net/http must understand of that what the codec understood
// of what came. It reports whether the whole request was accepted.
func agreeOnRequest(t *testing.T, wire []byte) bool {
	t.Helper()
	h, n, err := feed(t, asRequest, Limits{}, string(wire))
	if err != nil || n == 0 {
		return false
	}
	content, used, done, trailers, bodyErr := feedBody(t, false, h.Framing, h.Length, Limits{}, string(wire[n:]))
	if bodyErr != nil || !done {
		return false
	}
	ours := understood{
		Method: string(h.MethodText()), Host: string(h.Host()),
		Length: h.Length, Chunked: h.Framing == message.Chunked, Content: content,
	}
	agreeAsReceived(t, ours, wire[:n+used])

	named := connectionOptions(h)
	want := wantFields(h, named)
	StripHopByHop(h)
	ours.Fields = fieldMap(h)
	delete(ours.Fields, "host")
	if diff := cmp.Diff(want, ours.Fields); diff != "" {
		t.Errorf("fields sent on, -want +got:\n%s", diff)
	}
	ours.Trailers = trailerMap(trailers)
	ours.Target = string(h.OriginTarget())
	ours.Rest = next

	theirs, err2 := readRequest(appendMessage(AppendRequest(nil, h, []byte(ours.Target), Persist), h, content, trailers))
	if _, ok := errors.AsType[*url.Error](err2); ok {
		// net/http wants more of a target than the grammar of its bytes.
		ours.Target = "/"
		if h.Method == message.CONNECT {
			ours.Target = "a:1"
		}
		theirs, err2 = readRequest(appendMessage(AppendRequest(nil, h, []byte(ours.Target), Persist), h, content, trailers))
	}
	if err2 != nil {
		t.Fatalf("net/http refuses what is sent on: %v", err2)
	}
	if diff := cmp.Diff(ours, theirs); diff != "" {
		t.Errorf("-codec +net/http:\n%s", diff)
	}
	return true
}

// agreeAsReceived has net/http read what came. It may refuse it, but not
// understand another length.
func agreeAsReceived(t *testing.T, ours understood, wire []byte) {
	t.Helper()
	theirs, err := readRequest(append(slices.Clip(wire), next...))
	if err == nil && (theirs.Length != ours.Length || theirs.Content != ours.Content || theirs.Rest != next || theirs.Method != ours.Method) {
		t.Errorf("of what came, the codec understood %d bytes, net/http %d", ours.Length, theirs.Length)
	}
}

func agreeOnResponse(t *testing.T, method message.Method, wire []byte) bool {
	t.Helper()
	h, n, err := feed(t, asResponseTo(method), Limits{}, string(wire))
	if err != nil || n == 0 {
		return false
	}
	content, _, done, trailers, bodyErr := feedBody(t, true, h.Framing, h.Length, Limits{}, string(wire[n:]))
	if bodyErr != nil || !done && h.Framing != message.UntilClose {
		return false
	}
	named := connectionOptions(h)
	want := wantFields(h, named)
	StripHopByHop(h)
	ours := understood{Status: h.Status, Fields: fieldMap(h), Trailers: trailerMap(trailers), Content: content, Rest: next}
	if diff := cmp.Diff(want, ours.Fields); diff != "" {
		t.Errorf("fields sent on, -want +got:\n%s", diff)
	}
	h.Framing = ResponseFraming(h.Framing, hop.HTTP11)
	ours.Chunked, ours.Length = h.Framing == message.Chunked, h.Length
	switch noBody := h.Status < 200 || h.Status == 204; { // as net/http has it
	case noBody && method == message.HEAD:
		ours.Length = -1
	case noBody || h.Status == 304 && method != message.HEAD:
		ours.Length = 0
	}
	theirs, err2 := readResponse(method, appendMessage(AppendResponse(nil, h, Persist), h, content, trailers))
	if err2 != nil {
		t.Fatalf("net/http refuses what is sent on: %v", err2)
	}
	if diff := cmp.Diff(ours, theirs); diff != "" {
		t.Errorf("-codec +net/http:\n%s", diff)
	}
	return true
}

// appendMessage appends the body to the encoded head, and what follows.
func appendMessage(out []byte, h *message.Head, content string, trailers *message.Head) []byte {
	switch h.Framing {
	case message.ByLength:
		out = append(out, content...)
	case message.Chunked:
		half := len(content) / 2
		out = appendChunk(out, []byte(content[:half]))
		out = appendChunk(out, []byte(content[half:]))
		out = AppendLastChunk(out, trailers)
	}
	return append(out, next...)
}

const readerSize = 1 << 16 // net/http wants the trailers in its buffer

func readRequest(wire []byte) (understood, error) {
	r := bufio.NewReaderSize(bytes.NewReader(wire), readerSize)
	req, err := http.ReadRequest(r)
	if err != nil {
		return understood{}, err
	}
	content, err := io.ReadAll(req.Body)
	if err != nil {
		return understood{}, err
	}
	rest, _ := io.ReadAll(r)
	u := understood{
		Method: req.Method, Target: req.RequestURI, Host: req.Host, Length: req.ContentLength,
		Chunked: slices.Equal(req.TransferEncoding, []string{"chunked"}),
		Fields:  goFields(req.Header), Trailers: goFields(req.Trailer), Content: string(content), Rest: string(rest),
	}
	return u, nil
}

func readResponse(method message.Method, wire []byte) (understood, error) {
	r := bufio.NewReaderSize(bytes.NewReader(wire), readerSize)
	resp, err := http.ReadResponse(r, &http.Request{Method: method.String()})
	if err != nil {
		return understood{}, err
	}
	u := understood{
		Status: resp.StatusCode, Length: resp.ContentLength,
		Chunked: slices.Equal(resp.TransferEncoding, []string{"chunked"}), Fields: goFields(resp.Header),
	}
	// net/http does not know tunnels.
	if resp.StatusCode != 101 && !(method == message.CONNECT && resp.StatusCode/100 == 2) {
		content, err := io.ReadAll(resp.Body)
		if err != nil {
			return understood{}, err
		}
		u.Content = string(content)
	}
	u.Trailers = goFields(resp.Trailer)
	rest, _ := io.ReadAll(r)
	u.Rest = string(rest)
	return u, nil
}

// goFields has the names in lower case, without those fields that say how the
// message is framed, and Trailer, which net/http takes away.
func goFields(header http.Header) map[string][]string {
	fields := map[string][]string{}
	for name, values := range header {
		if len(values) > 0 { // not a trailer that was announced and did not come
			fields[strings.ToLower(name)] = values
		}
	}
	return withoutFraming(fields)
}

func fieldMap(h *message.Head) map[string][]string {
	fields := map[string][]string{}
	for _, f := range h.Fields {
		if name := strings.ToLower(string(h.Bytes(f.Name))); !f.Removed {
			fields[name] = append(fields[name], string(h.Bytes(f.Value)))
		}
	}
	return withoutFraming(fields)
}

func trailerMap(trailers *message.Head) map[string][]string {
	if trailers == nil {
		return map[string][]string{}
	}
	return fieldMap(trailers)
}

func withoutFraming(fields map[string][]string) map[string][]string {
	for _, name := range []string{"content-length", "transfer-encoding", "connection", "trailer", "te", "upgrade"} {
		delete(fields, name)
	}
	// net/http makes the one of the other (RFC 7234 section 5.4).
	if pragma := fields["pragma"]; len(pragma) > 0 && pragma[0] == "no-cache" && slices.Equal(fields["cache-control"], []string{"no-cache"}) {
		delete(fields, "cache-control")
	}
	return fields
}

// connectionOptions are the options of a head, found in another way than the
// codec does.
func connectionOptions(h *message.Head) map[string]bool {
	named := map[string]bool{"keep-alive": true, "proxy-connection": true}
	for _, f := range h.Fields {
		if strings.EqualFold(string(h.Bytes(f.Name)), "connection") {
			for option := range strings.SplitSeq(string(h.Bytes(f.Value)), ",") {
				option = asciiLower(strings.Trim(option, " \t"))
				if p := message.PropertiesOf([]byte(option)); !p.Has(message.Guarded) {
					named[option] = true
				}
			}
		}
	}
	return named
}

// wantFields is what must be sent on.
func wantFields(h *message.Head, named map[string]bool) map[string][]string {
	fields := fieldMap(h)
	delete(fields, "host")
	for name := range fields {
		if named[name] {
			delete(fields, name)
		}
	}
	return fields
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
