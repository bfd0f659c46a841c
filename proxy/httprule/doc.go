// Package httprule finds the gRPC method that an HTTP request stands for, by the
// google.api.http options in a set of protobuf descriptors.
//
// [Load] reads a FileDescriptorSet and compiles the bindings of its methods, [Schema.Match]
// finds the binding of a request, and the [Binding] says which fields of the method's
// request come from the path, from the query and from the content. What the fields are set
// to, and how messages are written as JSON, is the business of package filter/transcode.
// The package touches neither socket nor file.
//
// Start reading at [Load]; the syntax of templates is in template.go.
package httprule
