package upstream

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestIdleTimes: each word is something that the pool saw of an endpoint: "5" that it
// closed a connection that had been idle for 5 s, ">5" that one was open after 5 s. "|" is
// time that passes; what is not parted by it happens at one moment.
func TestIdleTimes(t *testing.T) {
	for _, c := range []struct {
		name, seen string
		want       float64 // learned, in seconds
	}{
		{"nothing", "", 0},
		{"one close", "5", 0},
		{"two closes", "5 | 5", 0},
		{"three that agree", "5 | 5 | 5", 5},
		{"the shortest of those that agree", "5.4 | 5.01 | 6", 5.01},
		{"a server that looks once a second", "5.9 | 5.2 | 5.5 | 5.1 | 5.8", 5.1},
		{"many at one moment count once", "5 5 5 5 5", 0},
		{"many at three moments", "5 5 | 5.1 5 | 5 5", 5},
		{"a restart closes all that are idle", "1 3 7 | 5 2 | 9 4", 0},
		{"a restart between", "5 | 1 3 | 5 | 5", 5},
		{"a restart that closes one", "5 | 2 | 5 | 5", 5},
		{"restarts at any time", "1 | 3 | 9 | 20 | 2 | 7 | 40", 0},
		{"closed because of the response", "0.001 | 0.002 | 0.001 | 0.09", 0},
		{"some are open for longer", "5 | 5 | >7 | 5", 0},
		{"some are open for as long", "5 | 5 | >5 | 5", 5},
		{"within the tolerance", "5 | >6.2 | 5 | 5", 5},
		{"learned, and then contradicted", "5 | 5 | 5 | >6.3", 0},
		{"the endpoint got a longer timeout", "5 | 5 | 5 | 60 | 60 | 60", 60},
		{"the endpoint got a shorter timeout", "60 | 60 | 60 | 60 | 60 | 60 | 60 | 60 | 5 | 5 | 5", 5},
		{"by the last closes", "5 | 5 | 5 | 4.9 | 4.9 | 4.9 | 4.9 | 4.9 | 5.2 | 5.2 | 5.2 | 5.2 | 5.2 | 5.2 | 5.2 | 5.2", 5.2},
		{"the third disagrees with its own moment", "5 | 5 | 5 2", 0},
		{"which disagreed already", "5 | 5 | 5 2 5 | 5", 5},
		{"long ones", "600 | 610 | 605", 600},
	} {
		var it idleTimes
		now := time.Hour
		for word := range strings.FieldsSeq(c.seen) {
			var seconds float64
			open := strings.HasPrefix(word, ">")
			if word == "|" {
				now += oneMoment
				continue
			}
			if _, err := fmt.Sscan(strings.TrimPrefix(word, ">"), &seconds); err != nil {
				t.Fatal(err)
			}
			age := time.Duration(seconds * float64(time.Second))
			if open {
				before, doubt := it, it.doubt()
				it.outlived(age)
				if (doubt == 0 || age <= doubt) && it != before {
					t.Errorf("%s: %v changed something, and is below %v", c.name, age, doubt)
				}
			} else {
				it.closed(age, now)
			}
		}
		if want := time.Duration(c.want * float64(time.Second)); it.limit != want || it.keep() != want-want/10 {
			t.Errorf("%s: learned %v, keeps for %v; want %v", c.name, it.limit, it.keep(), want)
		}
	}
}

func TestIdleTimesNear(t *testing.T) {
	var once, often idleTimes
	once.closed(5*time.Second, time.Hour)
	for i := range time.Duration(enoughCloses) {
		often.closed(5*time.Second, (i+1)*time.Hour)
	}
	for _, c := range []struct {
		age   time.Duration
		meets bool
	}{{0, false}, {4 * time.Second, false}, {4500 * time.Millisecond, true}, {5 * time.Second, true}, {6250 * time.Millisecond, true}, {7 * time.Second, false}} {
		for it, sure := range map[*idleTimes]bool{&once: false, &often: true} {
			limit, certain := it.near(c.age)
			if (limit == 5*time.Second) != c.meets || certain != (sure && c.meets) {
				t.Errorf("%v: %v, %t", c.age, limit, certain)
			}
		}
	}
}
