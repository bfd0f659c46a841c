package operators

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// moments are the instants of Envoy's COMMON_DURATION that a Hop has, from its start; a
// negative one did not happen. Those of the upstream are the last attempt's.
var moments = map[string]func(*hop.Hop) time.Duration{
	"DS_RX_BEG": func(*hop.Hop) time.Duration { return 0 },
	"US_CX_BEG": ofAttempt(func(a *hop.Attempt) time.Duration { return a.Start }),
	"US_CX_END": ofAttempt(func(a *hop.Attempt) time.Duration { return a.Connected }),
	"US_TX_BEG": ofAttempt(func(a *hop.Attempt) time.Duration { return a.Sent }),
	"US_RX_BEG": ofAttempt(func(a *hop.Attempt) time.Duration { return a.FirstByte }),
	"US_RX_END": ofAttempt(func(a *hop.Attempt) time.Duration { return a.End }),
	"DS_TX_BEG": func(h *hop.Hop) time.Duration { return happened(h.FirstByte) },
	"DS_TX_END": func(h *hop.Hop) time.Duration { return h.End },
}

func ofAttempt(of func(*hop.Attempt) time.Duration) func(*hop.Hop) time.Duration {
	return func(h *hop.Hop) time.Duration {
		if a := h.LastAttempt(); a != nil {
			return happened(of(a))
		}
		return -1
	}
}

// happened turns 0, which says that something did not happen, into -1.
func happened(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// between is the time from one moment to another, in whole units.
func between(from, to string, unit time.Duration) Value {
	begin, end := moments[from], moments[to]
	return func(dst []byte, h *hop.Hop) ([]byte, Kind) {
		a, b := begin(h), end(h)
		if a < 0 || b < a {
			return dst, None
		}
		return appendInt(dst, int64((b-a)/unit)), Number
	}
}

// commonDuration is START:END:PRECISION.
func commonDuration(_ *Recorded, argument string) (Value, error) {
	parts := strings.Split(argument, ":")
	if len(parts) == 2 {
		parts = append(parts, "ms")
	}
	units := map[string]time.Duration{"ms": time.Millisecond, "us": time.Microsecond, "ns": time.Nanosecond}
	if len(parts) != 3 || units[parts[2]] == 0 {
		return nil, fmt.Errorf("expected START:END:PRECISION, where the precision is ms, us or ns")
	}
	for _, name := range parts[:2] {
		if moments[name] == nil {
			return nil, fmt.Errorf("there is no time point %s; there are %s", clip(name), strings.Join(momentNames(), ", "))
		}
	}
	return between(parts[0], parts[1], units[parts[2]]), nil
}

func momentNames() []string {
	var names []string
	for name := range moments {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// startTime is when the request began, in UTC: in a format of strftime, with %3f and the
// like for fractions of a second, or else with milliseconds.
func startTime(_ *Recorded, format string) (Value, error) {
	if format == "" {
		return func(dst []byte, h *hop.Hop) ([]byte, Kind) {
			return h.Start.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z"), Text
		}, nil
	}
	var steps []func(dst []byte, t time.Time) []byte
	for len(format) > 0 {
		before, rest, ok := strings.Cut(format, "%")
		steps = append(steps, func(dst []byte, _ time.Time) []byte { return append(dst, before...) })
		if !ok {
			break
		}
		width := 9
		if len(rest) > 1 && rest[0] >= '1' && rest[0] <= '9' && rest[1] == 'f' {
			width, rest = int(rest[0]-'0'), rest[1:]
		}
		if rest == "" {
			return nil, fmt.Errorf("the format ends with a per cent sign")
		}
		step := conversion(rest[0], width)
		if step == nil {
			return nil, fmt.Errorf("there is no conversion %%%c; there are %%Y %%y %%m %%d %%e %%j %%b %%B %%a %%A %%H %%I %%M %%S %%p %%s %%z %%Z %%T %%F %%D %%R %%f, %%1f to %%9f and %%%%", rest[0])
		}
		steps, format = append(steps, step), rest[1:]
	}
	return func(dst []byte, h *hop.Hop) ([]byte, Kind) {
		for _, step := range steps {
			dst = step(dst, h.Start.UTC())
		}
		return dst, Text
	}, nil
}

// layouts are conversions of strftime as layouts of package time.
var layouts = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'j': "002", 'b': "Jan", 'h': "Jan", 'B': "January", 'a': "Mon", 'A': "Monday",
	'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM", 'z': "-0700", 'Z': "UTC",
	'T': "15:04:05", 'F': "2006-01-02", 'D': "01/02/06", 'R': "15:04",
}

// conversion is one of strftime; nil if there is none.
func conversion(c byte, width int) func(dst []byte, t time.Time) []byte {
	switch c {
	case '%':
		return func(dst []byte, _ time.Time) []byte { return append(dst, '%') }
	case 's':
		return func(dst []byte, t time.Time) []byte { return appendInt(dst, t.Unix()) }
	case 'f':
		return func(dst []byte, t time.Time) []byte {
			n := t.Nanosecond()
			for i, unit := 0, int(1e8); i < width; i, unit = i+1, unit/10 {
				dst = append(dst, byte('0'+n/unit%10))
			}
			return dst
		}
	}
	layout, ok := layouts[c]
	if !ok {
		return nil
	}
	return func(dst []byte, t time.Time) []byte { return t.AppendFormat(dst, layout) }
}
