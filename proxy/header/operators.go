package header

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/operators"
)

// values are what operators read.
type values struct {
	hop               *hop.Hop
	request, response *message.Head
}

// piece is a part of a value: text, and what an operator makes.
type piece struct {
	text string
	// append appends the operator's value; nil is no operator.
	append func(dst []byte, v *values) []byte
	most   int // bytes of that; -1 is any number
}

// early are the operators whose value is known before a request goes out, late those that
// depend on the endpoint of an attempt, and afterwards those of a response. Others are
// REQ and RESP.
var (
	early = []string{
		"CLIENT_IP", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", "DOWNSTREAM_DIRECT_REMOTE_PORT",
		"DOWNSTREAM_PEER_SUBJECT", "DOWNSTREAM_PEER_URI_SAN", "DOWNSTREAM_REMOTE_ADDRESS", "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
		"DOWNSTREAM_REMOTE_PORT", "DOWNSTREAM_TLS_CIPHER", "DOWNSTREAM_TLS_VERSION", "ENVIRONMENT", "HOSTNAME", "PROTOCOL",
		"REQUESTED_SERVER_NAME", "ROUTE", "ROUTE_NAME", "START_TIME", "TRACE_ID", "UPSTREAM_CLUSTER",
	}
	late = []string{
		"UPSTREAM_HOST", "UPSTREAM_PROTOCOL", "UPSTREAM_REMOTE_ADDRESS", "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "UPSTREAM_REMOTE_PORT",
		"UPSTREAM_REQUEST_ATTEMPT_COUNT", "UPSTREAM_PEER_SUBJECT", "UPSTREAM_PEER_URI_SAN", "UPSTREAM_TLS_CIPHER", "UPSTREAM_TLS_VERSION",
	}
	afterwards = []string{"RESPONSE_CODE", "RESPONSE_CODE_DETAILS", "RESPONSE_FLAGS"}
	// ours are the short names that operators have here.
	ours = map[string]string{"CLIENT_IP": "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "ROUTE": "ROUTE_NAME"}
)

// Operators returns the names of the operators that a value may have.
func Operators(side Side) []string {
	all := slices.Concat(early, late, []string{"REQ"})
	if side == Response {
		all = append(append(all, afterwards...), "RESP")
	}
	slices.Sort(all)
	return all
}

// parse takes the value of a field apart. isLate reports whether it depends on the endpoint.
func (f *field) parse(side Side, value string) (isLate bool, err error) {
	pieces, err := operators.Parse(value)
	if err != nil {
		return false, err
	}
	for i := range pieces {
		p := &pieces[i]
		if n := message.Prefix(p.Text, message.InValue); n < len(p.Text) {
			return false, fmt.Errorf("a field has no byte 0x%s", message.HexByte(p.Text[n]))
		}
		if p.Name == "" && len(pieces) == 1 {
			f.literal = strings.Trim(p.Text, " \t")
			break
		}
		made := piece{text: p.Text, most: p.Most}
		if p.Name != "" {
			if made.append, err = operator(side, p); err != nil {
				return false, err
			}
		}
		isLate = isLate || side == Request && slices.Contains(late, p.Name)
		f.pieces = append(f.pieces, made)
	}
	return isLate, nil
}

// operator returns what appends the value of an operator.
func operator(side Side, p *operators.Piece) (func([]byte, *values) []byte, error) {
	if !slices.Contains(Operators(side), p.Name) {
		if side == Request && (p.Name == "RESP" || slices.Contains(afterwards, p.Name)) {
			return nil, fmt.Errorf("%%%s%% is not known before there is a response", p.Name)
		}
		return nil, fmt.Errorf("there is no command operator %%%s%% for fields; there are %s", p.Name, strings.Join(Operators(side), ", "))
	}
	if p.Name == "REQ" || p.Name == "RESP" {
		return fromHead(p)
	}
	named := *p
	if name, ok := ours[p.Name]; ok {
		named.Name = name
	}
	of, err := named.Value(nil)
	if err != nil {
		return nil, err
	}
	return func(dst []byte, v *values) []byte {
		dst, _ = of(dst, v.hop)
		return dst
	}, nil
}

// fromHead is a field of the request or the response, or another if that is absent: REQ(X?Y).
func fromHead(p *operators.Piece) (func([]byte, *values) []byte, error) {
	first, second, _ := strings.Cut(strings.ToLower(p.Argument), "?")
	for _, name := range []string{first, second} {
		pseudo := p.Name == "REQ" && slices.Contains([]string{":method", ":path", ":authority", ":scheme"}, name)
		if !pseudo && !message.All(name, message.InToken) && (name != "" || name == first) {
			return nil, fmt.Errorf("%%%s(%s)%%: expected the name of a field, or two with a question mark between them", p.Name, p.Argument)
		}
	}
	ofResponse := p.Name == "RESP"
	return func(dst []byte, v *values) []byte {
		head := v.request
		if ofResponse {
			head = v.response
		}
		before := len(dst)
		if dst = appendField(dst, head, v.hop, first); len(dst) == before && second != "" {
			dst = appendField(dst, head, v.hop, second)
		}
		return dst
	}, nil
}

// appendField appends the values of a field, joined by commas, or a part of the request line.
func appendField(dst []byte, head *message.Head, h *hop.Hop, name string) []byte {
	switch name {
	case ":method":
		return append(dst, head.MethodText()...)
	case ":path":
		dst = append(dst, head.Path()...)
		if query := head.Query(); len(query) > 0 {
			dst = append(append(dst, '?'), query...)
		}
		return dst
	case ":authority", "host":
		return append(dst, head.Host()...)
	case ":scheme":
		return append(dst, h.Scheme...)
	}
	first := true
	for i := range head.Fields {
		f := &head.Fields[i]
		if f.Removed || !message.EqualFold(head.Bytes(f.Name), name) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		dst, first = append(dst, head.Bytes(f.Value)...), false
	}
	return dst
}

// append appends the value of a field. It has no byte that a field can't have, whatever a
// certificate or a client says.
func (f *field) append(line []byte, h *hop.Hop, request, response *message.Head) []byte {
	v := &values{h, request, response}
	from := len(line)
	for i := range f.pieces {
		p := &f.pieces[i]
		line = append(line, p.text...)
		if p.append == nil {
			continue
		}
		before := len(line)
		line = p.append(line, v)
		if p.most >= 0 && len(line)-before > p.most {
			line = line[:before+p.most]
		}
	}
	value := line[from:]
	for i, c := range value {
		if !message.Is(c, message.InValue) {
			value[i] = '_'
		}
	}
	for len(value) > 0 && (value[len(value)-1] == ' ' || value[len(value)-1] == '\t') {
		value = value[:len(value)-1]
	}
	blanks := 0
	for blanks < len(value) && (value[blanks] == ' ' || value[blanks] == '\t') {
		blanks++
	}
	return line[:from+copy(value, value[blanks:])]
}
