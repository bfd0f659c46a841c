package consul

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/discovery"
)

// Registration is a service, with or without a sidecar, that a Registrar puts into Consul.
type Registration struct {
	Name    string
	ID      string // unique on the agent; Name when empty
	Address string // where others reach it; empty is the node's address
	Port    int
	Tags    []string
	Meta    map[string]string
	// Weights are the shares of requests when passing and in a warning; 0 is 1.
	PassingWeight, WarningWeight int
	// Checks must all pass. None is passing as long as the node is.
	Checks []Check
	// Namespace and Partition are for Consul Enterprise.
	Namespace, Partition string
	// Sidecar is the proxy beside the service, or nil.
	Sidecar *Sidecar
}

// Sidecar is the proxy beside a service. It is registered as the service's connect-proxy.
type Sidecar struct {
	Name    string // the service's with -sidecar-proxy when empty
	ID      string // the service's with -sidecar-proxy when empty
	Address string
	Port    int
	Tags    []string
	Meta    map[string]string
	// Checks are its own; it is also as well as the service is, so that both go
	// together.
	Checks []Check
}

// Check is how Consul's agent finds out whether a service works: by one of HTTP, TCP, GRPC
// and TTL.
type Check struct {
	ID   string // tells the checks of one service apart; one of them may have none
	Name string // says what is checked, to people; Consul's when empty
	// Up says that the service is known to be well when it is registered. Otherwise it is
	// critical until its first check.
	Up       bool
	HTTP     string        // URL; 2xx is passing, 429 a warning
	TCP      string        // host:port
	GRPC     string        // host:port, or host:port/service, of gRPC's health service
	TTL      time.Duration // critical unless the application tells the agent in time
	Interval time.Duration // 5 s when zero; not with TTL
	Timeout  time.Duration // 2 s when zero; not with TTL
	// DeregisterAfter removes the service from Consul once it was critical for so long. 0
	// is never; Consul makes it at least a minute.
	DeregisterAfter time.Duration
}

const (
	registerEvery        = 2 * time.Second // how soon an agent that lost a service has it again
	lookEvery            = 100 * time.Millisecond
	defaultCheckInterval = 5 * time.Second
	defaultCheckTimeout  = 2 * time.Second
)

// Registrar keeps a service, and its sidecar, registered.
type Registrar struct {
	client   *Client
	services []*registered // the application first
	every    time.Duration

	changing chan struct{} // holds one token, for whoever asks the agent to change something
	close    sync.Once
	closed   chan struct{}
}

// Outcome is what a Registrar registered, and what it changed in registrations that were
// there. Both are empty if the agent had everything already.
type Outcome struct {
	Registered []string // IDs
	Changed    []string // such as "web1: tags, checks"
}

// Register returns a registrar. It does not ask the agent yet. The error says what is wrong
// with the registration.
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
	registrar := &Registrar{client: c, every: registerEvery, changing: make(chan struct{}, 1), closed: make(chan struct{})}
	for _, s := range services {
		registrar.services = append(registrar.services, &registered{AgentServiceRegistration: s, agent: client.Agent()})
	}
	return registrar, nil
}

