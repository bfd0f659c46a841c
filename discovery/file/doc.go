// Package file is the source of endpoints that stand in a file of their own, in
// YAML or JSON, which some other program writes:
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
// The file is read strictly: an unknown key, an address that is there twice, or
// a key without a value is a mistake, and so are YAML's anchors, aliases and
// tags. A file with a mistake, or none, changes nothing but that the last good
// answer is marked as stale; "endpoints: []" is a good answer of no endpoint.
//
// It is to be replaced by renaming another over it: one that is written in
// place can be read half written, and half of a list may well be a list. Start
// reading at [New]; parse.go is the format.
package file
