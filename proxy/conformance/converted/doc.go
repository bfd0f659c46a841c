// Package converted holds black-box tests of converted configurations: the same requests
// go to the proxy that a configuration was written for, and to hopscope with what package
// convert made of it. Both have to answer, and to ask endpoints, in the same way.
package converted
