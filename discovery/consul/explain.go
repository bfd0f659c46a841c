package consul

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/telemetry/redact"
)

// explain makes an error of the library into one that a person can act on. needs names the
// ACL rules that the request takes. nil stays nil.
func (c *Client) explain(err error, needs string) error {
	if err == nil {
		return nil
	}
	// The URL in it says nothing that is not said anyway, and is long.
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		err = failed.Err
	}
	var status api.StatusError
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &status):
		err = explainStatus(status, needs)
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("it did not answer in time: is it overloaded, or is that not Consul? (%w)", err)
	case errors.As(err, &syntax), errors.As(err, &kind), errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("its answer is not Consul's: is the address that of its HTTP API? (%w)", err)
	}
	token, _ := c.token() // an answer may quote it
	return redact.Error(fmt.Errorf("consul at %s: %w", c.address, err), token)
}

func explainStatus(status api.StatusError, needs string) error {
	said := status.Body
	if len(said) > 300 {
		said = said[:300] + "..."
	}
	hint := ""
	switch {
	case status.Code == http.StatusForbidden:
		hint = ": the token needs " + needs
	case status.Code == http.StatusTooManyRequests:
		hint = ": it limits requests"
	case strings.Contains(said, "No cluster leader"):
		hint = ": its servers are electing a leader, or too few of them are up"
	case strings.Contains(said, "No path to datacenter"):
		hint = ": is the datacenter's name right, and joined over WAN?"
	case status.Code/100 == 3:
		hint = ": redirects are not followed, so as not to give the token away"
	}
	return fmt.Errorf("%d %q%s", status.Code, said, hint)
}

// believable returns an error for an empty answer that may be empty only because of ACLs.
func (c *Client) believable(meta *api.QueryMeta, needs string) error {
	if meta.LastIndex == 0 {
		return fmt.Errorf("consul at %s: its answer has no X-Consul-Index: is the address that of its HTTP API?", c.address)
	}
	return c.denied(meta, needs)
}

// denied tells an empty answer that ACLs made empty from one that is true: Consul leaves
// out what a token may not read instead of refusing the request.
func (c *Client) denied(meta *api.QueryMeta, needs string) error {
	token, err := c.token()
	if err != nil {
		return err
	}
	switch {
	case meta.ResultsFilteredByACLs:
		return fmt.Errorf("consul at %s: the token may not read the answer: it needs %s", c.address, needs)
	case token == "" && meta.DefaultACLPolicy == "deny":
		// Consul does not tell the anonymous token that something was left out.
		return fmt.Errorf("consul at %s: it denies what is not allowed, and no token is given: give one with %s", c.address, needs)
	}
	return nil
}
