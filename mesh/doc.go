// Package mesh puts together what many proxies know: it asks their admin APIs in parallel
// for the hops of a trace, or takes hops that were read from access logs, and says which
// hop failed.
//
// It is the client's side. It serves nothing and keeps nothing, and learns of proxies from
// one of them or from its caller. Who
// is at fault is the business of telemetry/diagnose. A proxy that answers wrongly harms
// nobody: its answer is bounded in time, bytes and number of hops, and what is no hop of
// the trace is left out and said.
//
//	c, err := mesh.New(mesh.Options{Admin: []string{"10.0.0.1:9901"}})
//	found := c.Find(ctx, id)
//
// Start reading at [Ask], by which every question is put, then [Client.Find] and [Assemble];
// [Logs] has the same from access logs.
package mesh
