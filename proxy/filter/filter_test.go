package filter_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/hopscope/hopscope/proxy/filter"
)

// The first filter is the outermost, and each may answer in the others' place.
func TestChain(t *testing.T) {
	var calls []string
	refuse := errors.New("refused")
	note := func(name string, answer error) filter.Filter {
		return func(next filter.Handler) filter.Handler {
			return func(x *filter.Exchange) error {
				calls = append(calls, name)
				defer func() { calls = append(calls, "/"+name) }()
				if answer != nil {
					return answer
				}
				return next(x)
			}
		}
	}
	last := func(*filter.Exchange) error {
		calls = append(calls, "last")
		return nil
	}
	for _, tt := range []struct {
		filters []filter.Filter
		err     error
		want    []string
	}{
		{nil, nil, []string{"last"}},
		{[]filter.Filter{note("a", nil), note("b", nil)}, nil, []string{"a", "b", "last", "/b", "/a"}},
		{[]filter.Filter{note("a", nil), note("b", refuse), note("c", nil)}, refuse, []string{"a", "b", "/b", "/a"}},
	} {
		calls = nil
		if err := filter.Chain(last, tt.filters...)(&filter.Exchange{}); err != tt.err || !slices.Equal(calls, tt.want) {
			t.Errorf("%v, %v; want %v, %v", calls, err, tt.want, tt.err)
		}
	}
}
