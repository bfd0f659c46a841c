package admin

import (
	"encoding/json"
	"testing"
)

// TestWords: each word is there once, and is explained in plain text.
func TestWords(t *testing.T) {
	f := newFixture(t, nil)
	var all []word
	if err := json.Unmarshal([]byte(f.do("GET", "/v1/words").body), &all); err != nil {
		t.Fatal(err)
	}
	seen := map[[2]string]bool{}
	kinds := map[string]int{}
	for _, w := range all {
		if w.Name == "" || w.Title == "" || seen[[2]string{w.Kind, w.Name}] || w.Kind != "kind" && (w.Text == "" || w.Remedy == "") {
			t.Errorf("%+v", w)
		}
		seen[[2]string{w.Kind, w.Name}] = true
		kinds[w.Kind]++
	}
	if !seen[[2]string{"flag", "UF"}] || !seen[[2]string{"kind", "connect_refused"}] || !seen[[2]string{"event", "reload"}] || len(kinds) != 5 {
		t.Errorf("%v", kinds)
	}
}
