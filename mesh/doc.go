// Package mesh puts together what many proxies know: it asks their admin APIs in parallel
// for the hops of a trace, or takes hops that were read from access logs, and says which
// hop failed.
//
// It is the client's side. It serves nothing, discovers no proxies and keeps nothing. Who
// is at fault is the business of telemetry/diagnose. A proxy that answers wrongly harms
// nobody: its answer is bounded in time, bytes and number of hops, and what is no hop of
// the trace is left out and said.
//
//	c, err := mesh.New([]string{"10.0.0.1:9901", "10.0.0.2:9901"})
//	found := c.Find(ctx, id)
//
// Start reading at [Client.Find], then [Assemble]; [Logs] has the same from access logs.
package mesh
