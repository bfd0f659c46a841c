// Command generate prints docs/flags.md, from the tables in the code. make generate runs
// it. The other generated page, docs/config.md, is what "hopscope config reference"
// prints.
package main
