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

	"github.com/hopscope/hopscope/telemetry/collector"
	"github.com/hopscope/hopscope/telemetry/redact"
	"github.com/hopscope/hopscope/telemetry/spans"
)

const (
	// maxAnswer is how many bytes of an answer are read so that the connection can be
	// reused.
	maxAnswer = 64 << 10
	// maxComplaint is how many bytes of an answer an error quotes.
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

// New returns an exporter that connects when it has something to send. It returns an
// error only for invalid options, and the error shows no password.
func New(o Options) (*Exporter, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		// The error of url.Parse quotes the URL, and with it a password.
		return nil, errors.New(`zipkin: the URL can't be parsed; write it like "http://127.0.0.1:9411/api/v2/spans"`)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf(`zipkin: %q is not an http or https URL; write it like "http://127.0.0.1:9411/api/v2/spans"`,
			redact.URL(o.URL))
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/api/v2/spans"
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	transport := collector.Transport(nil)
	return &Exporter{
		url:       u.String(),
		name:      "zipkin " + redact.URL(u.String()),
		secrets:   secrets(u),
		timeout:   o.Timeout,
		transport: transport,
		client:    &http.Client{Transport: transport, CheckRedirect: checkRedirect},
	}, nil
}

// secrets returns the parts of the URL that must not be shown.
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

// checkRedirect follows only redirects that keep the POST (307 and 308). After others the
// client would send a GET, get a 200, and lose the spans silently.
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

// Export implements [spans.Exporter]. It does not retry: if only the answer was lost,
// Zipkin would store the spans twice.
func (e *Exporter) Export(ctx context.Context, b *spans.Batch) error {
	list, err := b.Spans()
	if err != nil {
		return err
	}
	body, err := json.Marshal(convert(b.Service(), b.Attributes(), list))
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
	// Read it to its end, or the connection can't be reused. Ignore errors: the status
	// has said whether the spans were accepted.
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