// Run registers the service, and its sidecar, until ctx is done or [Registrar.Close] was
// called. It changes a registration with the same ID that differs, and registers again
// whenever the agent no longer knows the service, as after a restart. It calls report with
// the first outcome, with each outcome that did something, and with each error that differs
// from the one before.
func (r *Registrar) Run(ctx context.Context, report func(Outcome, error)) {
	var backoff discovery.Backoff
	first, said := true, ""
	for {
		did, err := r.ensure(ctx)
		if ctx.Err() != nil || errors.Is(err, errClosed) {
			return
		}
		if first || text(err) != said || len(did.Registered)+len(did.Changed) > 0 {
			report(did, err)
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

// ensure registers what the agent does not know, or knows otherwise.
func (r *Registrar) ensure(ctx context.Context) (did Outcome, err error) {
	select {
	case r.changing <- struct{}{}:
	case <-ctx.Done():
		return did, ctx.Err()
	}
	defer func() { <-r.changing }()
	select {
	case <-r.closed:
		return did, errClosed
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	for _, service := range r.services {
		if err := service.ensure(ctx, &did); err != nil {
			return did, r.client.explain(err, fmt.Sprintf("service:write on %q", service.Name))
		}
	}
	return did, nil
}

func unknown(err error) bool {
	var status api.StatusError
	return errors.As(err, &status) && status.Code == http.StatusNotFound
}

// Passing waits until the service passes all its checks, or ctx is done.
func (r *Registrar) Passing(ctx context.Context) {
	service := r.services[0]
	for {
		status, _, err := service.agent.AgentHealthServiceByIDOpts(service.ID, (&api.QueryOptions{}).WithContext(ctx))
		if err == nil && status == api.HealthPassing || !discovery.Sleep(ctx, lookEvery) {
			return
		}
	}
}

// IDs returns the IDs of the service and its sidecar.
func (r *Registrar) IDs() []string {
	ids := make([]string, len(r.services))
	for i, s := range r.services {
		ids[i] = s.ID
	}
	return ids
}

// Close ends Run and removes the services from Consul, except those with an ID in keep,
// which another registrar looks after. It tries each; the error says which are still there,
// and why.
func (r *Registrar) Close(ctx context.Context, keep ...string) error {
	r.close.Do(func() { close(r.closed) })
	select {
	case r.changing <- struct{}{}: // what Run is doing is done, and it does nothing more
	case <-ctx.Done():
		return fmt.Errorf("consul at %s: a request hangs, so nothing was deregistered: %w", r.client.address, ctx.Err())
	}
	defer func() { <-r.changing }()
	var failed []error
	for _, service := range r.services {
		if slices.Contains(keep, service.ID) {
			continue
		}
		err := service.agent.ServiceDeregisterOpts(service.ID, (&api.QueryOptions{}).WithContext(ctx))
		if err != nil && !unknown(err) {
			err = r.client.explain(err, fmt.Sprintf("service:write on %q", service.Name))
			failed = append(failed, fmt.Errorf("%s is still registered: %w", service.ID, err))
		}
	}
	return errors.Join(failed...)
}

// services are the application and its sidecar as the library has them.
func (r Registration) services() ([]*api.AgentServiceRegistration, error) {
	application := &api.AgentServiceRegistration{
		Name: r.Name, ID: r.ID, Address: r.Address, Port: r.Port, Tags: r.Tags, Meta: r.Meta,
		Weights: &api.AgentWeights{Passing: max(r.PassingWeight, 1), Warning: max(r.WarningWeight, 1)},
	}
	if application.ID == "" {
		application.ID = r.Name
	}
	services := []*api.AgentServiceRegistration{application}
	if r.Sidecar != nil {
		services = append(services, r.Sidecar.registration(application))
	}
	for i, s := range services {
		checks := r.Checks
		if i > 0 {
			checks = r.Sidecar.Checks
		}
		for _, c := range checks {
			check, err := c.registration(s.ID)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.ID, err)
			}
			s.Checks = append(s.Checks, check)
		}
		if err := errors.Join(checkName(s.ID), checkName(s.Name)); err != nil {
			return nil, err
		}
		if s.Port < 1 || s.Port > 65535 {
			return nil, fmt.Errorf("%s: port %d is none: write 1 to 65535", s.ID, s.Port)
		}
	}
	return services, nil
}

func (s *Sidecar) registration(application *api.AgentServiceRegistration) *api.AgentServiceRegistration {
	const suffix = "-sidecar-proxy"
	sidecar := &api.AgentServiceRegistration{
		Kind: api.ServiceKindConnectProxy,
		Name: s.Name, ID: s.ID, Address: s.Address, Port: s.Port, Tags: s.Tags, Meta: s.Meta,
		Weights: &api.AgentWeights{Passing: 1, Warning: 1},
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
	sidecar.Checks = api.AgentServiceChecks{{
		CheckID: checkID(sidecar.ID, "service"), AliasService: application.ID,
		Name: fmt.Sprintf("The service %s itself", application.ID), Notes: "as well as " + application.ID,
	}}
	return sidecar
}

// checkID is unique on the agent. It is what Consul itself makes for a service's only
// check.
func checkID(service, check string) string {
	if check == "" {
		return "service:" + service
	}
	return "service:" + service + ":" + check
}

func (c Check) registration(service string) (*api.AgentServiceCheck, error) {
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
	check := &api.AgentServiceCheck{CheckID: checkID(service, c.ID), Name: c.Name, HTTP: c.HTTP, TCP: c.TCP, GRPC: c.GRPC}
	if check.Name == "" {
		check.Name = fmt.Sprintf("Service '%s' check", service)
	}
	if c.Up {
		check.Status = api.HealthPassing
	}
	if c.TTL > 0 {
		check.TTL = c.TTL.String()
	} else {
		check.Interval = defaultTo(c.Interval, defaultCheckInterval)
		check.Timeout = defaultTo(c.Timeout, defaultCheckTimeout)
	}
	if c.DeregisterAfter > 0 {
		check.DeregisterCriticalServiceAfter = c.DeregisterAfter.String()
	}
	check.Notes = inWords(check)
	return check, nil
}

// inWords is all of a check that Consul does not tell of it otherwise. A check with
// other notes is another one.
func inWords(c *api.AgentServiceCheck) string {
	words := []string{}
	for _, part := range []struct{ before, value string }{
		{"HTTP ", c.HTTP}, {"TCP ", c.TCP}, {"gRPC ", c.GRPC}, {"TTL ", c.TTL},
		{"every ", c.Interval}, {"within ", c.Timeout}, {"taken out when critical for ", c.DeregisterCriticalServiceAfter},
	} {
		if part.value != "" {
			words = append(words, part.before+part.value)
		}
	}
	return strings.Join(words, ", ")
}

func defaultTo(d, otherwise time.Duration) string {
	if d <= 0 {
		d = otherwise
	}
	return d.String()
}
