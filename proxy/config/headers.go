package config

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/header"
)

// HeaderChanges change the fields of requests or responses: first those of "remove" are
// removed, then those of "set" get their value, then those of "add" are added.
//
// Values are texts with Envoy's command operators: "%CLIENT_IP%", "%REQ(x-user?x-account)%",
// "%TRACE_ID%", "%ROUTE%", "%START_TIME%", "%DOWNSTREAM_PEER_URI_SAN%" and others, those of
// Envoy's access logs that say something before a request is over; "%%" is a per cent sign.
// Those of an endpoint, such as "%UPSTREAM_HOST%", go into "set" alone in requests. "%RESP(x)%" and "%RESPONSE_CODE%"
// are for responses. An operator that has nothing to say adds nothing to the value.
type HeaderChanges struct {
	// Set gives fields a value in place of the ones that they have. A field whose value would
	// be empty is removed, so that a client can't set it itself.
	Set map[string]string `yaml:"set"`
	// Add adds fields beside those of the same name. One whose value would be empty is not
	// added.
	Add map[string]string `yaml:"add"`
	// Remove are names of fields.
	Remove []string `yaml:"remove" format:"field"`
}

// Compile returns the changes; nil for none.
func (h *HeaderChanges) Compile(side header.Side) (*header.Changes, error) {
	if h == nil {
		return nil, nil
	}
	return header.Compile(side, header.Spec{Set: h.Set, Add: h.Add, Remove: h.Remove})
}

// headerChanges checks the changes of one side.
func (v validator) headerChanges(p *place, side header.Side, h *HeaderChanges) {
	if h == nil || p.failed {
		return
	}
	if len(h.Set)+len(h.Add)+len(h.Remove) == 0 && !p.key("set").failed && !p.key("add").failed && !p.key("remove").failed {
		v.errs.add(p, "it changes nothing; expected one of the keys set, add, remove")
	}
	for _, part := range []struct {
		name   string
		values map[string]string
	}{{"set", h.Set}, {"add", h.Add}} {
		for _, name := range slices.Sorted(maps.Keys(part.values)) {
			at := p.key(part.name).key(name)
			if err := checkChangedField(side, name); err != nil {
				v.errs.add(at, "%q can't be changed: %v", clip(name), err)
			} else if err := header.Check(side, part.values[name], part.name == "add"); err != nil && part.values[name] != "" {
				v.errs.add(at, "expected a value with command operators such as %%CLIENT_IP%%, found %q: %v", clip(part.values[name]), err)
			}
		}
	}
	for i, name := range h.Remove {
		if err := checkChangedField(side, name); err != nil && isToken(name) {
			v.errs.add(p.key("remove").item(i), "%q can't be changed: %v", clip(name), err)
		}
	}
}

// checkChangedField refuses what is no field that a route may change.
func checkChangedField(side header.Side, name string) error {
	switch {
	case side == header.Request && (strings.EqualFold(name, "host") || strings.EqualFold(name, ":authority")):
		return errors.New("use rewrite.host of the route")
	case side == header.Request && strings.EqualFold(name, ":path"):
		return errors.New("use rewrite of the route")
	case strings.EqualFold(name, "expect"):
		return errors.New("it is about the connection or the framing, which the proxy itself sees to")
	case !isToken(name):
		return errors.New("it is no name of a header field")
	}
	return checkOwnField(name)
}
