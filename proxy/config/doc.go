// Package config turns YAML into a typed, defaulted and validated [Config].
//
// The structs of config.go are the contract. Their tags give each key its default and its
// limits. Their comments become the reference (docs/config.md) and the descriptions in
// the JSON Schema. Unknown keys are errors. Every error names file, line and column, what
// was expected, and the nearest valid key. A Config is data: nothing here opens a socket.
//
// Start reading at [Config], then [Load], which parses (load.go), decodes into the
// structs (decode.go) and checks by the tags (validate.go). To build a Config without a
// file, start with [New] and end with [Config.Validate]. [Check] also reads the files
// that a configuration names (files.go). [Config.ConsulFor] and [Config.HedgeFor] resolve
// what a cluster or route inherits (inherit.go).
package config
