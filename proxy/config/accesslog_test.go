package config

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/telemetry/accesslog"
)

// The fields that can be chosen are those of the default line.
func TestFieldsOfTheAccessLog(t *testing.T) {
	for _, k := range keysOf(reflect.TypeFor[AccessLogTo]()) {
		if k.name == "fields" {
			if d := cmp.Diff(accesslog.FieldNames(), k.enum); d != "" {
				t.Error(d)
			}
		}
	}
}
