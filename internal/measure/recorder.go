package measure

import (
	"math"

	"tollgate/pkg/slo"
)

// maxSecond is the last second that is told apart: a week into the run. It
// bounds what an impossible time can make us allocate.
const maxSecond = 7 * 24 * 3600

const maxTime = int64(maxSecond) * 1e9

// Recorder counts what one event loop did. It belongs to that loop: it is not
// safe for concurrent use. Once every series has been seen it allocates only
// when a latency octave or a second is met for the first time.
type Recorder struct {
	layout  *Layout
	steps   int
	timeout int64

	series   []series
	tallies  []tally
	origins  []int64 // by phase, -1 until Origin
	history  history
	live     liveView
	failures failures
	lag      histogram
	clamped  uint64
	copied   *Copy // the last
}

// series is one step in one phase.
type series struct {
	planned, issued, notIssued, skipped, lost uint64

	outcomes [NumOutcomes]uint64
	in, out  uint64

	response, service, connect, ttfb, failed *histogram

	claims   []*tally
	row      int
	wantTTFB bool
}

// NewRecorder returns a recorder for one loop of a run. The layout comes from
// NewLayout, with its Timeout set.
func NewRecorder(l *Layout) *Recorder {
	if len(l.counts) != len(l.Phases)*len(l.Steps) || len(l.rowOf) != len(l.Steps) {
		panic("measure: the layout was not made by NewLayout")
	}
	r := &Recorder{
		layout:  l,
		steps:   len(l.Steps),
		timeout: l.Timeout,
		series:  make([]series, len(l.counts)),
		tallies: make([]tally, len(l.Claims)),
		origins: make([]int64, len(l.Phases)),
		history: newHistory(len(l.rows), l.Timeout),
		live:    liveView{min: math.MaxInt64},
		lag:     *newHistogram(),
	}
	for i := range r.origins {
		r.origins[i] = -1
	}
	for i := range l.Claims {
		r.tallies[i] = newTally(&l.Claims[i])
	}
	for i := range r.series {
		sr := &r.series[i]
		sr.row, sr.wantTTFB = l.rowOf[i%r.steps], l.ttfb[i]
		for _, c := range l.counts[i] {
			sr.claims = append(sr.claims, &r.tallies[c])
		}
	}
	return r
}

func (r *Recorder) at(phase, step int) *series { return &r.series[phase*r.steps+step] }

// Origin sets the start of a phase, in ns since the start of the run. It is
// called, with the same value in every loop, before anything due in the phase
// is recorded. A phase that comes up again, such as the way back from a peak,
// keeps its first start.
func (r *Recorder) Origin(phase int, at int64) {
	if r.origins[phase] >= 0 {
		return
	}
	at = min(max(at, 0), maxTime)
	r.origins[phase] = at
	for _, i := range r.layout.starts[phase] {
		if t := &r.tallies[i]; !t.started {
			t.origin, t.started = at, true
		}
	}
}

// Planned counts n requests that the plan asks for.
func (r *Recorder) Planned(phase, step int, n uint64) { r.at(phase, step).planned += n }

// Unplanned takes back one Planned: the step turned out to be skipped.
func (r *Recorder) Unplanned(phase, step int) { r.at(phase, step).planned-- }

// Issued counts a request that was taken up; a Record must follow.
func (r *Recorder) Issued(phase, step int) { r.at(phase, step).issued++ }

// Skipped counts a step whose `when` did not hold.
func (r *Recorder) Skipped(phase, step int) { r.at(phase, step).skipped++ }

// NotIssued counts an arrival due at that time (ns) which was never sent.
func (r *Recorder) NotIssued(phase, step int, due int64) {
	sr := r.at(phase, step)
	sr.notIssued++
	due = min(max(due, 0), maxTime)
	for _, t := range sr.claims {
		t.notIssued(due, r.timeout)
	}
	r.history.notIssued(sr.row, due/1e9)
	r.live.notIssued++
}

// Lost counts n issued requests whose samples are known to be gone.
func (r *Recorder) Lost(phase, step int, n uint64) {
	sr := r.at(phase, step)
	sr.lost += n
	for _, t := range sr.claims {
		t.lost += n
	}
}

// Lag counts how late the generator itself was with one request, in ns.
func (r *Recorder) Lag(ns int64) {
	ns = min(max(ns, 0), maxTime)
	us := micros(ns)
	r.lag.add(ns, us)
	r.live.late(ns, us, &r.history.pool)
}

// Failure notes how a request of a step failed, for the list of failures: its
// status if it has one, and a detail that may be empty and may point into a
// borrowed buffer. The failure itself is counted by Record.
func (r *Recorder) Failure(step int, o Outcome, status int, detail string) {
	r.failures.add(failureKind{r.layout.rowOf[step], o, status, detail}, 1)
}

