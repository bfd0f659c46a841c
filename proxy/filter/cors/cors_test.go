package cors_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/cors"
	"github.com/hopscope/hopscope/proxy/message"
)

// client writes down the head that it gets.
type client struct {
	filter.Conn
	filter.Body
	filter.Writer
	head []string
}

func (c *client) Head(h *message.Head) error {
	c.head = fields(h)
	return nil
}

func fields(h *message.Head) []string {
	all := []string{}
	for i := range h.Fields {
		if f := &h.Fields[i]; !f.Removed {
			all = append(all, string(h.Bytes(f.Name))+": "+string(h.Bytes(f.Value)))
		}
	}
	return all
}

func set(h *message.Head, lines ...string) {
	h.Begin(nil)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(message.FieldByName([]byte(name)), name, value)
	}
}

var options = cors.Options{
	Origins: []string{"https://shop.test", "null"}, Patterns: []*regexp.Regexp{regexp.MustCompile(`^(?:https://.*\.shop\.test)$`)},
	Methods: []string{"GET", "PUT"}, Headers: []string{"content-type", "x-a"}, Expose: []string{"x-b"}, MaxAge: 90 * time.Minute, Credentials: true,
}

func TestCORS(t *testing.T) {
	anyone := cors.Options{Origins: []string{"*"}, Methods: []string{"*"}}
	preflight := func(origin string) []string {
		return []string{"Origin: " + origin, "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: x-a"}
	}
	allowed := []string{
		"vary: origin", "access-control-allow-origin: https://shop.test", "access-control-allow-credentials: true",
		"access-control-allow-methods: GET, PUT", "access-control-allow-headers: content-type, x-a", "access-control-max-age: 5400",
	}
	own := []string{"x-b: 1", "access-control-allow-origin: *", "access-control-allow-credentials: true", "access-control-expose-headers: x-own"}
	for name, tt := range map[string]struct {
		options  cors.Options
		method   message.Method
		request  []string
		response []string // of the endpoint
		answer   bool     // the filter answers
		want     []string
	}{
		"preflight":                        {options, message.OPTIONS, preflight("https://shop.test"), nil, true, allowed},
		"preflight of a stranger":          {options, message.OPTIONS, preflight("https://evil.test"), nil, true, []string{"vary: origin"}},
		"preflight of anyone":              {anyone, message.OPTIONS, preflight("https://evil.test"), nil, true, []string{"access-control-allow-origin: *", "access-control-allow-methods: *"}},
		"OPTIONS that is no preflight":     {options, message.OPTIONS, []string{"origin: https://shop.test"}, nil, false, []string{"vary: origin", "access-control-allow-origin: https://shop.test", "access-control-allow-credentials: true", "access-control-expose-headers: x-b"}},
		"preflight without an origin":      {options, message.OPTIONS, []string{"access-control-request-method: PUT"}, nil, false, []string{"vary: origin"}},
		"GET that looks like a preflight":  {anyone, message.GET, preflight("https://shop.test"), nil, false, []string{"access-control-allow-origin: *"}},
		"pattern":                          {options, message.GET, []string{"origin: https://a.shop.test"}, own, false, []string{"x-b: 1", "vary: origin", "access-control-allow-origin: https://a.shop.test", "access-control-allow-credentials: true", "access-control-expose-headers: x-b"}},
		"pattern that is not the whole":    {options, message.GET, []string{"origin: https://a.shop.test.evil.test"}, own, false, []string{"x-b: 1", "access-control-expose-headers: x-own", "vary: origin"}},
		"null":                             {options, message.GET, []string{"origin: null"}, nil, false, []string{"vary: origin", "access-control-allow-origin: null", "access-control-allow-credentials: true", "access-control-expose-headers: x-b"}},
		"no origin":                        {options, message.GET, nil, own, false, append(append([]string{}, own...), "vary: origin")},
		"no origin, anyone":                {anyone, message.GET, nil, own, false, own},
		"anyone":                           {anyone, message.GET, []string{"origin: https://x.test"}, own, false, []string{"x-b: 1", "access-control-expose-headers: x-own", "access-control-allow-origin: *"}},
		"a response that varies on it":     {options, message.GET, nil, []string{"Vary: accept, Origin"}, false, []string{"Vary: accept, Origin"}},
		"an origin in capitals is another": {options, message.GET, []string{"origin: HTTPS://SHOP.TEST"}, nil, false, []string{"vary: origin"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, passed := &client{}, false
			x := &filter.Exchange{}
			x.Connect(c, c, c)
			set(&x.Request, tt.request...)
			x.Request.Method = tt.method
			err := filter.Chain(func(x *filter.Exchange) error {
				passed = true
				set(&x.Request, "origin: gone") // as a connection does with its buffer
				set(&x.Response, tt.response...)
				return x.Writer.Head(&x.Response)
			}, cors.New(tt.options))(x)
			got := c.head
			if a, ok := errors.AsType[*fault.Answer](err); ok {
				if a.Status != 200 || a.Detail() != "cors_response" || a.Why != nil {
					t.Errorf("the answer is %+v", a)
				}
				for _, f := range a.Fields {
					got = append(got, f.Name+": "+f.Value)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if passed == tt.answer {
				t.Errorf("passed on: %t", passed)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}
