package mesh

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/hopscope/hopscope/accuracy/app"
)

// Mesh is a running mesh.
type Mesh struct {
	*Plan
	apps     map[string]*app.App
	children map[string]*Process // applications
	sidecars map[string]*Process
	client   *http.Client
	dir      string
}

// ErrPortTaken means that another process took a port meanwhile: make another plan.
var ErrPortTaken = errors.New("another process took a port")

// startLimit is the time that a mesh has to become ready.
const startLimit = 2 * time.Minute

// Start runs a plan with the hopscope program. If it fails, nothing is left running.
func Start(ctx context.Context, p *Plan, hopscope string) (*Mesh, error) {
	m := &Mesh{
		Plan: p, apps: map[string]*app.App{}, children: map[string]*Process{}, sidecars: map[string]*Process{},
		client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := m.start(ctx, hopscope); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

func (m *Mesh) start(ctx context.Context, hopscope string) (err error) {
	if m.dir, err = os.MkdirTemp("", "hopscope-accuracy-"); err != nil {
		return err
	}
	for _, s := range m.Services {
		if err := m.startApplication(s); err != nil {
			return err
		}
	}
	m.release()
	for name, config := range m.Sidecars {
		config["telemetry"].(Config)["access_log"] = Config{"path": m.log(name)}
		file := filepath.Join(m.dir, name+".yaml")
		text, err := json.MarshalIndent(config, "", "  ") // YAML includes JSON
		if err == nil {
			err = os.WriteFile(file, text, 0o600)
		}
		if err != nil {
			return err
		}
		if m.sidecars[name], err = start(hopscope, []string{"run", "-c", file}, nil, nil, nil); err != nil {
			delete(m.sidecars, name)
			return err
		}
	}
	for name := range m.Sidecars {
		if err := m.awaitSidecar(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// log is the path of a sidecar's access log.
func (m *Mesh) log(service string) string { return filepath.Join(m.dir, service+".log") }

// startApplication starts the application of a service, and tells its sidecar's
// configuration where it is. Without a sidecar, it tells its callers'.
func (m *Mesh) startApplication(s *Service) error {
	at := m.addresses[s.Name]
	spec := app.Spec{
		Name: s.Name, Host: m.Host, GRPC: s.GRPC, Out: at.out, Calls: s.Calls, Concurrent: s.Concurrent,
		DropHeaders: s.DropHeaders, FailStatus: s.FailStatus,
	}
	var address string
	if m.OwnProcess[s.Name] {
		child, where, err := startChild(spec)
		if err != nil {
			return err
		}
		m.children[s.Name], address = child, where
	} else {
		a, err := app.Start(spec)
		if err != nil {
			return err
		}
		m.apps[s.Name], address = a, a.Address()
	}
	if m.Sidecars[s.Name] != nil {
		m.Cluster(s.Name, "app")["endpoints"] = []string{address}
		if !m.Bypassed[s.Name] {
			return nil
		}
	}
	for _, caller := range m.Callers(s.Name) {
		m.Cluster(caller, s.Name)["endpoints"] = []string{address}
	}
	return nil
}

// startChild runs an application as a process: this program, which [app.IsChild] tells.
func startChild(spec app.Spec) (*Process, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	in, err := json.Marshal(spec)
	if err != nil {
		return nil, "", err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	p, err := start(self, nil, []string{app.Child + "=1"}, append(in, '\n'), w)
	w.Close()
	if err != nil {
		return nil, "", err
	}
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		p.Kill()
		return nil, "", fmt.Errorf("application %s: %w\n%s", spec.Name, err, p.output.String())
	}
	return p, strings.TrimSpace(line), nil
}

// awaitSidecar waits until a sidecar is ready. Another process may answer at its address,
// and it may have ended for that reason.
func (m *Mesh) awaitSidecar(ctx context.Context, name string) error {
	p := m.sidecars[name]
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		status, err := m.status(ctx, name)
		select {
		case <-p.exited:
			if strings.Contains(p.output.String(), "already in use") {
				return ErrPortTaken
			}
			return fmt.Errorf("the sidecar of %s has ended:\n%s", name, p.output.String())
		default:
		}
		if status == http.StatusOK || status != 0 && m.NeverReady[name] {
			return nil
		}
		select {
		case <-p.exited:
		case <-ctx.Done():
			return fmt.Errorf("the sidecar of %s is not ready: %w\n%s", name, errors.Join(err, ctx.Err()), p.output.String())
		case <-ticker.C:
		}
	}
}

// status is what a sidecar answers if it is asked whether it is ready.
func (m *Mesh) status(ctx context.Context, name string) (int, error) {
	resp, err := m.get(ctx, "http://"+m.addresses[name].admin+"/ready")
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	return resp.StatusCode, nil
}

func (m *Mesh) get(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return m.client.Do(req)
}

// App is the application of a service, unless it runs as a process.
func (m *Mesh) App(service string) *app.App { return m.apps[service] }

// Child is the application of a service that runs as a process.
func (m *Mesh) Child(service string) *Process { return m.children[service] }

// Sidecar is the proxy of a service.
func (m *Mesh) Sidecar(service string) *Process { return m.sidecars[service] }

// Close ends all processes and removes all files.
func (m *Mesh) Close() {
	var gone sync.WaitGroup
	for _, p := range m.sidecars {
		gone.Go(p.Kill)
	}
	for _, p := range m.children {
		gone.Go(p.Kill)
	}
	for _, a := range m.apps {
		gone.Go(a.Close)
	}
	gone.Wait()
	m.client.CloseIdleConnections()
	m.Plan.Close()
	os.RemoveAll(m.dir)
}

// drain reads a body to its end.
func drain(body io.Reader) error {
	_, err := io.Copy(io.Discard, body)
	return err
}
