package convert_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/convert"
)

// A cluster never trusts more than the servers of the original do.
func TestHAProxyServerTLS(t *testing.T) {
	const verified = " ssl verify required ca-file ca.pem"
	for _, tt := range []struct {
		a, b  string // options of the servers
		there bool   // the cluster is
		min   string // of the versions
		says  string // empty if there is no note
	}{
		{verified + " verifyhost x.test", verified + " verifyhost x.test", true, "1.2", ""},
		{verified + " verifyhost x.test ssl-min-ver TLSv1.3", verified + " verifyhost x.test ssl-min-ver TLSv1.3", true, "1.3", ""},
		{verified + " sni str(x.test) force-tlsv13", verified + " sni str(x.test) force-tlsv13", true, "1.3", ""},
		{verified + " sni str(x.test) ssl-min-ver TLSv1.1", verified + " sni str(x.test) ssl-min-ver TLSv1.1", true, "1.2", "1.2 and 1.3"},
		{" ssl verify none", " ssl verify none", true, "1.2", ""},
		{" ssl verify none", verified, false, "", "verify: all endpoints"},
		{verified, verified + " crl-file crl.pem", false, "", "crl-file: all endpoints"},
		{verified, " ssl verify required ca-file other.pem", false, "", "ca-file: all endpoints"},
		{" ssl verify none", " ssl verify none ssl-min-ver TLSv1.3", false, "", "ssl-min-ver: all endpoints"},
		{" ssl verify none", "", false, "", "ssl: all endpoints"},
		{" proto h2", "", true, "", "speak what the first one does"},
	} {
		t.Run(tt.a+","+tt.b, func(t *testing.T) {
			r, err := convert.HAProxy("haproxy.cfg", fmt.Appendf(nil, "defaults\n mode http\n maxconn 1000\nfrontend f\n bind :80\n default_backend b\nbackend b\n server a 127.0.0.1:1%s\n server b 127.0.0.1:2%s\n", tt.a, tt.b))
			if err != nil {
				t.Fatal(err)
			}
			c, there := r.Config.Clusters["b"]
			if there != tt.there {
				t.Fatalf("the cluster is there: %v\n%s", there, r.YAML)
			}
			if there && tt.min != "" && c.TLS.MinVersion != tt.min {
				t.Errorf("min_version %s, want %s", c.TLS.MinVersion, tt.min)
			}
			got := whys(r)
			if told := slices.ContainsFunc(got, func(why string) bool { return strings.Contains(why, tt.says) }); tt.says == "" && len(got) > 0 || tt.says != "" && !told {
				t.Errorf("notes %q, want one with %q", got, tt.says)
			}
		})
	}
}

// Servers that are marked down by their errors become outliers.
func TestHAProxyObserve(t *testing.T) {
	for _, tt := range []struct {
		options            string
		consecutive, local int // of outlier; 0 if there is none
		says               string
	}{
		{" observe layer7 error-limit 5 on-error mark-down", 5, 5, "every endpoint is watched so"},
		{" observe layer7 on-error mark-down", 10, 5, "every endpoint is watched so"},
		{" observe layer4 error-limit 3 on-error mark-down", 0, 3, "every endpoint is watched so"},
		{" observe layer7", 0, 0, "without on-error mark-down"},
		{" on-marked-down shutdown-sessions", 0, 0, "no such option"},
		{"", 0, 0, ""},
	} {
		r := haproxyWith(t, "", tt.options)
		consecutive, local := 0, 0
		if o := r.Config.Clusters["b"].Outlier; o != nil {
			consecutive, local = o.Consecutive5xx, o.ConsecutiveLocalOrigin
		}
		got := whys(r)
		if consecutive != tt.consecutive || local != tt.local || tt.says == "" && len(got) > 0 || tt.says != "" && (len(got) != 1 || !strings.Contains(got[0], tt.says)) {
			t.Errorf("%s: %d, %d, notes %q", tt.options, consecutive, local, got)
		}
	}
}
