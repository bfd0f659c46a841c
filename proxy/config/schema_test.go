package config

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml/ast"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hopscope/hopscope/discovery/strictyaml"
)

func compileSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("hopscope.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("hopscope.json") // checks it by its own meta-schema
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instance reads YAML the way an editor does, as JSON.
func instance(t *testing.T, text []byte) any {
	t.Helper()
	body, mistake := strictyaml.Parse(text, strictyaml.Options{Nesting: maxNesting})
	if mistake != nil {
		t.Fatal(mistake)
	}
	data, err := json.Marshal(asJSON(body))
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func asJSON(n ast.Node) any {
	switch n := n.(type) {
	case *ast.MappingNode:
		o := make(map[string]any)
		for _, v := range n.Values {
			name, _ := keyName(v.Key)
			o[name] = asJSON(v.Value)
		}
		return o
	case *ast.SequenceNode:
		list := make([]any, len(n.Values))
		for i, v := range n.Values {
			list[i] = asJSON(v)
		}
		return list
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return json.RawMessage(n.GetToken().Value)
	}
	if text, quoted, ok := stringOf(n); ok {
		if f, err := strconv.ParseFloat(text, 64); err == nil && !quoted && !math.IsInf(f, 0) { // 1e-3
			return f
		}
		return text
	}
	return nil
}

func TestSchemaAccepts(t *testing.T) {
	schema := compileSchema(t)
	for name, text := range map[string][]byte{
		"example":      []byte(example),
		"full":         []byte(full),
		"live":         []byte(live),
		"defaults":     mustParse(t, example).yaml(false),
		"dump":         mustParse(t, full).DumpJSON(),
		"duration 0":   []byte(with("    forward_proxy: {timeout: 0}\n")),
		"forward only": []byte("listeners: [{name: a, address: ':0', forward_proxy: {}}]\n"),
	} {
		if err := schema.Validate(instance(t, text)); err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
}

// TestSchemaRefuses has the mistakes that a schema can see, from the table of
// what Parse refuses.
func TestSchemaRefuses(t *testing.T) {
	schema := compileSchema(t)
	unseen := make(map[string]bool) // by a schema, for they are no matter of form
	for _, name := range []string{
		"tag", "unknown alias", "alias of itself", "merge of a number", "duplicate key", "duplicate cluster", "number as a name",
		"octal", "overflow", "duration below", "control character", "bad IPv6", "bad IPv4", "port 0", "port too high", "method in lower case",
		"network with host bits", "destination", "header name", "secret in a URL that is none",
		"unknown cluster", "no clusters", "same name", "same address", "address of the admin API",
		"admin for everyone", "admin on every interface", "insecure with a token", "names without authorities", "mesh without an admin API", "mesh in plain text",
		"mesh without a certificate", "mesh with nothing to show",
		"versions the wrong way round", "versions of a cluster the wrong way round", "no protocol", "clients without authorities", "clients' names for nobody",
		"address as a name", "certificate of a cluster without key", "key of a cluster without certificate", "key for the path of a key", "listener that does nothing", "empty required list", "retry on nothing", "retry on an empty list",
		"two sources", "no source", "route to a template", "no static endpoint", "static endpoint twice", "DNS without port", "DNS with port 0", "DNS with a port beside SRV",
		"DNS with times to live the wrong way round", "DNS of an IP address", "Consul without service", "Consul with service and query",
		"query with the keys of a service", "token and token file", "certificate for Consul without key", "the top level's Consul with what is asked for",
		"the top level's token and token file", "the top level's key without certificate", "registration with a check of nothing",
		"registration with two checks", "registration with host and port in one", "catalog like no cluster", "passwords by a name that no tag can have", "names without a catalog", "a name that is registered anyway", "a field for names that is none", "suffix with a dot before it",
		"socket with a long path", "ring_hash without hash", "maglev with an empty hash", "hash without policy", "hash of nothing", "hash of two",
		"table that is no prime", "ring sizes the wrong way round", "bounded load below the average", "zone aware nowhere", "fallback to no default",
		"default without fallback", "subset of a cluster without subsets", "subset that no selector has", "retry on statuses that are not given",
		"retry on no statuses", "retry on fields that are not given", "retry with statuses and fields for nothing", "back-off the wrong way round",
		"back-off of a route the wrong way round", "hedging after nothing", "health check of nothing", "health check of two",
		"health check with statuses the wrong way round", "health check without statuses", "health check with a field with a space", "megabytes for bytes",
		"header name of one exporter of several", "exporter to nowhere", "exporter to two", "certificate without a key", "TLS and plain text", "path over gRPC",
		"an unknown operator", "an unknown operator in JSON", "a number that JSON does not have", "two formats", "lines of entries", "a further log that is off", "a format of two lines",
		"no condition on a field", "two conditions on a field", "two inverted conditions", "a regular expression", "a template", "a range of one",
		"an empty range", "a case of no text", "a part of the request line", "a bad name of a field", "identities without certificates",
		"an error without a content", "a content for what is no error", "changes of nothing", "an operator that is not there", "an operator of a response", "a host that is a field", "framing that is removed", "requests of a redirect", "a path that is normalized away", "a prefix that is normalized away", "segments that are refused", "a route that does nothing", "a route that does two things", "a redirect with a timeout", "a redirect to nowhere else", "a redirect to two paths",
		"a redirect that is none", "a group that is not there", "a substitution for nothing", "an answer of two contents", "content where none may be",
		"a cluster and a split", "a split of nothing", "a split to no cluster", "a split to the same twice", "a split with two variants of a name",
		"a split without weights", "a split that changes the framing", "a guard of no split", "a guard of a route without a name", "a guard of nobody", "a guard without others",
		"a guard that takes nothing back", "a guard that judges nothing", "a guard that asks for a faster canary", "a field for clusters without clusters", "clusters for no field", "an allowed cluster that is none", "sticky to a cluster", "sticky by nothing", "sticky by two", "sticky and an answer", "priority and an answer",
		"a rewrite to two paths", "a rewrite to two hosts", "a rewrite of no template", "a rewrite with another variable", "a rewrite to a query",
		"a field of the framing", "an error page for what is no error", "too many error pages", "a link to traces for the public",
	} {
		unseen[name] = true
	}
	checked := 0
	for _, tt := range mistakes() {
		if unseen[tt.name] || parseYAML(&collector{}, &place{}, []byte(tt.text), "") == nil {
			continue
		}
		checked++
		if err := schema.Validate(instance(t, []byte(tt.text))); err == nil {
			t.Errorf("%s: accepted\n%s", tt.name, tt.text)
		}
	}
	if checked < 120 {
		t.Errorf("only %d mistakes were looked at", checked)
	}
}

func TestSchemaDescribes(t *testing.T) {
	var s struct {
		Properties map[string]struct{ Description string }
		Defs       map[string]struct {
			Properties map[string]struct {
				Description string
				Default     any
			}
		} `json:"$defs"`
	}
	if err := json.Unmarshal(Schema(), &s); err != nil {
		t.Fatal(err)
	}
	if got := s.Properties["service"].Description; got != "service is the name of the service that this proxy stands in front of. It names the hop in every view." {
		t.Error(got)
	}
	if got := s.Defs["CircuitBreaker"].Properties["max_connections"]; !strings.Contains(got.Description, "up to max_pending more requests") || got.Default != 1024.0 {
		t.Error(got)
	}
}
