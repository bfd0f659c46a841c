package consul

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

const (
	maxAnswer = 64 << 20 // bytes of JSON: some 40,000 instances
	maxError  = 4 << 10  // bytes of an error's text that are worth keeping
	maxToken  = 4 << 10
)

// transport carries all requests of a client. It adds the token and limits the size of
// answers. The library may take its token, namespace and partition from the environment;
// transport overrules that.
type transport struct {
	client               *Client
	namespace, partition string
}

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := t.client.token()
	if err == nil {
		err = t.client.limit.Wait(req.Context())
	}
	if err != nil {
		if req.Body != nil {
			req.Body.Close() // as http.RoundTripper asks
		}
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Header.Del("X-Consul-Token")
	if token != "" {
		req.Header.Set("X-Consul-Token", token)
	}
	query := req.URL.Query()
	for name, value := range map[string]string{"ns": t.namespace, "partition": t.partition} {
		query.Del(name)
		if value != "" {
			query.Set(name, value)
		}
	}
	req.URL.RawQuery = query.Encode()
	resp, err := t.client.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		resp.Body = &bounded{ReadCloser: resp.Body, left: maxAnswer}
	} else {
		resp.Body = readCloser{io.LimitReader(resp.Body, maxError), resp.Body}
	}
	return resp, nil
}

// bounded fails when a body is too long, instead of ending it: half an answer must not pass
// for a whole one.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20)
	}
	return n, err
}

type readCloser struct {
	io.Reader
	io.Closer
}

// tokens returns what gives the token of each request.
func tokens(token, file string) (func() (string, error), error) {
	if file == "" {
		if err := checkToken(token); err != nil {
			return nil, fmt.Errorf("consul token: %w", err)
		}
		return func() (string, error) { return token, nil }, nil
	}
	if token != "" {
		return nil, fmt.Errorf("consul: both a token and the token file %s are given: leave one out", file)
	}
	read := func() (string, error) {
		text, err := readStart(file)
		if err != nil {
			return "", fmt.Errorf("consul token file: %w", err)
		}
		token := strings.TrimSpace(text)
		if token == "" {
			return "", fmt.Errorf("consul token file %s is empty", file)
		}
		if err := checkToken(token); err != nil {
			return "", fmt.Errorf("consul token file %s: %w", file, err)
		}
		return token, nil
	}
	_, err := read()
	return read, err
}

func readStart(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	return string(text), err
}

// checkToken never quotes the token.
func checkToken(token string) error {
	if len(token) > maxToken {
		return fmt.Errorf("a token has at most %d bytes", maxToken)
	}
	for _, r := range token {
		if r <= ' ' || r > '~' {
			return fmt.Errorf("a token is one word of ASCII letters, digits and signs")
		}
	}
	return nil
}
