package catalog

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var options = cmp.AllowUnexported(tag{}, hostPath{}, treatment{}, limits{})

// Tags in the forms that Fabio's documentation gives, and what they mean.
func TestParse(t *testing.T) {
	https := Transport{Protocol: "auto", TLS: true}
	insecure := Transport{Protocol: "auto", TLS: true, Insecure: true}
	grpc := Transport{Protocol: "http2"}
	grpcs := Transport{Protocol: "http2", TLS: true}
	for text, want := range map[string]tag{
		"/css":                   {hostPath: hostPath{path: "/css"}},
		"i.com/static":           {hostPath: hostPath{host: "i.com", path: "/static"}},
		"mysite.com/":            {hostPath: hostPath{host: "mysite.com", path: "/"}},
		"MySite.com/Path":        {hostPath: hostPath{host: "mysite.com", path: "/Path"}},
		"mysite.com":             {hostPath: hostPath{host: "mysite.com", path: "/"}},
		" / ":                    {hostPath: hostPath{host: "", path: "/"}},
		"*.foo.com/":             {hostPath: hostPath{host: "*.foo.com", path: "/"}},
		"mysite.com.":            {hostPath: hostPath{host: "mysite.com", path: "/"}},
		"MySite.com./Path":       {hostPath: hostPath{host: "mysite.com", path: "/Path"}},
		"*.foo.com./":            {hostPath: hostPath{host: "*.foo.com", path: "/"}},
		"/a host=Web.test.":      {hostPath: hostPath{path: "/a"}, treatment: treatment{host: "Web.test."}}, // as it is written
		"*/x":                    {hostPath: hostPath{host: "*", path: "/x"}},
		"*foo.com/":              {hostPath: hostPath{host: "*foo.com", path: "/"}},
		"10.0.0.1/":              {hostPath: hostPath{host: "10.0.0.1", path: "/"}},
		"[2001:DB8::1]/":         {hostPath: hostPath{host: "[2001:db8::1]", path: "/"}},
		"www.${DC}.bar/$DC/$x":   {hostPath: hostPath{host: "www.dc1.bar", path: "/dc1/$x"}},
		"foo/$DCX/${DCX}":        {hostPath: hostPath{host: "foo", path: "/$DCX/${DCX}"}},
		"/foo/bar strip=/foo":    {hostPath: hostPath{path: "/foo/bar"}, treatment: treatment{strip: "/foo"}},
		"/bar prepend=/foo":      {hostPath: hostPath{path: "/bar"}, treatment: treatment{prepend: "/foo"}},
		"/bar prepend=foo":       {hostPath: hostPath{path: "/bar"}, treatment: treatment{prepend: "/foo"}},
		"/a proto=http":          {hostPath: hostPath{path: "/a"}},
		"/foo/bar  proto=https":  {hostPath: hostPath{path: "/foo/bar"}, treatment: treatment{transport: https}},
		"/a weight=0.2":          {hostPath: hostPath{path: "/a"}, weight: 0.2},
		"/a weight=-1":           {hostPath: hostPath{path: "/a"}},
		"/a host=dst":            {hostPath: hostPath{path: "/a"}, treatment: treatment{host: "endpoint"}},
		"/a host=web.test:80":    {hostPath: hostPath{path: "/a"}, treatment: treatment{host: "web.test:80"}},
		"/a host=[::1]":          {hostPath: hostPath{path: "/a"}, treatment: treatment{host: "[::1]"}},
		"foo/bar register=edge":  {hostPath: hostPath{host: "foo", path: "/bar"}, register: "edge"},
		"/a auth=staff":          {hostPath: hostPath{path: "/a"}, treatment: treatment{auth: "staff"}, restricted: true},
		"/a strip= auth= allow=": {hostPath: hostPath{path: "/a"}},
		"/foo/bar proto=https tlsskipverify=true": {hostPath: hostPath{path: "/foo/bar"}, treatment: treatment{transport: insecure}},
		"/my.service/Method proto=grpc":           {hostPath: hostPath{path: "/my.service/Method"}, treatment: treatment{transport: grpc}},
		"/my.service proto=grpcs":                 {hostPath: hostPath{path: "/my.service"}, treatment: treatment{transport: grpcs}},
		"/my.service proto=grpcs grpcservername=my.service": {
			hostPath: hostPath{path: "/my.service"}, treatment: treatment{transport: Transport{Protocol: "http2", TLS: true, ServerName: "my.service"}},
		},
		"/a proto=tcp proto=h2c": {hostPath: hostPath{path: "/a"}, treatment: treatment{transport: grpc}}, // the last one counts

		// What is not honoured, but may be left aside.
		"foo/bar register=name": {hostPath: hostPath{host: "foo", path: "/bar"}, ignored: []string{`register: register.consul.names of the configuration does not have "name"`}},
		"/a pxyproto=true":      {hostPath: hostPath{path: "/a"}, ignored: []string{"pxyproto: it is for TCP"}},
		"/a b c=d":              {hostPath: hostPath{path: "/a"}, ignored: []string{`"b" is not known`, `"c" is not known`}},
		"/a strip=a":            {hostPath: hostPath{path: "/a"}, ignored: []string{`strip: no path begins without "/"`}},
	} {
		got := parse("", text, false, &Options{Datacenter: "dc1", Auth: []string{"staff"}, Register: []string{"edge"}})
		if want.transport == (Transport{}) {
			want.transport = plain
		}
		if diff := cmp.Diff(want, got, options); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// Options that Fabio does not have, in tags of hopscope's own form, and in Fabio's.
func TestParseOwn(t *testing.T) {
	for option, want := range map[string]tag{
		"methods=post,GET,get":          {hostPath: hostPath{path: "/a", methods: "GET,POST"}},
		"methods=M-SEARCH":              {hostPath: hostPath{path: "/a", methods: "M-SEARCH"}},
		"retries=2":                     {treatment: treatment{limits: limits{attempts: 3}}},
		"retries=0 retry_on=5xx":        {treatment: treatment{limits: limits{attempts: 1}}},
		"retry_on=reset,5xx,reset":      {treatment: treatment{limits: limits{attempts: 2, retryOn: "5xx,reset"}}},
		"retry_on=unavailable retries=": {refused: `retries: "" is no number from 0 to 10`, treatment: treatment{limits: limits{attempts: 2, retryOn: "unavailable"}}},
		"idle_timeout=1m30s":            {treatment: treatment{limits: limits{idle: 90 * time.Second}}},
		"max_requests=200":              {treatment: treatment{limits: limits{maxRequests: 200}}},
		"body=65536":                    {treatment: treatment{limits: limits{maxBody: 65536}}},
		"body=64KiB":                    {treatment: treatment{limits: limits{maxBody: 64 << 10}}},
		"body=10MiB":                    {treatment: treatment{limits: limits{maxBody: 10 << 20}}},
		"body=1024GiB":                  {treatment: treatment{limits: limits{maxBody: 1 << 40}}},
		"cors=x":                        {ignored: []string{`"cors" is not known`}},
	} {
		want.transport, want.hostPath.path = plain, "/a"
		if diff := cmp.Diff(want, parse("", "/a "+option, true, &Options{}), options); diff != "" {
			t.Errorf("%s (-want +got):\n%s", option, diff)
		}
		fabio := tag{hostPath: hostPath{path: "/a"}, treatment: treatment{transport: plain}}
		for _, one := range strings.Fields(option) {
			name, _, _ := strings.Cut(one, "=")
			why := name + ": only tags that begin with hopscope-route= have it"
			if name == "cors" {
				why = `"cors" is not known`
			}
			fabio.ignored = append(fabio.ignored, why)
		}
		if diff := cmp.Diff(fabio, parse("", "/a "+option, false, &Options{}), options); diff != "" {
			t.Errorf("%s in a tag of Fabio's (-want +got):\n%s", option, diff)
		}
	}
}

func TestParseRefusals(t *testing.T) {
	for _, tt := range []struct {
		text, unplaced, refused string
		restricted              bool
		own                     bool // in hopscope's own form
	}{
		{text: "", unplaced: "neither host nor path"},
		{text: ":3306 proto=tcp", unplaced: "TCP routes are not served"},
		{text: ":3306 proto=tcp pxyproto=true", unplaced: "TCP routes are not served"},
		{text: ":3306", unplaced: "a port is a TCP route"},
		{text: "foo.com/ proto=tcp+sni", unplaced: "TCP routes are not served"},
		{text: "www.bar.com:80/foo redirect=302,https://www.bar.com", unplaced: "without their port"},
		{text: "www.bar.com:81/foo", unplaced: "without their port"},
		{text: "foo.com:80/ allow=ip:10.0.0.0/8", restricted: true},
		{text: "a.*/", unplaced: "is no host name"},
		{text: "*.a.*/", unplaced: "one * at its beginning"},
		{text: "a../", unplaced: "is no host name"},
		{text: "./", unplaced: "is no host name"},
		{text: "[::1/", unplaced: "no IPv6 address"},
		{text: "é.com/", unplaced: "is no host name"},
		{text: strings.Repeat("a", 64) + "/", unplaced: "is no host name"},
		{text: strings.Repeat("a.", 130) + "a/", unplaced: "is no host name"},
		{text: "/é", unplaced: "is no path"},
		{text: "/a?b", unplaced: "is no path"},
		{text: "/path redirect=304,https://www.google.com/", refused: "redirect: "},
		{text: "/path redirect=301", refused: "redirect: "},
		{text: "/path redirect=301,ftp://a/", refused: "no URL of http or https"},
		{text: "/path redirect=301,https://", refused: "has no host"},
		{text: "/path redirect=301,https://a:/", refused: "no port"},
		{text: "/path redirect=301,https://a:b/", refused: `"b" is no port`},
		{text: "/path redirect=301,https://www.$host/", refused: "only $host"},
		{text: "/path redirect=301,https://a/$path/b", refused: "only $host"},
		{text: "/path redirect=301,https://a/?b=$path", refused: "a query can't come before"},
		{text: "/path redirect=301,https://a/#b", refused: "a fragment"},
		{text: "/path redirect=301,https://é/", refused: "is no host name"},
		{text: "/a allow=ip:10.0.0.0/8,ip:fe80::/10", restricted: true},
		{text: "/a allow=ip:10.0.0.0/33", refused: "is no network", restricted: true},
		{text: "/a allow=10.0.0.0/8", refused: "is no rule for clients", restricted: true},
		{text: "/a allow=ip:10.0.0.0/8 deny=ip:10.1.0.0/16", refused: "not both", restricted: true},
		{text: "/a deny=ip:fe80::1234,100.123.0.0/16", refused: "is no rule for clients", restricted: true},
		{text: "/a auth=mybasicauth", refused: `auth: catalog.auth of the configuration has no "mybasicauth"`, restricted: true},
		{text: "/a timeout=3", refused: "is no duration"},
		{text: "/a timeout=-3s", refused: "is no duration"},
		{text: "/a weight=x auth=mybasicauth", refused: "weight:", restricted: true},
		{text: "a.*/ auth=mybasicauth", refused: "auth: catalog.auth", unplaced: "is no host name", restricted: true},
		{text: "/a weight=NaN", refused: `"NaN" is no share`},
		{text: "/a weight=+Inf", refused: `"+Inf" is no share`},
		{text: "/a weight=0.1x", refused: `"0.1x" is no share`},
		{text: "/a proto=gopher", refused: `"gopher" is none of`},
		{text: "/a prepend=/b?c", refused: "prepend:"},
		{text: "/a host=endpoint", refused: "write dst"},
		{text: "/a host=b:c", refused: `"c" is no port`},
		{text: "/a host=b/c", refused: `"b/c" is no host name`},
		{text: "/a grpcservername=*.b", refused: "is no host name"},
		{text: "/a methods=", own: true, refused: `methods: "" is no list of methods such as GET,POST`},
		{text: "/a methods=GET,,POST", own: true, refused: "is no list of methods"},
		{text: "/a methods=G?T", own: true, refused: "is no list of methods"},
		{text: "/a methods=CONNECT", own: true, refused: "is no list of methods"},
		{text: "/a retries=11", own: true, refused: `retries: "11" is no number from 0 to 10`},
		{text: "/a retries=-1", own: true, refused: "is no number"},
		{text: "/a retries=", own: true, refused: "is no number"},
		{text: "/a retry_on=5xx,always", own: true, refused: `retry_on: "always" is none of 5xx, gateway-error`},
		{text: "/a retry_on=retriable-status-codes", own: true, refused: "is none of"},
		{text: "/a idle_timeout=0s", own: true, refused: `idle_timeout: "0s" is no duration such as 3s`},
		{text: "/a idle_timeout=", own: true, refused: "is no duration"},
		{text: "/a max_requests=0", own: true, refused: `max_requests: "0" is no number from 1 to 1000000`},
		{text: "/a max_requests=1e3", own: true, refused: "is no number"},
		{text: "/a body=0", own: true, refused: `body: "0" is no number of bytes such as 65536, 64KiB or 10MiB`},
		{text: "/a body=10MB", own: true, refused: "is no number of bytes"},
		{text: "/a body=1025GiB", own: true, refused: "is no number of bytes"},
		{text: "/a body=-1", own: true, refused: "is no number of bytes"},
		{text: "/a body=18446744073709551616", own: true, refused: "is no number of bytes"},
		{text: "/a methods=? auth=staff", own: true, refused: "methods:", restricted: true},
	} {
		got := parse("", tt.text, tt.own, &Options{Auth: []string{"staff"}})
		for what, pair := range map[string][2]string{"unplaced": {got.unplaced, tt.unplaced}, "refused": {got.refused, tt.refused}} {
			if !strings.Contains(pair[0], pair[1]) || (pair[0] == "") != (pair[1] == "") {
				t.Errorf("%q: %s is %q, want %q", tt.text, what, pair[0], pair[1])
			}
		}
		if got.restricted != tt.restricted {
			t.Errorf("%q: restricted is %v", tt.text, got.restricted)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"", "/css", "foo/bar strip=/foo", "*.foo.com/ weight=0.1", ":3306 proto=tcp", "${DC}.foo/$DC/$", "[::1]:80/ host=dst",
		"/a proto=grpcs grpcservername=b allow=ip:10.0.0.0/8", "a:b/ redirect=301,https://$path auth=x", "/a host=[::1]:80 prepend=b",
		"/a methods=GET,post retries=3 retry_on=5xx,reset", "a/ idle_timeout=1m max_requests=10 body=10MiB",
	} {
		f.Add(text, "dc1")
	}
	f.Fuzz(func(t *testing.T, text, datacenter string) {
		o := &Options{Datacenter: datacenter, Auth: []string{"x"}}
		got := parse(text, text, true, o)
		for _, option := range strings.Fields(text)[min(1, len(strings.Fields(text))):] {
			if name, value, _ := strings.Cut(option, "="); value != "" && (name == "allow" || name == "deny" || name == "auth") && !(got.restricted && (got.refused != "" || got.allow+got.deny+got.auth != "")) {
				t.Errorf("%q is open to all", text)
			}
		}
		if got.unplaced != "" {
			return
		}
		if got.hostPath.path == "" || got.hostPath.path[0] != '/' || strings.ContainsAny(got.hostPath.host+got.hostPath.path+got.hostPath.methods+got.strip+got.prepend, " ?#\r\n") && got.refused == "" {
			t.Errorf("%q became %+v", text, got)
		}
		if !(got.weight >= 0 && got.weight <= maxWeight) {
			t.Errorf("%q has the weight %v", text, got.weight)
		}
		// What was understood is understood in the same way when written out.
		written := got.hostPath.host + got.hostPath.path
		if got.hostPath.methods != "" {
			written += " methods=" + got.hostPath.methods
		}
		if again := parse(text, written, true, o); again.hostPath != got.hostPath && !strings.Contains(got.hostPath.String(), "$") {
			t.Errorf("%q is %q, which is %q", text, got.hostPath, again.hostPath)
		}
	})
}
