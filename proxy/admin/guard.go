package admin

import (
	"net"
	"net/http"
	"net/netip"

	"github.com/hopscope/hopscope/proxy/message"
)

// guard refuses what only a hostile web page would send, and sets headers that keep
// answers from being used for more than display.
//
// On loopback the API may have no password, so a browser on the same machine is a way in:
// a page may rebind its own name to 127.0.0.1 and read everything, or post blindly to
// http://127.0.0.1:9901/drain. The Host field gives the first away, Origin and
// Sec-Fetch-Site the second; a page can set none of them.
func guard(next http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if !hostAllowed(r) {
			writeError(w, http.StatusForbidden, "the Host "+r.Host+" is not a name of this address",
				"use http://127.0.0.1, http://localhost or the address that the admin API is bound to")
			return
		}
		if err := origin.Check(r); err != nil {
			writeError(w, http.StatusForbidden, "a page of another site may not change anything here",
				"send the request from the command line, or from this API's own page")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostAllowed reports whether the request's Host names the loopback address that it came
// in on. On other addresses any name may be right, and the network decides who may
// connect.
func hostAllowed(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok || !local.IP.IsLoopback() || r.Host == "" { // only HTTP/1.0 may lack Host, and no browser speaks it
		return true
	}
	host := message.Hostname(r.Host)
	if message.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && (addr.Unmap().IsLoopback() || addr.Unmap() == local.AddrPort().Addr().Unmap())
}
