package consul

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/discovery"
)

// KV watches one key of Consul's key-value store. Consul allows a value of up to 512 KiB.
type KV struct {
	client   *Client
	api      *api.Client
	location KVLocation
	backoff  discovery.Backoff
}

// NewKV returns a watch of a key. It does not ask the agent yet.
func NewKV(l KVLocation) (*KV, error) {
	if l.Key == "" {
		return nil, errors.New("consul: no key is given")
	}
	client, err := NewClient(l.Connection)
	if err != nil {
		return nil, err
	}
	library, err := client.api(l.Namespace, l.Partition)
	if err != nil {
		return nil, fmt.Errorf("consul: %w", err)
	}
	return &KV{client: client, api: library, location: l}, nil
}

// Close closes the connections that nothing is using.
func (k *KV) Close() { k.client.Close() }

// Get asks for the value once, and waits at most 15 s. A key that does not exist, or is
// empty, is an error.
func (k *KV) Get(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	value, _, err := k.ask((&api.QueryOptions{Datacenter: k.location.Datacenter}).WithContext(ctx))
	if err != nil {
		return nil, err
	}
	return value.bytes, value.err
}

// Run calls deliver with the value when it changes, and when it can be read again after an
// error. It calls deliver with nil and an error when the value can't be read or the key was
// deleted: keep using the last value then. All calls come from the goroutine of Run, which
// returns when ctx is done and leaves no goroutine behind.
func (k *KV) Run(ctx context.Context, deliver func(value []byte, err error)) {
	q := question[keyed]{
		ask:     k.ask,
		options: api.QueryOptions{Datacenter: k.location.Datacenter},
		wait:    defaultWait,
		backoff: k.backoff,
	}
	var last []byte
	var said string
	q.follow(ctx, func(r reply[keyed]) time.Duration {
		err := r.err
		if err == nil {
			err = r.value.err
		}
		switch {
		case err != nil && text(err) != said:
			deliver(nil, err)
		case err == nil && (said != "" || !bytes.Equal(last, r.value.bytes)):
			last = r.value.bytes
			deliver(last, nil)
		}
		said = text(err)
		return 0
	})
}

// keyed is what Consul says of a key: its value, or why there is none to use. Both are
// answers: Consul can be asked to wait for another one.
type keyed struct {
	bytes []byte
	err   error
}

func (k *KV) ask(o *api.QueryOptions) (keyed, *api.QueryMeta, error) {
	needs := fmt.Sprintf("key:read on %q", k.location.Key)
	pair, meta, err := k.api.KV().Get(k.location.Key, o)
	switch {
	case err != nil:
		return keyed{}, nil, k.client.explain(err, needs)
	case pair == nil:
		if err := k.client.believable(meta, needs); err != nil {
			return keyed{}, nil, err
		}
		return keyed{err: fmt.Errorf("consul at %s has no key %q", k.client.address, k.location.Key)}, meta, nil
	case len(pair.Value) == 0:
		return keyed{err: fmt.Errorf("consul at %s: key %q is empty", k.client.address, k.location.Key)}, meta, nil
	}
	return keyed{bytes: pair.Value}, meta, nil
}
