package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/mesh"
	"github.com/hopscope/hopscope/proxy/explain"
)

// explainHop explains the requests of a trace, as the proxies of the mesh know them.
func (f *routeFlags) explainHop(c *cobra.Command, q *question) error {
	id, err := mesh.ParseID(f.hop)
	if err != nil {
		return misuse(c, err)
	}
	client, err := q.client(c)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, done := q.limited(c)
	defer done()
	path := "/explain?" + url.Values{"hop": {id.String()}, "header": f.request.Headers}.Encode()
	answers, peers := mesh.Ask(ctx, client, func(ctx context.Context, p *mesh.Proxy) ([]*explain.Explanation, error) {
		answer, err := p.Get(ctx, path)
		if err != nil {
			return nil, err
		}
		defer answer.Close()
		var all []*explain.Explanation
		if err := json.NewDecoder(answer).Decode(&all); err != nil {
			return nil, errors.New("its answer is no list of explanations")
		}
		return all, nil
	})
	w := c.OutOrStdout()
	for _, p := range peers {
		if p.Err != nil {
			fmt.Fprintf(c.ErrOrStderr(), "%s: %v\n", p.Address, p.Err)
		}
	}
	all := slices.DeleteFunc(slices.Concat(answers...), func(e *explain.Explanation) bool { return e == nil })
	if len(all) == 0 {
		return fmt.Errorf("no proxy that answered has trace %s", id)
	}
	if q.asJSON {
		text, err := indented(all)
		if err == nil {
			_, err = w.Write(text)
		}
		return err
	}
	for i, e := range all {
		if i > 0 {
			fmt.Fprint(w, "\n\n")
		}
		if err := writeExplanation(w, e, false, f.all); err != nil {
			return err
		}
	}
	return nil
}
