package accesslog

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// reportEvery is the time between two reports while lines are lost.
const reportEvery = time.Minute

// losses counts lost lines, and reports them: at the beginning, every minute while it
// lasts, and at the end. Each report has the sum, and the number for each reason.
type losses struct {
	log  *slog.Logger
	full atomic.Uint64 // dropped because the buffer was full
	cut  atomic.Uint64 // lost by a write that failed

	fuller chan struct{} // one token: lines were dropped since the last report

	mu                sync.Mutex
	saidFull, saidCut time.Time // when each was last reported
	ailing            bool      // the end of the losses is still to be reported
}

func (l *losses) init(log *slog.Logger) {
	l.log, l.fuller = log, make(chan struct{}, 1)
}

// drop counts a line that found the buffer full. It never waits.
func (l *losses) drop() {
	l.full.Add(1)
	select {
	case l.fuller <- struct{}{}:
	default:
	}
}

// watch reports drops until quit is closed. It runs in its own goroutine: the writer may
// be stuck, and the goroutine that drops lines must not wait for the log's handler.
func (l *losses) watch(quit <-chan struct{}) {
	for {
		select {
		case <-l.fuller:
			l.report(&l.saidFull, "lines of the access log are dropped: it can't be written as fast as they come")
		case <-quit:
			return
		}
		timer := time.NewTimer(pause) // limits how often drops are checked
		select {
		case <-timer.C:
		case <-quit:
			timer.Stop()
			return
		}
	}
}

// fail counts lines that a write lost, and reports why.
func (l *losses) fail(lines int, err error) {
	l.cut.Add(uint64(lines))
	l.report(&l.saidCut, "the access log can't be written; lines are lost until it can", "error", err)
}

// report logs that lines are lost, at most once in reportEvery for each reason.
func (l *losses) report(said *time.Time, what string, attributes ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(*said) >= reportEvery {
		*said, l.ailing = now, true
		l.log.Error(what, append(attributes, l.counts()...)...)
	}
}

// over logs that no more lines are lost, if some were lost.
func (l *losses) over(level slog.Level, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ailing {
		l.ailing = false
		l.log.Log(context.Background(), level, what, l.counts()...)
	}
}

// counts returns the attributes of a report.
func (l *losses) counts() []any {
	full, cut := l.full.Load(), l.cut.Load()
	return []any{"lines_lost", full + cut, "buffer_full", full, "write_error", cut}
}
