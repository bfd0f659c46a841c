package forward

import (
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// recordFields records the fields of a head that the configuration asks for, beyond those
// that every Hop has.
func (f *Forwarder) recordFields(h *hop.Hop, head *message.Head, ofResponse bool) {
	h.Record(len(f.Record))
	for i := range f.Record {
		if f.Record[i].Response != ofResponse {
			continue
		}
		if value, ok := head.Lookup(f.Record[i].Name); ok {
			h.Set(&h.Recorded[i], value)
		}
	}
}
