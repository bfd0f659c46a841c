package proxytest

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"testing"

	"github.com/hashicorp/consul/api"
)

// Offer runs a service and registers it, with a Consul's Register. It answers with its
// name, the path, and the path that was asked for before it was rewritten.
func Offer(t testing.TB, register func(testing.TB, *api.AgentServiceRegistration), name string, tags ...string) {
	t.Helper()
	address := Serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", name, r.URL.Path, r.Header.Get("X-Envoy-Original-Path"))
	})
	register(t, Registration(name, address, tags...))
}

// Registration is that of the only instance of a service.
func Registration(name, address string, tags ...string) *api.AgentServiceRegistration {
	host, text, _ := net.SplitHostPort(address)
	port, _ := strconv.Atoi(text)
	return &api.AgentServiceRegistration{ID: name, Name: name, Address: host, Port: port, Tags: tags}
}
