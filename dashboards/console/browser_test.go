package console_test

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/deploy/demo"
)

// browserLimit ends a browser that hangs. Each of its steps gives up long before.
const browserLimit = 15 * time.Minute

// TestInBrowser has a real browser use the console of the demo: test/browser.mjs says how.
// It needs Chromium, Node and what npm ci installs, which make test-console does.
func TestInBrowser(t *testing.T) {
	chromium := backends.Require(t, "chromium")
	// go test reads its result from its cache unless one of what is asked for here has changed.
	for _, path := range []string{"test/browser.mjs", "node_modules/playwright-core", "node_modules/axe-core"} {
		if _, err := os.Stat(path); err != nil {
			missing(t, "the console's npm packages are missing: run make test-console")
		}
	}
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "Node is missing: "+err.Error())
	}
	c := exec.Command(node, "test/browser.mjs", startDemo(t))
	// What the browser keeps goes when the test ends, however it ends.
	c.Env = append(os.Environ(), "CHROMIUM="+chromium, "TMPDIR="+t.TempDir())
	p, err := backends.Spawn("browser", c)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	select {
	case <-p.Exited():
	case <-time.After(browserLimit):
		p.Kill()
	}
	if !c.ProcessState.Success() {
		t.Errorf("%v\n%s", c.ProcessState, p.Output())
	}
}

// missing skips the test, or fails it where everything has to be there.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv(backends.RequireVariable) == "1" {
		t.Fatal(what)
	}
	t.Skip("skipped: " + what)
}

// startDemo runs hopscope demo until the test ends, and returns the address of its admin API.
func startDemo(t *testing.T) string {
	ctx, stop := context.WithCancel(context.Background())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := demo.Run(ctx, demo.Options{Admin: "127.0.0.1:0", Out: in})
		in.CloseWithError(err)
		ended <- err
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the demo: %v", err)
		}
	})
	admin := regexp.MustCompile(`^ +admin +(http://\S+)`)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := admin.FindStringSubmatch(lines.Text()); m != nil {
			go func() { _, _ = io.Copy(io.Discard, out) }() // or the demo would wait for a reader
			return m[1]
		}
	}
	t.Fatalf("the demo ended: %v", lines.Err())
	return ""
}
