package consul

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/discovery"
)

// Registration is a service that a [Registrar] puts into Consul, and maybe its sidecar.
type Registration struct {
	Name    string
	ID      string // unique on the agent; Name when empty
	Address string // where others reach it; empty is the node's address
	Port    int
	Tags    []string
	Meta    map[string]string
	// Weights are the shares of requests when passing and in a warning; 0 is 1.
	PassingWeight, WarningWeight int
	Check                        Check
	// Namespace and Partition are for Consul Enterprise.
	Namespace, Partition string
	// Sidecar is the proxy beside the service, or nil.
	Sidecar *Sidecar
}

// Sidecar is the proxy beside a service. It is registered as connect-proxy for it.
type Sidecar struct {
	Name    string // the service's with -sidecar-proxy when empty
	ID      string // the service's with -sidecar-proxy when empty
	Address string
	Port    int
	Tags    []string
	Meta    map[string]string
	Check   Check
}

// Check is how Consul's agent finds out whether a service works: by one of HTTP, TCP,
// GRPC and TTL. The zero value is no check: passing as long as the node is.
type Check struct {
	HTTP     string        // URL; 2xx is passing, 429 a warning
	TCP      string        // host:port
	GRPC     string        // host:port, or host:port/service, of gRPC's health service
	TTL      time.Duration // critical unless the application tells the agent in time
	Interval time.Duration // 5 s when zero; not with TTL
	Timeout  time.Duration // 2 s when zero; not with TTL
	// DeregisterAfter takes the service out when it was critical for so long; zero is
	// never, and Consul makes it a minute at least.
	DeregisterAfter time.Duration
}

const (
	registerEvery        = 2 * time.Second // how soon an agent that lost a service has it again
	defaultCheckInterval = 5 * time.Second
	defaultCheckTimeout  = 2 * time.Second
)

// Registrar keeps a service, and its sidecar, registered.
type Registrar struct {
	client   *Client
	api      *api.Client
	services []*api.AgentServiceRegistration // the application first
	every    time.Duration

	turn   chan struct{} // holds one token, for whoever asks the agent to change something
	close  sync.Once
	closed chan struct{}
}

// Register makes a registrar, without asking the agent for anything. The error says what
// of the registration is wrong.
func (c *Client) Register(r Registration) (*Registrar, error) {
	if err := checkName(r.Name); err != nil {
		return nil, err
	}
	client, err := c.api(r.Namespace, r.Partition)
	if err != nil {
		return nil, fmt.Errorf("consul: %w", err)
	}
	services, err := r.services()
	if err != nil {
		return nil, fmt.Errorf("consul registration of %q: %w", r.Name, err)
	}
	return &Registrar{client: c, api: client, services: services, every: registerEvery,
		turn: make(chan struct{}, 1), closed: make(chan struct{})}, nil
}

// Run registers, and again whenever the agent no longer knows the service, as after a
// restart, until ctx is done or [Registrar.Close] was called. Each outcome that differs
// from the one before goes to report, nil being that all are registered.
func (r *Registrar) Run(ctx context.Context, report func(error)) {
	var backoff discovery.Backoff
	first, said := true, ""
	for {
		err := r.ensure(ctx)
		if ctx.Err() != nil || errors.Is(err, errClosed) {
			return
		}
		if first || text(err) != said {
			report(err)
		}
		first, said = false, text(err)
		wait := r.every
		if err != nil {
			wait = backoff.Next()
		} else {
			backoff.Reset()
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
		case <-r.closed:
		}
		timer.Stop()
	}
}

var errClosed = errors.New("the registrar is closed")

// ensure registers what the agent does not know.
func (r *Registrar) ensure(ctx context.Context) error {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.turn }()
	select {
	case <-r.closed:
		return errClosed
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	for _, service := range r.services {
		needs := fmt.Sprintf("service:write on %q", service.Name)
		_, _, err := r.api.Agent().Service(service.ID, (&api.QueryOptions{}).WithContext(ctx))
		if unknown(err) {
			err = r.api.Agent().ServiceRegisterOpts(service,
				api.ServiceRegisterOpts{ReplaceExistingChecks: true}.WithContext(ctx))
		}
		if err != nil {
			return r.client.explain(err, needs)
		}
	}
	return nil
}

func unknown(err error) bool {
	var status api.StatusError
	return errors.As(err, &status) && status.Code == http.StatusNotFound
}

