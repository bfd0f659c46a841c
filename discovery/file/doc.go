// Package file is the source of endpoints from a file, in YAML or JSON, that some other
// program writes:
//
//	endpoints:
//	  - 10.0.0.1:8080             # the short form: all defaults
//	  - address: 10.0.0.2:8080    # an IPv6 address needs quotes: "[::1]:8080"
//	    weight: 3                 # 1 to 1,000,000; the default is 1
//	    priority: 1               # 0 to 128; the default is 0, the first
//	    region: eu
//	    zone: eu-1a
//	    health: healthy           # or degraded, unhealthy, draining
//	    metadata: {version: v2}
//
// The file is read strictly. An unknown key, an address that is there twice and a key
// without a value are mistakes, and so are YAML's anchors, aliases and tags. A file that has
// a mistake, or that is gone, changes no endpoint: the last good answer stays and is marked
// as stale. "endpoints: []" is a good answer: no endpoint.
//
// To change the file, rename a new one over it. A file that is written in place may be read
// half written, and half of a list may well be a list. Start reading at [New]; parse.go is
// the format.
package file
