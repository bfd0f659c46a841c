package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// rig is what every measurement stands on: programs, folders, backend, sink.
type rig struct {
	opts     options
	cores    corePlan
	dir      string            // everything temporary
	programs map[string]string // name -> path
	sink     *sink
	backend  *process
	address  string // the backend's, where it speaks HTTP/1.1
	address2 string // and where HTTP/2
	port     string // and the port where HTTP/1.1 on every address, if anywhere
	shown    certificate
	missing  string // what is not measured for want of a program; empty: nothing
}

// newRig finds or builds the programs and starts sink and backend. The caller
// must close it.
func newRig(ctx context.Context, opts options) (*rig, error) {
	r := &rig{opts: opts, cores: planCores(), programs: map[string]string{}}
	err := r.setUp(ctx)
	if ctx.Err() != nil {
		err = ctx.Err() // what failed, failed because of it
	}
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *rig) setUp(ctx context.Context) error {
	var err error
	if r.dir, err = os.MkdirTemp("", "hopscope-bench-"); err != nil {
		return err
	}
	// nginx started by root runs its worker as another user.
	if err := os.Chmod(r.dir, 0o755); err != nil {
		return err
	}
	if err := r.findPrograms(ctx); err != nil {
		return err
	}
	if r.shown, err = makeCertificate(r.dir); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if r.sink, err = startSink(self, r.cores.load); err != nil {
		return err
	}
	return r.startBackend(ctx)
}

// findPrograms looks up what the chosen variants need, and builds hopscope.
func (r *rig) findPrograms(ctx context.Context) error {
	needed := []string{"nginx"} // the backend
	for _, g := range r.opts.chosen() {
		needed = append(needed, g.tool)
	}
	for _, v := range r.opts.variants {
		needed = append(needed, v.program)
	}
	slices.Sort(needed)
	needed = slices.Compact(needed)
	for _, name := range needed {
		var err error
		switch {
		case name != "hopscope":
			r.programs[name], err = findProgram(name)
		case r.opts.hopscope != "":
			r.programs[name], err = exec.LookPath(r.opts.hopscope)
		default:
			r.programs[name], err = buildHopscope(ctx, "", filepath.Join(r.dir, "hopscope"))
		}
		if err != nil {
			return err
		}
	}
	return r.findConsul()
}

// findConsul looks up the one program that a run can do without, unless it is named.
func (r *rig) findConsul() error {
	if !r.opts.measuresDiscovery() {
		return nil
	}
	path, err := exec.LookPath(cmp.Or(r.opts.consul, "consul"))
	switch {
	case err == nil:
		r.programs["consul"] = path
	case r.opts.consul != "":
		return fmt.Errorf("-consul: %w", err)
	default:
		r.missing = "changes in Consul were not measured: there is no consul in PATH; make bench builds one, and -consul names one that is elsewhere."
	}
	return nil
}

// buildHopscope builds the command as it is released, static, into the file path: that
// of the module that the folder tree is in, this one if it is empty.
func buildHopscope(ctx context.Context, tree, path string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", "grpcnotrace", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, "github.com/hopscope/hopscope")
	cmd.Dir = tree
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build hopscope (or name a binary with -hopscope): %w\n%s", err, out)
	}
	return path, nil
}

func (r *rig) startBackend(ctx context.Context) error {
	addrs, err := freeAddresses(3)
	if err != nil {
		return err
	}
	r.address, r.address2 = addrs[0], addrs[1]
	everywhere := ""
	if len(r.opts.variantsOf(groupOf(groupScale))) > 0 { // else it is nobody's on the network
		if _, r.port, err = net.SplitHostPort(addrs[2]); err != nil {
			return err
		}
		everywhere = net.JoinHostPort("0.0.0.0", r.port)
	}
	r.backend, err = r.launch("backend", "nginx", "backend.conf", r.cores.load, places{
		Listen: r.address, ListenHTTP2: r.address2, ListenAll: everywhere, Bodies: r.opts.answers(),
	})
	if err != nil {
		return err
	}
	return r.backend.awaitListen(ctx, r.address)
}

// backendOf is the address that the variants of a group send requests to.
func (r *rig) backendOf(group string) string {
	switch group {
	case groupGRPC:
		return r.sink.GRPC
	case groupH2H2:
		return r.address2
	}
	return r.address
}

// launch renders a configuration into a folder of its own and starts program
// on it.
func (r *rig) launch(name, program, config string, core int, p places) (*process, error) {
	p.Dir = filepath.Join(r.dir, name)
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		return nil, err
	}
	text, err := render(config, p)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(p.Dir, config)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return nil, err
	}
	argv, env, err := command(program, r.programs[program], path)
	if err != nil {
		return nil, err
	}
	return start(name, r.dir, core, argv, env)
}

// versions asks every program of the run.
func (r *rig) versions(goVersion string) []version {
	all := []version{}
	for _, program := range []string{"hopscope", "haproxy", "nginx", "wrk", "h2load"} {
		if path, ok := r.programs[program]; ok {
			all = append(all, askVersion(program, path))
		}
	}
	return append(all, version{"Go", goVersion})
}

// close ends every process of the rig and removes its folder.
func (r *rig) close() error {
	if r.backend != nil {
		r.backend.stop()
	}
	if r.sink != nil {
		r.sink.stop()
	}
	if r.dir == "" {
		return nil
	}
	return os.RemoveAll(r.dir)
}
