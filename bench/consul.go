package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// consulService is the service whose instances come and go.
const consulService = "bench"

// consulAgent is a Consul agent in its development mode: server and client in one, all
// of its state in memory.
type consulAgent struct {
	*process
	address string // of its HTTP API
	client  *http.Client
}

// startConsul runs an agent, on any core, until its catalog can be read. The caller
// must stop it.
func (r *rig) startConsul(ctx context.Context) (*consulAgent, error) {
	flags := []string{"http", "serf-lan", "serf-wan", "server"}
	addresses, err := freeAddresses(len(flags))
	if err != nil {
		return nil, err
	}
	argv := append(agentCommand(ctx, r.programs["consul"]), "-dev", "-log-level=warn", "-bind=127.0.0.1", "-client=127.0.0.1",
		"-node=bench", "-data-dir="+filepath.Join(r.dir, "consul"),
		"-dns-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1", "-hcl=disable_update_check = true")
	for i, flag := range flags {
		_, port, err := net.SplitHostPort(addresses[i])
		if err != nil {
			return nil, err
		}
		argv = append(argv, "-"+flag+"-port="+port)
	}
	a := &consulAgent{address: addresses[0], client: &http.Client{Timeout: 10 * time.Second, Transport: new(http.Transport)}}
	if a.process, err = start("consul", r.dir, unpinned, argv, nil); err != nil {
		return nil, err
	}
	if err = a.awaitListen(ctx, a.address); err == nil {
		err = a.awaitCatalog(ctx)
	}
	if err != nil {
		a.stop()
		return nil, err
	}
	return a, nil
}

// agentCommand is how a program becomes an agent: HashiCorp's by a command, while the one
// that deploy/backends/setup builds is the agent and knows no command.
func agentCommand(ctx context.Context, path string) []string {
	if exec.CommandContext(ctx, path, "version").Run() == nil {
		return []string{path, "agent"}
	}
	return []string{path}
}

// stop ends the agent and the connections to it.
func (a *consulAgent) stop() {
	a.client.CloseIdleConnections()
	a.process.stop()
}

// awaitCatalog waits until the agent has a leader, which writes itself into it.
func (a *consulAgent) awaitCatalog(ctx context.Context) error {
	return a.poll(ctx, "has no catalog", func() (bool, error) {
		answer, err := a.ask(ctx, http.MethodGet, "/v1/catalog/service/consul", nil)
		return err == nil && string(bytes.TrimSpace(answer)) != "[]", err
	})
}

// version is what the agent says of itself.
func (a *consulAgent) version(ctx context.Context) (string, error) {
	answer, err := a.ask(ctx, http.MethodGet, "/v1/agent/self", nil)
	if err != nil {
		return "", err
	}
	var self struct{ Config struct{ Version string } }
	if err := json.Unmarshal(answer, &self); err != nil {
		return "", fmt.Errorf("consul: what it says of itself: %w", err)
	}
	return self.Config.Version, nil
}

// register puts an instance into the agent.
func (a *consulAgent) register(ctx context.Context, i *instance) error {
	host, port, err := net.SplitHostPort(i.address)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"ID": i.name, "Name": consulService, "Address": host, "Port": number})
	if err != nil {
		return err
	}
	_, err = a.ask(ctx, http.MethodPut, "/v1/agent/service/register", body)
	return err
}

// deregister takes an instance out.
func (a *consulAgent) deregister(ctx context.Context, i *instance) error {
	_, err := a.ask(ctx, http.MethodPut, "/v1/agent/service/deregister/"+i.name, nil)
	return err
}

// ask makes one request of the agent's API.
func (a *consulAgent) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+a.address+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("consul: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, bytes.TrimSpace(answer))
	}
	if err != nil {
		return nil, fmt.Errorf("consul: %s %s: %w", method, path, err)
	}
	return answer, nil
}

// instance is a server that answers every request with its name.
type instance struct {
	name    string
	address string
	server  *http.Server
	ended   chan struct{}
}

func startInstance(name string) (*instance, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	i := &instance{name: name, address: l.Addr().String(), ended: make(chan struct{})}
	i.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, name)
	})}
	go func() {
		_ = i.server.Serve(l)
		close(i.ended)
	}()
	return i, nil
}

func (i *instance) stop() {
	_ = i.server.Close()
	<-i.ended
}