// Record counts one request that has ended. The sample is not kept.
func (r *Recorder) Record(phase, step int, s *Sample) {
	if !s.possible() {
		fixed := s.clamp()
		s = &fixed
		r.clamped++
	}
	sr := r.at(phase, step)
	sr.outcomes[s.Outcome]++
	sr.in += uint64(s.In)
	sr.out += uint64(s.Out)

	var g reading
	g.read(s)
	response := g.times[slo.Response]
	us := micros(response)
	index := coarseIndex(min(us, highest))
	r.history.request(sr.row, s.Due/1e9, s.Outcome, index)
	r.live.request(s.Outcome, response, index, &r.history.pool)
	for _, t := range sr.claims {
		// Most samples are successes, and most claims count them as two numbers.
		if s.Outcome == OK && t.plain != notPlain {
			t.success(&g)
			continue
		}
		t.record(&g, r.timeout)
	}

	if s.Outcome != OK {
		if s.Outcome != Aborted {
			record(&sr.failed, response, us)
		}
		return
	}
	record(&sr.response, response, us)
	service := g.times[slo.Service]
	record(&sr.service, service, micros(service))
	if connect := g.times[slo.Connect]; connect >= 0 {
		record(&sr.connect, connect, micros(connect))
	}
	if sr.wantTTFB {
		ttfb := g.times[slo.TTFB]
		record(&sr.ttfb, ttfb, micros(ttfb))
	}
}

func record(h **histogram, ns, us int64) {
	if *h == nil {
		*h = newHistogram()
	}
	(*h).add(ns, us)
}

// read takes from a possible sample what claims need.
func (g *reading) read(s *Sample) {
	g.due, g.outcome, g.in, g.out = s.Due, s.Outcome, s.In, s.Out
	age := s.Done - s.Due
	service := age
	if s.Sent != 0 {
		service = s.Done - s.Sent
	}
	g.times = [4]int64{slo.Response: age, slo.Service: service, slo.TTFB: service, slo.Connect: -1}
	switch {
	case s.Connect > 0:
		g.times[slo.Connect] = s.Connect
	case s.Sent == 0 && !s.Reused && s.Outcome != OK:
		g.times[slo.Connect] = age // it ended while it waited for its connection
	}
	if s.Outcome == OK {
		g.times[slo.TTFB] = s.First - s.Sent
	}
}

// possible reports whether the times of a sample can be true.
func (s *Sample) possible() bool {
	switch {
	case s.Due < 0 || s.Done < s.Due || s.Done > maxTime:
		return false
	case s.Sent != 0 && (s.Sent < s.Due || s.Sent > s.Done):
		return false
	case s.First != 0 && (s.First < s.Sent || s.First > s.Done || s.Sent == 0):
		return false
	case s.Outcome == OK && s.First == 0:
		return false
	}
	return s.Connect >= 0 && s.Connect <= s.Done-s.Due && s.In >= 0 && s.Out >= 0
}

// clamp returns the nearest sample that is possible; what is unknown is taken
// for the longest it can have been.
func (s *Sample) clamp() Sample {
	c := *s
	c.Done = min(max(c.Done, 1), maxTime) // 0 would read as never sent
	c.Due = min(max(c.Due, 0), c.Done)
	if c.Sent != 0 || c.Outcome == OK {
		c.Sent = min(max(c.Sent, c.Due, 1), c.Done)
	}
	switch {
	case c.Sent == 0:
		c.First = 0
	case c.First != 0:
		c.First = min(max(c.First, c.Sent), c.Done)
	case c.Outcome == OK:
		c.First = c.Done
	}
	c.Connect = min(max(c.Connect, 0), c.Done-c.Due)
	c.In = max(c.In, 0)
	c.Out = max(c.Out, 0)
	return c
}

// Live returns what was recorded since it was last called.
func (r *Recorder) Live() Live { return r.live.drain(&r.history.pool) }

// Tail returns how many requests of a phase have ended and how many of them
// failed, set-up and aborted ones left out.
func (r *Recorder) Tail(phase int) (n, failed uint64) {
	for step := range r.steps {
		if r.layout.Steps[step].Setup {
			continue
		}
		o := &r.at(phase, step).outcomes
		n += o[OK] + failures64(o)
		failed += failures64(o)
	}
	return n, failed
}

// ClaimSlots returns a copy of what claim i has counted so far.
func (r *Recorder) ClaimSlots(i int) []slo.Slot {
	return slots(&r.layout.Claims[i], r.tallies[i].counted().Slots)
}

// failures64 sums the outcomes that are failures.
func failures64(o *[NumOutcomes]uint64) uint64 {
	var n uint64
	for outcome, count := range o {
		if Outcome(outcome) != OK && Outcome(outcome) != Aborted {
			n += count
		}
	}
	return n
}
