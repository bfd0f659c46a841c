package matrix_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// toolContent is what real clients get, and what they send.
var toolContent = proxytest.Pattern(300_000)

// newToolCross has an endpoint for them: /get gives content, /post takes it and
// gives it back.
func newToolCross(t *testing.T, down, up proxytest.Side) *cross {
	t.Helper()
	x := newCross(t, down, up, nil)
	x.handle("/get", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, toolContent) })
	x.handle("/post", x.echo)
	return x
}

// run runs a tool and returns what it wrote on its standard output.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*proxytest.Patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		var said []byte
		if failed, ok := errors.AsType[*exec.ExitError](err); ok {
			said = failed.Stderr
		}
		t.Errorf("%s %q: %v\n%s", name, args, err, said)
	}
	return string(out)
}

// contentFile is a file that has toolContent.
func contentFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(path, []byte(toolContent), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// isToolContent compares what is too long to be shown.
func isToolContent(t *testing.T, what, got string) {
	t.Helper()
	if got != toolContent {
		t.Errorf("%s: %d bytes, which are not the %d that were expected", what, len(got), len(toolContent))
	}
}

func TestMatrixCurl(t *testing.T) {
	tool := backends.Require(t, "curl")
	proxytest.EachPair(t, func(t *testing.T, down, up proxytest.Side) {
		x := newToolCross(t, down, up)
		speaks := "--http1.1"
		switch {
		case down.HTTP2 && down.TLS:
			speaks = "--http2"
		case down.HTTP2:
			speaks = "--http2-prior-knowledge"
		}
		args := []string{"--silent", "--show-error", "--fail", "--noproxy", "*", speaks,
			"--cacert", x.ca.File, "--connect-to", webHost + "::" + x.Ingress()}
		url := down.Scheme() + "://" + webHost
		isToolContent(t, "a download", run(t, tool, append(args, url+"/get")...))
		x.fine("GET", "/get", 200, 0, int64(len(toolContent)))
		isToolContent(t, "an upload", run(t, tool, append(args, "--data-binary", "@"+contentFile(t), url+"/post")...))
		x.fine("POST", "/post", 200, int64(len(toolContent)), int64(len(toolContent)))
		x.finish()
	})
}

func TestMatrixNghttp(t *testing.T) {
	tool := backends.Require(t, "nghttp")
	proxytest.EachPair(t, func(t *testing.T, down, up proxytest.Side) {
		if !down.HTTP2 {
			t.Skip("nghttp speaks HTTP/2")
		}
		x := newToolCross(t, down, up)
		args := []string{"--no-verify-peer", "--header=:authority: " + webHost}
		url := down.Scheme() + "://" + x.Ingress()
		isToolContent(t, "a download", run(t, tool, append(args, url+"/get")...))
		x.fine("GET", "/get", 200, 0, int64(len(toolContent)))
		isToolContent(t, "an upload with trailers", run(t, tool, append(args, "--trailer=x-sum: all", "--data="+contentFile(t), url+"/post")...))
		x.fine("POST", "/post", 200, int64(len(toolContent)), int64(len(toolContent)))
		x.finish()
	})
}

func TestMatrixH2load(t *testing.T) {
	tool := backends.Require(t, "h2load")
	proxytest.EachPair(t, func(t *testing.T, down, up proxytest.Side) {
		const requests = 30
		x := newToolCross(t, down, up)
		args := []string{fmt.Sprintf("--requests=%d", requests), "--clients=3", "--connect-to=" + x.Ingress()}
		if down.HTTP2 {
			args = append(args, "--max-concurrent-streams=10")
		} else {
			args = append(args, "--h1")
		}
		said := run(t, tool, append(args, down.Scheme()+"://"+webHost+"/get")...)
		for _, want := range []string{
			fmt.Sprintf("%d succeeded, 0 failed, 0 errored, 0 timeout", requests),
			fmt.Sprintf("%d 2xx, 0 3xx, 0 4xx, 0 5xx", requests),
			fmt.Sprintf("(%d) data", requests*len(toolContent)),
		} {
			if !strings.Contains(said, want) {
				t.Errorf("h2load does not say %q:\n%s", want, said)
			}
		}
		for range requests {
			x.fine("GET", "/get", 200, 0, int64(len(toolContent)))
		}
		x.finish()
	})
}
