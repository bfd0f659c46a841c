package tracecontext

import (
	"bytes"
	"fmt"
	"hash/fnv"
)

// Mark is the member of tracestate that a proxy adds to what it sends: by it the next proxy
// knows that a request has been in the same mesh before, whatever client began its trace.
// Applications pass it on with the rest of tracestate (W3C Trace Context level 2,
// section 3.3). An empty Mark is none.
type Mark string

// markKey begins the member, whatever the mesh.
const markKey = "hopscope="

// NewMark returns the mark of the mesh with a name. A name may have characters that are
// not allowed in tracestate, and is nobody else's business, so the mark has a hash of it.
func NewMark(mesh string) Mark {
	h := fnv.New32a()
	h.Write([]byte(mesh))
	return Mark(fmt.Sprintf("%s%08x", markKey, h.Sum32()))
}

// Cut appends the members of all lines to dst as [AppendTracestate] does, without the marks
// among them, and reports whether this mark is one of those.
func (m Mark) Cut(dst []byte, lines [][]byte) (list []byte, marked bool) {
	if m != "" && len(lines) == 1 && string(lines[0]) == string(m) {
		return dst, true // nearly always
	}
	from := len(dst)
	dst = AppendTracestate(dst, lines)
	if m == "" || !bytes.Contains(dst[from:], []byte(markKey)) {
		return dst, false
	}
	kept := dst[:from] // never gets ahead of rest
	for rest := dst[from:]; len(rest) > 0; {
		var member []byte
		if member, rest = nextMember(rest); len(member) == 0 {
			continue
		}
		if bytes.HasPrefix(member, []byte(markKey)) {
			marked = marked || string(member) == string(m)
			continue
		}
		if len(kept) > from {
			kept = append(kept, ',')
		}
		kept = append(kept, member...)
	}
	return kept, marked
}

// Append appends the mark and the members of a list that [Mark.Cut] made: the mark comes
// first, since whoever changed the context last does. A list that has no room for it loses
// members from the right.
func (m Mark) Append(dst, list []byte) []byte {
	if m == "" {
		return append(dst, list...)
	}
	members := 2 + bytes.Count(list, []byte{','})
	for len(list) > 0 && (members > MaxTracestateMembers || len(m)+1+len(list) > MaxTracestateBytes) {
		list = list[:max(bytes.LastIndexByte(list, ','), 0)]
		members--
	}
	dst = append(dst, m...)
	if len(list) > 0 {
		dst = append(append(dst, ','), list...)
	}
	return dst
}
