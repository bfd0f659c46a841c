package admin

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/mesh"
)

// Mesh is what the API knows of the mesh.
type Mesh struct {
	// Name is the mesh's.
	Name string
	// Members lists the members, this proxy among them. It returns what is known by the
	// time that ctx is over.
	Members func(ctx context.Context) []mesh.Member
	// Send sends a request to a member, with this proxy's credential.
	Send func(ctx context.Context, call mesh.Call) (*http.Response, error)
}

// How much is relayed: so many requests at once, for so long, so many bytes of each. A
// client is not kept waiting for identities of members for longer than memberPatience.
const (
	maxRelays      = 64
	relayTime      = slowest
	maxRelayed     = 16 << 20
	memberPatience = 500 * time.Millisecond
)

// self is this proxy as a member.
func (a *api) self() mesh.Member {
	return mesh.Member{Service: a.Service, Instance: a.Instance, Address: a.Address, Version: a.Version, Since: a.Started.UTC(), Self: true}
}

// selfInfo answers /v1/self: who this proxy is, for members that know only its address.
func (a *api) selfInfo(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, struct {
		Mesh string `json:"mesh"`
		mesh.Member
	}{a.meshName(), a.self()})
}

func (a *api) meshName() string {
	if a.Mesh == nil {
		return ""
	}
	return a.Mesh.Name
}

// peers answers /v1/peers: the members of the mesh. A proxy without a mesh is its only
// member.
func (a *api) peers(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, mesh.Members{Mesh: a.meshName(), Peers: a.members(r.Context())})
}

func (a *api) members(ctx context.Context) []mesh.Member {
	if a.Mesh == nil {
		return []mesh.Member{a.self()}
	}
	ctx, cancel := context.WithTimeout(ctx, memberPatience)
	defer cancel()
	return a.Mesh.Members(ctx)
}

// relay answers /v1/peers/ADDR/v1/...: it asks a member, with this proxy's credential, and
// passes its answer on. It reaches nobody but members, nothing but what is read there, and
// nothing that would be relayed once more.
func (a *api) relay(w http.ResponseWriter, r *http.Request) {
	path, address := r.PathValue("path"), r.PathValue("address")
	switch {
	case r.Header.Get(mesh.HeaderRelay) != "":
		writeError(w, http.StatusLoopDetected, "this request was relayed already", "ask this proxy itself")
		return
	case !relayable(path):
		writeError(w, http.StatusBadRequest, "this path is not relayed", "GET /v1/peers/ADDR/v1/hops?trace=ID, or another path below /v1 that is read")
		return
	case a.Mesh == nil:
		writeError(w, http.StatusNotFound, "this proxy belongs to no mesh", "set mesh in its configuration")
		return
	}
	m, ok := a.member(r.Context(), address)
	switch {
	case m.Self:
		own := r.Clone(r.Context())
		own.URL = &url.URL{Path: "/v1/" + path, RawQuery: r.URL.RawQuery}
		w.Header().Del(mesh.HeaderRelay)
		a.mux.ServeHTTP(w, own)
		return
	case !ok:
		writeError(w, http.StatusNotFound, quote(address)+" is not a member of this mesh", "GET /v1/peers lists the members")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), relayTime)
	defer cancel()
	path = "/" + path
	if r.URL.RawQuery != "" {
		path += "?" + r.URL.RawQuery
	}
	resp, err := a.Mesh.Send(ctx, mesh.Call{Method: http.MethodGet, Address: address, Path: path, Relayed: true})
	if err != nil {
		writeError(w, http.StatusBadGateway, mesh.Plainly(err).Error(), "")
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		writeError(w, http.StatusBadGateway, "it refuses this proxy's credential", "mesh.token_file, or mesh.tls, must be alike in all proxies of the mesh")
		return
	}
	if resp.StatusCode < http.StatusOK {
		writeError(w, http.StatusBadGateway, fmt.Sprintf("its answer has the status %d", resp.StatusCode), "")
		return
	}
	passHeader(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	passOn(w, resp.Body)
}

// passHeader passes on what programs need of a member's header, and nothing that would have
// a browser take its answer for a page of this proxy.
func passHeader(to, from http.Header) {
	to.Del(mesh.HeaderRelay)
	to.Del(mesh.HeaderProcess)
	for _, name := range []string{"Retry-After", mesh.HeaderProcess} {
		if v := from.Get(name); v != "" {
			to.Set(name, v)
		}
	}
	if link := from.Get("Link"); strings.HasPrefix(link, "<?") && strings.HasSuffix(link, `>; rel="next"`) {
		to.Set("Link", link)
	}
	to.Set("Content-Type", "application/octet-stream")
	if kind := from.Get("Content-Type"); kind == "application/json" || kind == "application/x-ndjson" {
		to.Set("Content-Type", kind)
	}
}

// member returns the member at an address, without waiting to learn who members are.
func (a *api) member(ctx context.Context, address string) (m mesh.Member, ok bool) {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	all := a.Mesh.Members(ctx)
	if i := slices.IndexFunc(all, func(m mesh.Member) bool { return m.Address == address }); i >= 0 {
		return all[i], true
	}
	return m, false
}

// relayable reports whether a path below /v1 may be asked for at a member: words, none of
// which leads elsewhere, and not those of a relay or of the whole mesh.
func relayable(path string) bool {
	first := true
	for word := range strings.SplitSeq(path, "/") {
		if word == "" || first && (word == "mesh" || word == "peers" && path != word) || strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return false
		}
		first = false
	}
	return true
}

// passOn copies an answer, each part when it comes. If it is too long or ends early, the
// connection is cut, so that half an answer does not pass for a whole one.
func passOn(w http.ResponseWriter, body io.Reader) {
	control, buffer := http.NewResponseController(w), make([]byte, piece)
	for left := maxRelayed; ; {
		n, err := body.Read(buffer)
		if left -= n; left < 0 {
			panic(http.ErrAbortHandler)
		}
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return // the client went away
			}
			_ = control.Flush() // an error shows at the next write
		}
		switch {
		case err == io.EOF:
			return
		case err != nil:
			panic(http.ErrAbortHandler)
		}
	}
}
