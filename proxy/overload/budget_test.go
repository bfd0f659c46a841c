package overload

import "testing"

// TestLevels: what is done as the budget fills begins at its share of it, and nothing
// is without a limit.
func TestLevels(t *testing.T) {
	for _, tt := range []struct {
		limit, used int64
		want        Level
		excess      int64
	}{
		{0, 1 << 40, Normal, 0},
		{1000, 0, Normal, 0},
		{1000, 449, Normal, 0},
		{1000, 450, Shrink, 0},
		{1000, 600, Streams, 0},
		{1000, 699, Streams, 0},
		{1000, 700, Relieve, 100},
		{1000, 800, Connections, 200},
		{1000, 999, Connections, 399},
		{1000, 1000, Full, 400},
		{1000, 5000, Full, 4400},
	} {
		b := NewBudget()
		b.SetLimit(tt.limit)
		b.Take(int(tt.used))
		if got := b.Level(); got != tt.want {
			t.Errorf("%d of %d is level %d, want %d", tt.used, tt.limit, got, tt.want)
		}
		if got := b.Excess(); got != tt.excess {
			t.Errorf("%d of %d is %d too many, want %d", tt.used, tt.limit, got, tt.excess)
		}
	}
}

// TestAccount: who holds little is refused later than who holds much, and nobody is
// allowed anything where the budget is full.
func TestAccount(t *testing.T) {
	const limit = 16 << 20
	for _, tt := range []struct {
		name                 string
		others               int64 // hundredths of the limit
		held                 int
		allows, keeps, grows bool
	}{
		{"nobody holds much", 0, 10 << 20 / 2, true, true, true},
		{"short, and it holds little", 62, 100 << 10, true, true, false},
		{"short, and it holds much", 60, 300 << 10, false, true, false},
		{"short, and it holds very much", 60, 600 << 10, false, false, false},
		{"shorter, and it holds a stream or two", 82, 60 << 10, true, true, false},
		{"shorter, and it holds several", 82, 200 << 10, false, true, false},
		{"full", 100, 1 << 10, false, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := NewBudget()
			b.SetLimit(limit)
			var others, a Account
			others.Open(b)
			a.Open(b)
			others.Take(int(tt.others * limit / 100))
			a.Take(tt.held)
			if got := a.Allows(); got != tt.allows {
				t.Errorf("Allows() = %t at level %d, want %t", got, b.Level(), tt.allows)
			}
			if got := a.Keeps(); got != tt.keeps {
				t.Errorf("Keeps() = %t at level %d, want %t", got, b.Level(), tt.keeps)
			}
			before := b.Used()
			if got := a.Grow(1000); got != tt.grows {
				t.Errorf("Grow() = %t at level %d, want %t", got, b.Level(), tt.grows)
			} else if got != (b.Used() == before+1000) {
				t.Errorf("Grow() = %t, and %d bytes more are used", got, b.Used()-before)
			}
			a.Give(int(a.Held()))
			if got := b.Used(); got != others.Held() {
				t.Errorf("%d bytes are used once the connection has given back what it held, want %d", got, others.Held())
			}
		})
	}
}

// TestPressed: whoever frees memory is told when there is too little, and when
// something was refused.
func TestPressed(t *testing.T) {
	b := NewBudget()
	b.SetLimit(1000)
	pressed := func() bool {
		select {
		case <-b.Pressed():
			return true
		default:
			return false
		}
	}
	if b.Take(699); pressed() {
		t.Error("told while there is enough")
	}
	if b.Take(1); !pressed() {
		t.Error("not told that there is too little")
	}
	b.Give(700)
	if b.Refuse(Stream); !pressed() {
		t.Error("not told that a stream was refused")
	}
	if got := b.Refused(Stream); got != 1 {
		t.Errorf("%d streams were refused, want 1", got)
	}
}
