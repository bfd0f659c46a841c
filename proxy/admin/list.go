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

// What one answer holds of a trace: hops, and bytes of their memory.
const (
	maxHops  = 1000
	maxBytes = 4 << 20
)

// window is the part of the hops that an answer has which begins with the one at from:
// next is where the next page begins, 0 after the last.
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

// parseFrom reads from=: where a long answer is to go on.
func parseFrom(form url.Values) (int, error) {
	s := form.Get("from")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("from=%s is not where anything begins: it is a number, and 0 is the start", quote(s))
	}
	return n, nil
}

// encoder writes JSON as people read it, into a buffer.
func encoder(to *bytes.Buffer, prefix string) *json.Encoder {
	enc := json.NewEncoder(to)
	enc.SetIndent(prefix, "  ")
	enc.SetEscapeHTML(false) // it is no HTML, and nosniff keeps browsers from taking it for some
	return enc
}

// listWriter writes the items of a list one after the other, so that no answer is in
// memory as a whole.
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

// add appends an item, and reports whether it is worth while to go on.
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

// end closes the list, and writes what follows it. Where an item could not be written
// it ends the connection instead: there is no other way to say so.
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

// writeList answers with a list, an item at a time. It reports false, and has written
// nothing, where v is no list or its first item can't be marshalled.
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
