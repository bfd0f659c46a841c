package resource

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestResource(t *testing.T) {
	r := New("web", Options{Version: "1.2.3", HostName: "node-1", Attributes: map[string]string{
		"deployment.environment.name": "prod", "host.name": "given", "bad": "\xff", "empty": "",
		"service.name": "other", "telemetry.sdk.name": "other",
	}})
	got := map[string]string{}
	for _, a := range r.Attributes {
		if _, twice := got[a.Key]; twice {
			t.Errorf("%s comes twice", a.Key)
		}
		got[a.Key] = a.Value.GetStringValue()
	}
	want := map[string]string{
		"service.name": "web", "host.name": "given", "deployment.environment.name": "prod", "bad": "\uFFFD",
		"telemetry.sdk.name": "hopscope", "telemetry.sdk.language": "go", "telemetry.sdk.version": "1.2.3",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
}
