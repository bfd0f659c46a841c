package problem

import (
	"cmp"
	"encoding/json"
	"strconv"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Problem is what an error response tells.
type Problem struct {
	// Status is the HTTP status, and Phrase the same in words; "" if it has none.
	Status int
	Phrase string
	// RequestID and Trace are for the client to name the request by.
	RequestID string
	Trace     hop.TraceID
	// Inside is what only those inside the mesh are told; nil where the client is none of
	// them.
	Inside *Inside
}

// Inside says what failed, and where.
type Inside struct {
	// Kind is the kind of the failure, such as "connect_refused", and Meaning what that is
	// in half a sentence; "" if the proxy answers for no failure.
	Kind, Meaning string
	// Reason is a sentence about this failure.
	Reason string
	// Service is the service that answers.
	Service string
	Flags   hop.Flags
	Failure hop.Failure
	// Link leads to the trace; "" for none.
	Link string
}

// typeBase is the page that explains each kind of failure.
const typeBase = "https://github.com/hopscope/hopscope/blob/main/docs/flags.md#"

// maxText is how much of a text is told, in bytes: a client may have sent it.
const maxText = 1024

// document is the JSON of RFC 9457 section 3.1, with members of our own.
type document struct {
	Type      string   `json:"type"`
	Title     string   `json:"title"`
	Status    int      `json:"status"`
	Detail    string   `json:"detail,omitempty"`
	Instance  string   `json:"instance,omitempty"`
	Culprit   *culprit `json:"culprit,omitempty"`
	Flags     string   `json:"flags,omitempty"`
	RequestID string   `json:"request_id,omitempty"`
	TraceID   string   `json:"trace_id,omitempty"`
}

// culprit is who is at fault, as in the JSON of hopscope's commands.
type culprit struct {
	Service  string `json:"service"`
	Instance string `json:"instance,omitempty"`
	Part     string `json:"part,omitempty"`
	Kind     string `json:"kind,omitempty"`
	Edge     string `json:"edge"`
}

// AppendJSON appends the problem as application/problem+json.
func (p *Problem) AppendJSON(dst []byte) []byte {
	d := document{Type: "about:blank", Title: p.title(), Status: p.Status, RequestID: cut(p.RequestID)}
	if !p.Trace.IsZero() {
		d.TraceID = p.Trace.String()
	}
	if in := p.Inside; in != nil {
		if in.Kind != "" {
			d.Type, d.Title = typeBase+in.Kind, cmp.Or(in.Meaning, d.Title)
		}
		d.Detail, d.Instance, d.Flags = cut(in.Reason), in.Link, in.Flags.String()
		if f := &in.Failure; f.Hop != "" {
			d.Culprit = &culprit{f.Hop, f.Endpoint, f.Part.String(), f.Kind, f.Edge()}
		}
	}
	text, err := json.Marshal(&d)
	if err != nil { // not reached: there is nothing in it that JSON can't hold
		return p.AppendText(dst)
	}
	return append(append(dst, text...), '\n')
}

// AppendText appends the problem as plain text.
func (p *Problem) AppendText(dst []byte) []byte {
	dst = append(strconv.AppendInt(dst, int64(p.Status), 10), ' ')
	dst = append(dst, p.Phrase...)
	if in := p.Inside; in != nil {
		dst = append(append(dst, '\n'), cmp.Or(in.Failure.Edge(), in.Service)...)
		dst = append(append(dst, ": "...), in.Reason...)
		dst = append(append(dst, " ("...), in.Flags.String()...)
		dst = p.Trace.AppendHex(append(dst, ")\ntrace "...))
		if in.Link != "" {
			dst = append(append(dst, '\n'), in.Link...)
		}
	}
	return append(dst, '\n')
}

// title is the status in words.
func (p *Problem) title() string {
	return cmp.Or(p.Phrase, "Error "+strconv.Itoa(p.Status))
}

// cut bounds a text.
func cut(s string) string { return s[:min(len(s), maxText)] }
