package exec

import (
	"sync/atomic"
	"time"
)

// A Span is a stretch of the run as it happened: which phase of the layout held
// from when to when, in nanoseconds since the start of the run.
type Span struct {
	Stage  int     // index into the plan's stages
	Phase  int     // index into the layout's phases
	Moving bool    // ramps and waits; false: the hold
	Paused bool    // nobody sends
	Drain  bool    // after the plan: only what had begun is finished
	Level  float64 // users, or arrivals per second, at its end
	Start  int64
	End    int64 // math.MaxInt64 while it lasts
}

// timeline is what has been decided of the run so far. The conductor appends a
// span ahead of its start, so that a loop that looks at any later moment finds
// every sample's phase by its due time, however late the loop is.
type timeline struct{ spans atomic.Pointer[[]Span] }

func (t *timeline) load() []Span {
	if p := t.spans.Load(); p != nil {
		return *p
	}
	return nil
}

// begin ends the span before at start, and opens the next one.
func (t *timeline) begin(s Span) {
	old := t.load()
	next := make([]Span, 0, len(old)+1)
	for _, o := range old {
		if o.Start <= s.Start { // else it was announced, and an interrupt came before it
			next = append(next, o)
		}
	}
	if n := len(next); n > 0 {
		next[n-1].End = s.Start
	}
	s.End = never
	next = append(next, s)
	t.spans.Store(&next)
}

// finish ends the last span.
func (t *timeline) finish(at int64) {
	old := t.load()
	next := append([]Span(nil), old...)
	if n := len(next); n > 0 {
		next[n-1].End = at
	}
	t.spans.Store(&next)
}

// spanAt returns the span in which an instant lies; the first one for an
// instant before it.
func spanAt(spans []Span, at int64) *Span {
	for i := len(spans) - 1; i > 0; i-- {
		if spans[i].Start <= at {
			return &spans[i]
		}
	}
	return &spans[0]
}

// Length returns how long the span lasted.
func (s Span) Length() time.Duration { return time.Duration(s.End - s.Start) }
