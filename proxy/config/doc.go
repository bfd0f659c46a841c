// Package config turns YAML into a typed, defaulted and validated [Config].
//
// The structs of config.go are the contract: their tags give each key its
// default and its limits, their comments are the reference (docs/config.md) and
// the descriptions in the JSON Schema, both generated from this code. Unknown
// keys are errors; every error names file, line and column, what was expected
// and the nearest valid key. A Config is data: nothing here opens a socket.
//
// Start reading at [Config], then [Load]: parse (load.go), decode by the structs
// (decode.go), check by the tags (validate.go). Code that needs a Config without
// a file starts with [New] and ends with [Config.Validate]. [Check] reads the
// files that a configuration names as well (files.go). What holds for one cluster
// or route is asked with [Config.ConsulFor] and HedgeFor (inherit.go).
package config
