package zipkin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/hopscope/hopscope/telemetry/redact"
	"github.com/hopscope/hopscope/telemetry/spans"
)

const (
	// maxAnswer is how much of an answer's body is read so that its
	// connection can be used again, in bytes.
	maxAnswer = 64 << 10
	// maxComplaint is how much of it is quoted in an error.
	maxComplaint = 200
)

// Options say where the spans go.
type Options struct {
	// URL takes the spans by POST: "http://zipkin:9411/api/v2/spans". A
	// path that is empty or "/" stands for "/api/v2/spans". A user and
	// password in it are sent as basic authorization.
	URL string
	// Timeout limits one batch; default 10 s.
	Timeout time.Duration
}

// Exporter implements [spans.Exporter].
type Exporter struct {
	url       string
	name      string
	secrets   []string // of the URL, which an answer may quote
	timeout   time.Duration
	transport *http.Transport
	client    *http.Client
}

// New returns an exporter that connects when it has something to send. The
// error is about the options, and shows no password.
func New(o Options) (*Exporter, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		// The error of url.Parse quotes the URL, and with it a password.
		return nil, errors.New(`zipkin: the URL can't be parsed; write it like "http://127.0.0.1:9411/api/v2/spans"`)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf(`zipkin: %q is no http or https URL; write it like "http://127.0.0.1:9411/api/v2/spans"`,
			redact.URL(o.URL))
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/api/v2/spans"
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	transport := &http.Transport{
		// No proxy: where the environment names one, it may be this very
		// process, and each export would make spans to export.
		Proxy:                  nil,
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: maxAnswer,
	}
	return &Exporter{
		url:       u.String(),
		name:      "zipkin " + redact.URL(u.String()),
		secrets:   secrets(u),
		timeout:   o.Timeout,
		transport: transport,
		client:    &http.Client{Transport: transport, CheckRedirect: checkRedirect},
	}, nil
}

// secrets are the parts of the URL that nobody is shown.
func secrets(u *url.URL) []string {
	all := []string{u.User.Username()}
	if password, ok := u.User.Password(); ok {
		all = append(all, password)
	}
	for _, values := range u.Query() {
		all = append(all, values...)
	}
	return all
}

// checkRedirect follows what lets a POST stay one (307 and 308). After the
// others the client would GET, be told 200, and the spans would be lost in
// silence.
func checkRedirect(next *http.Request, via []*http.Request) error {
	switch {
	case next.Method != http.MethodPost:
		return fmt.Errorf("redirected to %s by an answer that turns POST into GET; give that URL instead",
			redact.URL(next.URL.String()))
	case len(via) >= 5:
		return errors.New("redirected five times")
	}
	return nil
}

// Name implements [spans.Exporter].
func (e *Exporter) Name() string { return e.name }

// Export implements [spans.Exporter]. It tries once: where an answer got lost,
// Zipkin would store the spans twice.
func (e *Exporter) Export(ctx context.Context, b *spans.Batch) error {
	list, err := b.Spans()
	if err != nil {
		return err
	}
	body, err := json.Marshal(convert(b.Service(), list))
	if err != nil {
		return fmt.Errorf("zipkin: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("zipkin: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "hopscope")
	response, err := e.client.Do(request)
	if err != nil {
		if failed := (*url.Error)(nil); errors.As(err, &failed) {
			err = failed.Err // without the URL, which the exporter's name has
		}
		return fmt.Errorf("zipkin: %w", redact.Error(err, e.secrets...))
	}
	defer response.Body.Close()
	// Read to its end, or the connection can't be used again. What goes wrong
	// in it is of no interest: the status has said whether the spans are taken.
	answer, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if response.StatusCode/100 != 2 {
		return redact.Error(fmt.Errorf("zipkin: the server answered %s: %q", response.Status, answer[:min(len(answer), maxComplaint)]), e.secrets...)
	}
	return nil
}

// Close implements [spans.Exporter].
func (e *Exporter) Close(context.Context) error {
	e.transport.CloseIdleConnections()
	return nil
}
