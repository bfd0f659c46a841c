// Package nomad checks the job in deploy/nomad with Nomad's own parser. There is nothing else
// in it.
package nomad
