// Package header changes the fields of requests and responses as routes and their targets
// say, with Envoy's command operators in the values.
//
//	c, err := header.Compile(header.Request, header.Spec{Set: map[string]string{"x-real-ip": "%CLIENT_IP%"}})
//	c.Apply(&x.Request, x.Hop, &x.Request, nil)
//
// It does not decide when: the forwarder does. Start reading at [Changes].
package header
