package top

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hopscope/hopscope/telemetry/diagnose"
)

// AppendText appends the table, with at most rows rows of services and as many of edges; 0
// is all.
func (t *Table) AppendText(dst []byte, o diagnose.TextOptions, rows int) []byte {
	width := len("SERVICE")
	for _, all := range [][]Row{t.Services, t.Edges} {
		for i := range all {
			width = max(width, utf8.RuneCountInString(all[i].Name()))
		}
	}
	width = min(width, 48)
	for _, part := range []struct {
		title string
		all   []Row
	}{{"SERVICE", t.Services}, {"EDGE", t.Edges}} {
		line := fmt.Sprintf("%s  %9s  %9s  %6s  %9s  %9s", pad(part.title, width), "REQ/S", "FAILED/S", "FAILED", "P50", "P99")
		dst = append(tint(dst, o.Color, "1", line), '\n')
		for i := range part.all {
			if rows > 0 && i >= rows {
				dst = fmt.Appendf(dst, "and %d more\n", len(part.all)-i)
				break
			}
			dst = part.all[i].append(dst, o.Color, width)
		}
		if len(part.all) == 0 {
			dst = append(dst, "none\n"...)
		}
		dst = append(dst, '\n')
	}
	for _, l := range t.Lost {
		dst = append(tint(dst, o.Color, "33", fmt.Sprintf("trace context is lost at %s: %d of its calls began a trace of their own", l.Service, l.Calls)), '\n')
	}
	return dst
}

func (r *Row) append(dst []byte, color bool, width int) []byte {
	share := 0.0
	if r.Rate > 0 {
		share = 100 * r.Failing / r.Rate
	}
	text := fmt.Sprintf("%s  %9.1f  %9.1f  %5.1f%%  %9s  %9s", pad(r.Name(), width), r.Rate, r.Failing, share, duration(r.P50), duration(r.P99))
	code := ""
	if r.Failing > 0 {
		code = "31"
	}
	return append(tint(dst, color, code, text), '\n')
}

func tint(dst []byte, color bool, code, text string) []byte {
	if !color || code == "" {
		return append(dst, text...)
	}
	return fmt.Appendf(dst, "\x1b[%sm%s\x1b[0m", code, text)
}

// pad makes s exactly n columns wide.
func pad(s string, n int) string {
	if have := utf8.RuneCountInString(s); have <= n {
		return s + strings.Repeat(" ", n-have)
	}
	return string([]rune(s)[:n-1]) + "…"
}

// duration is a duration with two or three digits that count, "-" for none.
func duration(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.1fms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	}
	return fmt.Sprintf("%.2fs", d.Seconds())
}
