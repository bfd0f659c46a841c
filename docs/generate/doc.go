// Command generate prints the generated pages of docs from the tables in the code:
// docs/flags.md, or docs/metrics.md with the argument "metrics". make generate runs it. The
// other generated page, docs/config.md, is what "hopscope config reference" prints.
package main
