package mesh

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hopscope/hopscope/mesh/why"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// The limits on one hop.
const (
	maxHop      = 1 << 20 // bytes of JSON
	maxAttempts = 100
	maxText     = 4096 // bytes of a text, as of those that a proxy copies from a request
	maxDuration = 10 * 365 * 24 * time.Hour
)

// ParseID reads a trace id: 32 hex digits, or the 16 of a short B3 one.
func ParseID(s string) (id hop.TraceID, err error) {
	if len(s) == 16 {
		s = strings.Repeat("0", 16) + s
	}
	if n, e := hex.Decode(id[:], []byte(s[:min(len(s), 2*len(id))])); e != nil || n != len(id) || len(s) != 2*len(id) || id.IsZero() {
		return hop.TraceID{}, fmt.Errorf("%q is not a trace id: it has 32 hex digits, or 16", s)
	}
	return id, nil
}

// decodeHops reads a list of hops. It returns those of the trace that make sense, and how
// many items it read, at most most. With an error it returns what came before it.
func decodeHops(r io.Reader, id hop.TraceID, most int) (hops []*hop.Hop, n int, err error) {
	var first error // why an item was left out
	left := 0
	n, err = decodeList(r, most, func(item []byte) {
		h := new(hop.Hop)
		if err := accept(h, item, id); err == nil {
			hops = append(hops, h)
		} else if left++; first == nil {
			first = err
		}
	})
	if err == nil && left > 0 {
		err = fmt.Errorf("%d of the %d hops of its answer were left out: %s", left, n, clean(first.Error()))
	}
	return hops, n, err
}

// decodeList reads a list item by item, so that a broken one gives what it can, and
// returns how many items there were.
func decodeList(r io.Reader, most int, each func(item []byte)) (n int, err error) {
	d := json.NewDecoder(r)
	if start, err := d.Token(); err != nil {
		return 0, broken(err)
	} else if start != json.Delim('[') {
		return 0, errors.New("its answer is not a list: is this the admin API of a hopscope?")
	}
	for ; d.More(); n++ {
		if n >= most {
			return n, errors.New("its answer has too many items")
		}
		var item json.RawMessage
		if err := d.Decode(&item); err != nil {
			return n, broken(err)
		}
		each(item)
	}
	_, err = d.Token()
	return n, broken(err)
}

// broken says what is wrong with an answer that could not be read to its end.
func broken(err error) error {
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("its answer ends too early")
	case errors.As(err, &syntax):
		return errors.New("its answer is not JSON: " + clean(syntax.Error()))
	}
	return err
}

// accept reads a hop of the trace. It refuses what no proxy would record, and cuts texts
// that are too long.
func accept(h *hop.Hop, item []byte, id hop.TraceID) error {
	if len(item) > maxHop {
		return fmt.Errorf("a hop of %d bytes", len(item))
	}
	if err := h.UnmarshalJSON(item); err != nil {
		return err
	}
	switch {
	case h.Trace != id:
		return errors.New("a hop of another trace")
	case h.Span.IsZero() || h.Labels.Service == "":
		return errors.New("a hop without a span id or a service")
	case len(h.Attempts) > maxAttempts:
		return fmt.Errorf("a hop with %d attempts", len(h.Attempts))
	case h.Status < 0 || h.Status > 999 || !plausible(h.End, h.Timeout, h.Routed, h.FirstByte, h.WriteBlocked, h.Queued, h.Labels.Slow):
		return errors.New("a hop with impossible numbers")
	}
	labels := h.Labels
	cut(&labels.Service, &labels.Listener, &labels.Route, &labels.Cluster, &labels.Variant, &h.Template, &h.Details, &h.ProxyError, &h.Client, &h.Peer)
	f := &h.Failure
	cut(&f.Hop, &f.Kind, &f.Caller, &f.Endpoint, &f.Reason)
	if r := h.Recovered; r != nil {
		if !plausible(r.Took) {
			return errors.New("a hop with impossible numbers")
		}
		cut(&r.Hop, &r.Kind, &r.Caller, &r.Endpoint, &r.Reason)
	}
	for i := range h.Attempts {
		a := &h.Attempts[i]
		if a.Status < 0 || a.Status > 999 || !plausible(a.Start, a.Connected, a.Sent, a.FirstByte, a.End, a.WriteBlocked) {
			return errors.New("an attempt with impossible numbers")
		}
		cut(&a.Endpoint, &a.Cluster, &a.ProxyError, &a.Details, &a.Reason, &a.Evidence)
	}
	return nil
}

func plausible(durations ...time.Duration) bool {
	for _, d := range durations {
		if d < 0 || d > maxDuration {
			return false
		}
	}
	return true
}

// cut shortens texts that are too long.
func cut(texts ...*string) {
	for _, s := range texts {
		if len(*s) > maxText {
			*s = strings.ToValidUTF8((*s)[:maxText], "")
		}
	}
}

// clean makes a text of another proxy one line that a terminal can show.
func clean(s string) string { return why.Clean(s) }
