// Package strictyaml reads a file of one YAML document: within limits that bound the time
// and memory a broken or hostile file can take, and with errors that name line, column and
// remedy. It leaves the meaning of the document to its caller, who gets a tree.
//
//	body, mistake := strictyaml.Parse(data, strictyaml.Options{What: "a configuration", Nesting: 64, Keys: 25_000})
//
// It finds the word that a misspelt one stands for as well ([Nearest]). Start reading at
// [Parse].
package strictyaml
