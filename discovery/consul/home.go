package consul

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/hashicorp/consul/api"
)

// home is the datacentre of the agent, asked for when it first matters.
type home struct {
	api  *api.Client
	mu   sync.Mutex
	name string
}

// differs tells whether a datacentre, by its name, is another than the agent's. Where
// the token may not ask, one that is named is taken to be another.
func (h *home) differs(ctx context.Context, datacenter string) (bool, error) {
	if datacenter == "" {
		return false, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.name == "" {
		var self struct{ Config struct{ Datacenter string } }
		_, err := h.api.Raw().Query("/v1/agent/self", &self, (&api.QueryOptions{}).WithContext(ctx))
		var status api.StatusError
		if errors.As(err, &status) && status.Code == http.StatusForbidden {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		h.name = self.Config.Datacenter
	}
	return h.name != datacenter, nil
}
