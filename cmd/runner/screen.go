package main

import (
	"fmt"
	"time"

	"tollgate/pkg/exec"
)

// A screen shows a run while it goes on: on a terminal as a picture that is
// redrawn in place, elsewhere as a line every few seconds. Drawing happens on
// a goroutine of its own, so that a terminal that is held up never holds up
// the load.
type screen struct {
	canvas  *canvas
	live    bool // redrawn in place
	color   bool
	tracker *tracker

	views chan view // the newest, at most
	quit  chan struct{}
	ended chan struct{}
}

// lineEvery is the time from one plain line to the next.
const lineEvery = 5 * time.Second

// newScreen begins to show a run. The caller must Close it.
func newScreen(c *canvas, p *exec.Plan, live, color bool) *screen {
	s := &screen{
		canvas: c, live: live, color: color, tracker: newTracker(p),
		views: make(chan view, 1), quit: make(chan struct{}), ended: make(chan struct{}),
	}
	go s.show()
	return s
}

// take adds a reading, once a second. It never blocks.
func (s *screen) take(p exec.Progress, stopping bool) {
	v := s.tracker.take(p, stopping)
	select {
	case <-s.views: // one that was not drawn is out of date
	default:
	}
	s.views <- v
}

// show draws views until the screen is closed.
func (s *screen) show() {
	defer close(s.ended)
	var last view
	for {
		select {
		case <-s.quit:
			return
		case v := <-s.views:
			if s.live {
				width, height := s.canvas.out.size()
				s.canvas.draw(frame(&v, width-1), width, height, s.color)
				continue
			}
			if worthALine(&last, &v) {
				last = v
				fmt.Fprintln(s.canvas.out, plainLine(&v))
			}
		}
	}
}

// worthALine reports whether a log wants to know: every few seconds, and when
// something has begun. Readings come a little early or late.
func worthALine(last, v *view) bool {
	const slack = 500 * time.Millisecond
	return last.title == "" || v.progress.Stage != last.progress.Stage || v.stopping != last.stopping ||
		v.progress.Elapsed-last.progress.Elapsed >= lineEvery-slack
}

// Close ends the drawing and gives the terminal back.
func (s *screen) Close() {
	close(s.quit)
	patience := time.NewTimer(lingers)
	defer patience.Stop()
	select {
	case <-s.ended:
	case <-patience.C: // nobody reads what is being drawn
	}
	s.canvas.wipe()
}
