package config

import (
	"slices"

	"github.com/hopscope/hopscope/proxy/header"
)

// InternalRedirects says which redirects of endpoints the proxy follows itself, in the place
// of the client, who gets what the last of them leads to. The next request is matched anew,
// by the path and the host that it leads to, and goes through the route that it matches. It
// has the method and the content of the first, but for a 303, which makes it a GET; the URL
// of the first is in x-envoy-original-url. A redirect goes to the client if it leads to no
// route of the listener, or to another scheme, or if the request's content is not kept any
// more: 16 KiB of it are, or as much as the max_body of retry.
type InternalRedirects struct {
	// Max is how many are followed for one request, by all of its routes together.
	Max int `yaml:"max" default:"1" min:"1" max:"20"`
	// Codes are the statuses that are followed: of 301, 302, 303, 307 and 308.
	Codes []int `yaml:"codes" default:"302" min:"301" max:"308"`
	// CrossScheme also follows redirects that lead from http to https, or back.
	CrossScheme bool `yaml:"cross_scheme" default:"false"`
	// CopyHeaders are fields of the redirect that the next request gets, in the place of its
	// own of that name.
	CopyHeaders []string `yaml:"copy_headers" format:"field"`
}

// NewInternalRedirects returns InternalRedirects with every default in place.
func NewInternalRedirects() *InternalRedirects {
	r := withDefaults[InternalRedirects]()
	return &r
}

// redirectCodes are the statuses of redirects that lead somewhere else.
var redirectCodes = []int{301, 302, 303, 307, 308}

// internalRedirects checks what the keys of a route's internal redirects have.
func (v validator) internalRedirects(p *place, r *InternalRedirects) {
	if r == nil {
		return
	}
	for i, code := range r.Codes {
		v.redirectCode(p.key("codes").item(i), code)
	}
	for i, name := range r.CopyHeaders {
		if err := checkChangedField(header.Request, name); err != nil && isToken(name) {
			v.errs.add(p.key("copy_headers").item(i), "%q can't be copied: %v", clip(name), err)
		}
	}
}

// redirectCode refuses a status between those of redirects.
func (v validator) redirectCode(p *place, code int) {
	if !slices.Contains(redirectCodes, code) && code > 301 && code < 308 {
		v.errs.add(p, "expected 301, 302, 303, 307 or 308, found %d", code)
	}
}
