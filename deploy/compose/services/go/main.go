// Command web is the shop's front, in Go: it asks orders, and knows of hopscope only HTTP_PROXY.
// For tracing it does what any application must: it copies the trace context.
package main

import (
	"io"
	"log"
	"net/http"
	"time"
)

func main() {
	client := &http.Client{Timeout: 10 * time.Second} // its transport reads HTTP_PROXY
	http.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("GET /buy", func(w http.ResponseWriter, r *http.Request) {
		call, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://orders/order", nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		for _, name := range []string{"Traceparent", "Tracestate"} {
			if value := r.Header.Get(name); value != "" {
				call.Header.Set(name, value)
			}
		}
		answer, err := client.Do(call)
		if err != nil {
			http.Error(w, "orders: "+err.Error(), http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			http.Error(w, "orders answered "+answer.Status, http.StatusBadGateway)
			return
		}
		io.Copy(w, answer.Body)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:3000", nil))
}
