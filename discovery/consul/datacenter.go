package consul

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/hashicorp/consul/api"
)

// datacenter is the agent's own datacenter. The agent is asked for it when it first
// matters.
type datacenter struct {
	api  *api.Client
	mu   sync.Mutex
	name string
}

// differs reports whether name is another datacenter than the agent's. "" is the agent's.
// Where the token does not allow the question, any name is taken for another.
func (d *datacenter) differs(ctx context.Context, name string) (bool, error) {
	if name == "" {
		return false, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.name == "" {
		var self struct{ Config struct{ Datacenter string } }
		_, err := d.api.Raw().Query("/v1/agent/self", &self, (&api.QueryOptions{}).WithContext(ctx))
		var status api.StatusError
		if errors.As(err, &status) && status.Code == http.StatusForbidden {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		d.name = self.Config.Datacenter
	}
	return d.name != name, nil
}
