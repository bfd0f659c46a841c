package resources_test

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/resources"
)

// No key of the configuration can change without a difference: a reload would not see
// it.
func TestEveryKeyMakesADifference(t *testing.T) {
	build := func() *config.Config {
		var c config.Config
		fill(reflect.ValueOf(&c).Elem())
		return &c
	}
	if !resources.Diff(resources.FromConfig(build()), resources.FromConfig(build())).None() {
		t.Fatal("two equal configurations differ")
	}
	keys := 0
	for ; ; keys++ {
		c, n := build(), keys
		path, ok := change(reflect.ValueOf(c).Elem(), "", &n)
		if !ok {
			break
		}
		if resources.Diff(resources.FromConfig(build()), resources.FromConfig(c)).None() {
			t.Errorf("a change of %s makes no difference", path)
		}
	}
	if keys < 200 {
		t.Errorf("only %d keys were found", keys)
	}
}

// fill sets all that a value holds to something that is not zero.
func fill(v reflect.Value) {
	switch v.Interface().(type) {
	case netip.Prefix:
		v.Set(reflect.ValueOf(netip.MustParsePrefix("10.0.0.0/8")))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		elem := reflect.New(v.Type().Elem()).Elem()
		fill(elem)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("name"), elem)
	default:
		set(v, "consul", 1, true)
	}
}

// change changes the n-th of the scalars that a value holds, and returns where that
// is; false if there are fewer.
func change(v reflect.Value, path string, n *int) (string, bool) {
	_, network := v.Interface().(netip.Prefix)
	switch {
	case network, v.Kind() == reflect.String, v.Kind() == reflect.Bool, v.CanInt(), v.CanFloat():
		*n--
		if *n >= 0 {
			return "", false
		}
		if network {
			v.Set(reflect.ValueOf(netip.MustParsePrefix("192.0.2.0/24")))
		} else {
			set(v, "other", 2, false)
		}
		return path, true
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() {
				continue
			}
			if at, ok := change(v.Field(i), path+"."+v.Type().Field(i).Name, n); ok {
				return at, true
			}
		}
	case v.Kind() == reflect.Pointer:
		return change(v.Elem(), path, n)
	case v.Kind() == reflect.Slice:
		return change(v.Index(0), path+"[0]", n)
	case v.Kind() == reflect.Map:
		name := reflect.ValueOf("name")
		elem := reflect.New(v.Type().Elem()).Elem()
		elem.Set(v.MapIndex(name))
		at, ok := change(elem, path+".name", n)
		v.SetMapIndex(name, elem)
		return at, ok
	}
	return "", false
}

func set(v reflect.Value, text string, number int, is bool) {
	switch {
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		v.SetBool(is)
	case v.CanInt():
		v.SetInt(int64(time.Duration(number)))
	case v.CanFloat():
		v.SetFloat(float64(number))
	}
}
