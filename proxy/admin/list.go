package admin

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strconv"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// The limits on the hops of a trace in one answer: their number, and their size in
// memory.
const (
	maxHops  = 1000
	maxBytes = 4 << 20
)

// window returns the hops for an answer that begins at from. next is where the next
// answer begins, 0 after the last.
func window(hops []*hop.Hop, from int) (part []*hop.Hop, next int) {
	hops = hops[min(from, len(hops)):]
	bytes := 0
	for i, h := range hops {
		if bytes += h.Size(); i == maxHops || i > 0 && bytes > maxBytes {
			return hops[:i], from + i
		}
	}
	return hops, 0
}

// parseFrom reads from=, where a long answer goes on.
func parseFrom(form url.Values) (int, error) {
	s := form.Get("from")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("from=%s is not a position: use a number, where 0 is the start", quote(s))
	}
	return n, nil
}

// encoder writes indented JSON into a buffer.
func encoder(to *bytes.Buffer, prefix string) *json.Encoder {
	enc := json.NewEncoder(to)
	enc.SetIndent(prefix, "  ")
	enc.SetEscapeHTML(false) // it is not HTML, and nosniff keeps browsers from treating it as HTML
	return enc
}

// listWriter writes a list item by item, so that an answer is never in memory as a whole.
type listWriter struct {
	to     *bufio.Writer
	item   bytes.Buffer
	enc    *json.Encoder
	indent string // of the list
	n      int
	err    error // why no more is written
}

func newListWriter(w io.Writer, indent string) *listWriter {
	l := &listWriter{to: bufio.NewWriterSize(w, piece), indent: indent}
	l.enc = encoder(&l.item, indent+"  ")
	return l
}

// add appends an item, and reports whether to go on.
func (l *listWriter) add(v any) bool {
	l.item.Reset()
	if l.err = l.enc.Encode(v); l.err != nil {
		return false
	}
	start := ",\n"
	if l.n++; l.n == 1 {
		start = "[\n"
	}
	l.to.WriteString(start + l.indent + "  ")
	_, l.err = l.to.Write(bytes.TrimSuffix(l.item.Bytes(), []byte("\n")))
	return l.err == nil
}

// end closes the list, and writes rest after it. If an item could not be written, end
// cuts the connection instead, since nothing else tells the client.
func (l *listWriter) end(rest string) {
	switch {
	case l.err != nil:
		panic(http.ErrAbortHandler)
	case l.n == 0:
		l.to.WriteString("[]" + rest)
	default:
		l.to.WriteString("\n" + l.indent + "]" + rest)
	}
	// An error here means that the client went away, or does not read.
	_ = l.to.Flush()
}

// writeList answers with a list, item by item. It returns false, and writes nothing, if v
// is not a list or its first item can't be marshalled.
func writeList(w http.ResponseWriter, status int, v any) bool {
	list := reflect.ValueOf(v)
	if list.Kind() != reflect.Slice || list.Type().Elem().Kind() == reflect.Uint8 || list.Len() == 0 {
		return false
	}
	if _, err := json.Marshal(list.Index(0).Interface()); err != nil {
		return false
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	l := newListWriter(w, "")
	for i := 0; i < list.Len() && l.add(list.Index(i).Interface()); i++ {
	}
	l.end("\n")
	return true
}
