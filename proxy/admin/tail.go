package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/store"
)

// How many read a tail at once, and how long an answer may go on: less than any answer may
// take. Who wants more asks again.
const (
	maxTails = 16
	tailTime = 20 * time.Second
)

// tailLine is a line of the answer: a hop, or how many are missing before what follows. The
// last line has neither.
type tailLine struct {
	// Number is what to ask for as after= to go on from here.
	Number uint64         `json:"number"`
	Missed uint64         `json:"missed"`
	Hop    *store.Summary `json:"hop,omitempty"`
}

// tail answers /v1/tail: hops as they end, a JSON object a line.
func (a *api) tail(w http.ResponseWriter, r *http.Request) {
	q, err := parseTail(r.URL.Query())
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error(), "for example /v1/tail?failed=1&wait=10s&after=17")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), q.wait)
	defer cancel()
	if q.wait == 0 {
		cancel()
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	control := http.NewResponseController(w)
	for {
		news := a.Tail.Read(ctx, time.Now(), q.after, q.failed)
		q.after = news.Last
		var lines bytes.Buffer
		enc := json.NewEncoder(&lines)
		enc.SetEscapeHTML(false)
		// The lines always encode.
		if news.Missed > 0 {
			_ = enc.Encode(tailLine{Number: q.after, Missed: news.Missed})
		}
		for _, h := range news.Hops {
			s := store.Summarize([]*hop.Hop{h})
			_ = enc.Encode(tailLine{Number: q.after, Hop: &s})
		}
		over := ctx.Err() != nil
		if over {
			_ = enc.Encode(tailLine{Number: q.after})
		}
		if _, err := w.Write(lines.Bytes()); err != nil || over {
			return // or the client went away
		}
		_ = control.Flush() // an error shows at the next write
	}
}

type tailQuery struct {
	failed bool
	after  uint64
	wait   time.Duration
}

// parseTail reads the parameters of /v1/tail.
func parseTail(form url.Values) (q tailQuery, err error) {
	for _, name := range slices.Sorted(maps.Keys(form)) {
		value := form.Get(name)
		switch name {
		case "failed":
			q.failed, err = parseBool(value)
		case "after":
			if q.after, err = strconv.ParseUint(value, 10, 64); err != nil {
				err = errors.New("it is the number of a line before")
			}
		case "wait":
			if q.wait, err = time.ParseDuration(value); err != nil || q.wait < 0 || q.wait > tailTime {
				err = fmt.Errorf("it is a duration of at most %v", tailTime)
			}
		default:
			return q, fmt.Errorf("there is no parameter %s, only after, failed, wait", quote(name))
		}
		if err != nil {
			return q, fmt.Errorf("%s=%s: %w", name, quote(value), err)
		}
	}
	return q, nil
}
