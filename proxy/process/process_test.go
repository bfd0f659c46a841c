package process

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// logged waits until the log has what the pattern matches, and returns its first group.
func logged(t *testing.T, log *proxytest.Log, pattern string) (first string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	proxytest.Eventually(t, "a log line like "+pattern, func() bool {
		m := re.FindStringSubmatch(log.String())
		if m != nil {
			first = m[1]
		}
		return m != nil
	})
	return first
}

// changing is a source whose configuration a test sets.
type changing struct {
	mu     sync.Mutex
	config *config.Config
	err    error
	notes  chan error // nil for a change, or why it can't be looked at
}

func (c *changing) set(cfg *config.Config, err error) {
	c.mu.Lock()
	c.config, c.err = cfg, err
	c.mu.Unlock()
	c.notes <- nil
}

func (c *changing) source() Source {
	return Source{
		Name: "the test",
		Read: func(context.Context) (*config.Config, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.config, c.err
		},
		Watch: func(ctx context.Context, changed func(), warn func(error)) {
			for {
				select {
				case <-ctx.Done():
					return
				case err := <-c.notes:
					if err != nil {
						warn(err)
						continue
					}
					changed()
				}
			}
		},
	}
}

// egress is the configuration of forward proxies of these names.
func egress(names ...string) *config.Config {
	cfg := config.New()
	cfg.Admin.Address = "127.0.0.1:0"
	cfg.Telemetry.AccessLog.Path = "off"
	for _, name := range names {
		l := config.NewListener(name, "127.0.0.1:0")
		l.ForwardProxy = config.NewForwardProxy()
		cfg.Listeners = append(cfg.Listeners, l)
	}
	return cfg
}

// TestRunFollowsItsSource: a change is applied, one that can't be read leaves what runs,
// and so does a source that can't be looked at. The proxy then ends with all its
// goroutines.
func TestRunFollowsItsSource(t *testing.T) {
	c, log := &changing{config: egress("one"), notes: make(chan error)}, &proxytest.Log{}
	ended := make(chan error, 1)
	go func() { ended <- Run(t.Context(), Options{Source: c.source(), Version: "v1", Log: log}) }()
	logged(t, log, `msg=listening listener=(one) `)
	admin := logged(t, log, `msg="admin API" url=(\S+)/`)

	c.set(egress("one", "two"), nil)
	logged(t, log, `msg="the configuration was reloaded" because="(the test changed)" changes="listeners added: two"`)
	logged(t, log, `msg=listening listener=(two) `)
	c.set(nil, errors.New("line 1: x\nline 2: y"))
	logged(t, log, `level=ERROR msg="(the new configuration was rejected; the old one stays in use)" because="the test changed" mistake="line 2: y"`)
	c.notes <- errors.New("nobody there")
	logged(t, log, `level=WARN msg="(can't read the configuration; the current one stays in use)" error="nobody there"`)

	resp, err := http.Post(admin+"/drain", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	endsWell(t, ended)
	logged(t, log, `msg=draining because="(POST /drain)"`)
	logged(t, log, `msg=(ended)`)
}

func endsWell(t *testing.T, ended <-chan error) {
	t.Helper()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(proxytest.Patience):
		t.Fatal("the proxy does not end")
	}
}

// TestRunEndsWithItsContext by a drain, as at a signal.
func TestRunEndsWithItsContext(t *testing.T) {
	c, log := &changing{config: egress("one")}, &proxytest.Log{}
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, Options{Source: c.source(), Version: "v1", Log: log}) }()
	logged(t, log, `msg=listening listener=(one) `)
	cancel(errors.New("enough"))
	endsWell(t, ended)
	logged(t, log, `msg=draining because=(enough)`)
	logged(t, log, `msg=(ended)`)
}

// TestRunWithoutConfiguration ends before anything runs.
func TestRunWithoutConfiguration(t *testing.T) {
	none := errors.New("none")
	c, log := &changing{err: none}, &proxytest.Log{}
	if err := Run(t.Context(), Options{Source: c.source(), Version: "v1", Log: log}); !errors.Is(err, none) {
		t.Error(err)
	}
}

// TestLocation: where a configuration is, in the words that people find it by, without the
// parameters of a key's URL.
func TestLocation(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	for at, want := range map[string]string{
		"hopscope.yaml":      filepath.Join(folder, "hopscope.yaml"),
		"/etc/hopscope.yaml": "/etc/hopscope.yaml",
		"consul://127.0.0.1:8500/web?token_file=token": "consul://127.0.0.1:8500/web",
	} {
		source := At(at, nil)
		if source.Location != want {
			t.Errorf("%s is at %s, want %s", at, source.Location, want)
		}
		source.Close()
	}
}
