package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/hopscope/hopscope/deploy/demo"
)

// fault is something that goes wrong, until it is switched off.
type fault struct {
	Name string `json:"name"`
	// What happens, and what hopscope is to make of it.
	What   string `json:"what"`
	Expect string `json:"expect"`
	On     bool   `json:"on"`

	service    string // whose it is
	begin, end func(context.Context, *stack) error
}

// faults are those that there are. Those of different services can be on at once.
func faults() []*fault {
	return []*fault{
		ofApplication("refused", "bank", demo.Refuse, "the bank closes its socket: connections are refused", "payments -> bank, connection refused"),
		ofApplication("bad-certificate", "bank", demo.BadCertificate, "the bank shows a certificate that has expired", "payments -> bank, TLS"),
		ofApplication("errors", "fraud", demo.Fail, "fraud answers with an error of its own, 500", "fraud, its application"),
		ofApplication("slow", "recommendations", demo.Dawdle, "recommendations takes 1.5 s for an answer", "no failure; slow traces name recommendations"),
		ofApplication("no-context", "checkout", demo.ForgetContext, "checkout calls others without the trace context", "no failure; checkout passes no trace context on"),
		{
			Name: "black-hole", service: "inventory", What: "inventory's process stops (SIGSTOP): it takes connections and never answers", Expect: "inventory, a timeout",
			begin: func(_ context.Context, s *stack) error { return s.applications["inventory"].signal(syscall.SIGSTOP) },
			end:   func(_ context.Context, s *stack) error { return s.applications["inventory"].signal(syscall.SIGCONT) },
		},
		{
			Name: "killed", service: "orders", What: "orders is killed, with its sidecar", Expect: "checkout -> orders, connection refused, or no healthy instance",
			begin: func(_ context.Context, s *stack) error { s.kill("orders"); return nil },
			end:   func(ctx context.Context, s *stack) error { return s.startService(ctx, "orders") },
		},
		{
			Name: "critical", service: "payments", What: "Consul says that payments is critical, which is well", Expect: "checkout -> payments, no healthy instance",
			begin: func(_ context.Context, s *stack) error { return s.maintenance("payments", true) },
			end:   func(_ context.Context, s *stack) error { return s.maintenance("payments", false) },
		},
	}
}

// ofApplication is a fault of an application that runs on.
func ofApplication(name, service string, t demo.Trouble, what, expect string) *fault {
	return &fault{
		Name: name, What: what, Expect: expect, service: service,
		begin: func(_ context.Context, s *stack) error { return s.applications[service].misbehave(t) },
		end: func(_ context.Context, s *stack) error {
			return s.applications[service].misbehave(demo.NoTrouble)
		},
	}
}

// switchOn begins faults by name. Another fault of the same service ends by that.
func (s *stack) switchOn(ctx context.Context, names []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var wanted []*fault
	for _, name := range names {
		i := slices.IndexFunc(s.faults, func(f *fault) bool { return f.Name == name })
		if i < 0 {
			return fmt.Errorf("there is no fault %q; there are %s", name, strings.Join(s.faultNames(), ", "))
		}
		wanted = append(wanted, s.faults[i])
	}
	for _, f := range wanted {
		if f.On {
			continue
		}
		for _, other := range s.faults {
			if err := s.mend(ctx, other, f.service); err != nil {
				return err
			}
		}
		if err := f.begin(ctx, s); err != nil {
			return fmt.Errorf("fault %s: %w", f.Name, err)
		}
		f.On = true
	}
	return nil
}

// switchOff ends all faults.
func (s *stack) switchOff(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if err := s.mend(ctx, f, f.service); err != nil {
			return err
		}
	}
	return nil
}

// mend ends a fault that is on and of the service.
func (s *stack) mend(ctx context.Context, f *fault, service string) error {
	if !f.On || f.service != service {
		return nil
	}
	if err := f.end(ctx, s); err != nil {
		return fmt.Errorf("fault %s: %w", f.Name, err)
	}
	f.On = false
	return nil
}

func (s *stack) faultNames() (names []string) {
	for _, f := range s.faults {
		names = append(names, f.Name)
	}
	return names
}
