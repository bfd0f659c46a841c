package basicauth

import (
	"bytes"
	"encoding/base64"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/htpasswd"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Options say who is let in.
type Options struct {
	// Users are those who are.
	Users *htpasswd.Users
	// Realm is what clients are asked for a password of.
	Realm string
	// UsernameField is the request's field that says who it is, in place of what a client
	// says; "" is none.
	UsernameField string
	// Forward leaves the field Authorization in the request.
	Forward bool
}

// New returns the filter of a route.
func New(o Options, v *Verifier) filter.Filter {
	a := &asker{
		Options: o, verifier: v, name: []byte(o.UsernameField), id: message.FieldByName([]byte(o.UsernameField)),
		challenge: []fault.Field{{Name: "www-authenticate", Value: `Basic realm="` + o.Realm + `"`}},
	}
	return func(next filter.Handler) filter.Handler {
		return func(x *filter.Exchange) error {
			if err := a.check(x); err != nil {
				return err
			}
			return next(x)
		}
	}
}

// asker asks the clients of a route.
type asker struct {
	Options
	verifier  *Verifier
	name      []byte // of UsernameField
	id        message.FieldID
	challenge []fault.Field
}

// unauthenticated is what gRPC calls get.
var unauthenticated = hop.GRPCStatusOf(16)

// The details are Envoy's. The last one is for a request whose fields differ, of which an
// endpoint might read another.
const (
	noCredential      = "no_credential_for_basic_auth"
	invalidScheme     = "invalid_scheme_for_basic_auth"
	invalidFormat     = "invalid_format_for_basic_auth"
	invalidCredential = "invalid_credential_for_basic_auth"
	severalFields     = "several_credentials_for_basic_auth"
)

// refuse asks the client for other credentials (RFC 9110 section 15.5.2).
func (a *asker) refuse(details string) error {
	return &fault.Answer{Status: 401, GRPC: unauthenticated, Fields: a.challenge, Details: details}
}

// maxCredentials is the most bytes of a name, ":" and a password.
const maxCredentials = 255 + 1 + htpasswd.MaxPassword

// check is nil where the client is one of the users.
func (a *asker) check(x *filter.Exchange) error {
	r := &x.Request
	value, details := authorization(r)
	if details != "" {
		return a.refuse(details)
	}
	var space [maxCredentials + 2]byte
	if base64.StdEncoding.DecodedLen(len(value)) > len(space) {
		return a.refuse(invalidFormat)
	}
	n, err := base64.StdEncoding.Decode(space[:], value)
	name, password, ok := bytes.Cut(space[:n], []byte(":"))
	if err != nil || !ok || len(password) > htpasswd.MaxPassword {
		return a.refuse(invalidFormat)
	}
	h, known := a.Users.Of(name)
	switch right, err := a.verifier.verify(x, h, known, password); {
	case err != nil:
		return err
	case !right:
		return a.refuse(invalidCredential)
	}
	if !a.Forward {
		r.RemoveName([]byte("authorization"))
	}
	if a.UsernameField != "" {
		r.RemoveName(a.name)
		r.Add(a.id, a.UsernameField, h.User())
	}
	return nil
}

// authorization is what follows the scheme in the request's field, or why nothing does.
func authorization(r *message.Head) (value []byte, details string) {
	found := false
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Removed || f.ID != message.Unknown || !message.EqualFold(r.Bytes(f.Name), "authorization") {
			continue
		}
		if found {
			return nil, severalFields
		}
		value, found = r.Bytes(f.Value), true
	}
	const scheme = "basic "
	switch {
	case !found:
		return nil, noCredential
	case len(value) < len(scheme) || !message.EqualFold(value[:len(scheme)], scheme):
		return nil, invalidScheme
	}
	return bytes.TrimLeft(value[len(scheme):], " "), "" // RFC 9110 section 11.4
}
