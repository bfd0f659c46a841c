package cmd

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/words"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"UF"}, []string{"UF (flag): the connection to the endpoint could not be made\n", "1. Nothing listens", "look next at:\n    - The address",
			"- connect_refused: the endpoint refused the connection\n      UF, 503, connection_refused, upstream_reset_before_response_started{connection_refused}\n"}},
		{[]string{"uc,urx"}, []string{"UC (flag)", "URX (flag)"}},
		{[]string{"connection_refused"}, []string{"connection_refused (error type)", "Nothing listens at the address"}},
		{[]string{"connect_refused"}, []string{"connect_refused (kind): the endpoint refused the connection\n", "Nothing listens at the address"}},
		{[]string{"client_closed"}, []string{"client_closed (kind)", "The client has a shorter timeout.", "DC, no answer, downstream_remote_disconnect\n"}},
		{[]string{"upstream_tls_error{certificate_expired}"}, []string{"cert_expired (kind)"}},
		{[]string{"draining", "LR"}, []string{"draining (kind)", "LR (flag)"}},
		{[]string{"via_upstream"}, []string{"via_upstream (word)"}},
		{nil, []string{"Response flags\n  UH ", "\n  tls_alert_received ", "\n  cert_expired ", "\n  error_response "}},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var b strings.Builder
			if err := explainWords(&b, tt.args, false); err != nil {
				t.Error(err)
			}
			for _, want := range tt.want {
				if strings.Count(b.String(), want) != 1 {
					t.Errorf("%q is not there once:\n%s", want, b.String())
				}
			}
		})
	}
}

func TestExplainUnknownWords(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{
		"UFF":                `nothing is called "UFF"; did you mean UF`,
		"conect_refused":     "did you mean connect_refused, ",
		"refused":            "did you mean connection_refused, connect_refused, upstream_refused?",
		"":                   "hopscope explain lists all words",
		"complete-nonsense!": `nothing is called "complete-nonsense!"; hopscope explain lists all words`,
	} {
		var b strings.Builder
		err := explainWords(&b, []string{arg, "UF"}, false)
		if _, ok := errors.AsType[unknownWords](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", arg, err, want)
		}
		if !strings.HasPrefix(b.String(), "UF (flag)") {
			t.Errorf("%q: the word that is known is not explained:\n%s", arg, b.String())
		}
	}
}

func TestExplainAsJSON(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := explainWords(&b, []string{"no_healthy"}, true); err != nil {
		t.Fatal(err)
	}
	var got []explanation
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Type != "kind" || got[0].Failures[0].Status != 503 || got[0].Failures[0].Flag != "UH" || len(got[0].Causes) == 0 {
		t.Errorf("%+v in %s", got, b.String())
	}
	b.Reset()
	if err := explainWords(&b, nil, true); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	if want := len(hop.All()) + len(words.ErrorTypes()) + len(fault.All()) + len(words.Terms()); len(got) != want {
		t.Errorf("%d words, want %d", len(got), want)
	}
}