// Close takes the services out of Consul, and makes Run end. It tries each, and the error
// says which are still there and why.
func (r *Registrar) Close(ctx context.Context) error {
	r.close.Do(func() { close(r.closed) })
	select {
	case r.turn <- struct{}{}: // what Run is doing is done, and it does nothing more
	case <-ctx.Done():
		return fmt.Errorf("consul at %s: a request hangs, so nothing was deregistered: %w", r.client.address, ctx.Err())
	}
	defer func() { <-r.turn }()
	var failed []error
	for _, service := range r.services {
		err := r.api.Agent().ServiceDeregisterOpts(service.ID, (&api.QueryOptions{}).WithContext(ctx))
		if err != nil && !unknown(err) {
			err = r.client.explain(err, fmt.Sprintf("service:write on %q", service.Name))
			failed = append(failed, fmt.Errorf("%s is still registered: %w", service.ID, err))
		}
	}
	return errors.Join(failed...)
}

// services are the application and its sidecar as the library has them.
func (r Registration) services() ([]*api.AgentServiceRegistration, error) {
	check, err := r.Check.registration()
	if err != nil {
		return nil, err
	}
	application := &api.AgentServiceRegistration{
		Name: r.Name, ID: r.ID, Address: r.Address, Port: r.Port, Tags: r.Tags, Meta: r.Meta,
		Weights: &api.AgentWeights{Passing: max(r.PassingWeight, 1), Warning: max(r.WarningWeight, 1)},
		Check:   check,
	}
	if application.ID == "" {
		application.ID = r.Name
	}
	services := []*api.AgentServiceRegistration{application}
	if r.Sidecar != nil {
		sidecar, err := r.Sidecar.registration(application)
		if err != nil {
			return nil, fmt.Errorf("sidecar: %w", err)
		}
		services = append(services, sidecar)
	}
	for _, s := range services {
		if err := checkName(s.ID); err != nil {
			return nil, err
		}
		if s.Port < 1 || s.Port > 65535 {
			return nil, fmt.Errorf("%s: port %d is none: write 1 to 65535", s.ID, s.Port)
		}
	}
	return services, nil
}

func (s *Sidecar) registration(application *api.AgentServiceRegistration) (*api.AgentServiceRegistration, error) {
	check, err := s.Check.registration()
	if err != nil {
		return nil, err
	}
	const suffix = "-sidecar-proxy"
	sidecar := &api.AgentServiceRegistration{
		Kind: api.ServiceKindConnectProxy,
		Name: s.Name, ID: s.ID, Address: s.Address, Port: s.Port, Tags: s.Tags, Meta: s.Meta, Check: check,
		Proxy: &api.AgentServiceConnectProxyConfig{
			DestinationServiceName: application.Name,
			DestinationServiceID:   application.ID,
			LocalServicePort:       application.Port,
		},
	}
	if sidecar.Name == "" {
		sidecar.Name = application.Name + suffix
	}
	if sidecar.ID == "" {
		sidecar.ID = application.ID + suffix
	}
	return sidecar, checkName(sidecar.Name)
}

func (c Check) registration() (*api.AgentServiceCheck, error) {
	if c == (Check{}) {
		return nil, nil
	}
	kinds := 0
	for _, given := range []bool{c.HTTP != "", c.TCP != "", c.GRPC != "", c.TTL != 0} {
		if given {
			kinds++
		}
	}
	if kinds != 1 {
		return nil, errors.New("a check is one of http, tcp, grpc and ttl")
	}
	if c.TCP != "" {
		if _, _, err := net.SplitHostPort(c.TCP); err != nil {
			return nil, fmt.Errorf("check tcp: %w", err)
		}
	}
	check := &api.AgentServiceCheck{HTTP: c.HTTP, TCP: c.TCP, GRPC: c.GRPC}
	if c.TTL > 0 {
		check.TTL = c.TTL.String()
	} else {
		check.Interval = defaultTo(c.Interval, defaultCheckInterval)
		check.Timeout = defaultTo(c.Timeout, defaultCheckTimeout)
	}
	if c.DeregisterAfter > 0 {
		check.DeregisterCriticalServiceAfter = c.DeregisterAfter.String()
	}
	return check, nil
}

func defaultTo(d, otherwise time.Duration) string {
	if d <= 0 {
		d = otherwise
	}
	return d.String()
}
