package measure

import (
	"errors"
	"fmt"
	"slices"
)

// Snapshot is everything that was recorded, as plain data. Snapshots of the
// same run merge exactly: however its samples were spread over loops and
// machines, the merged snapshot is the same to the last bit. Its exported
// fields are all there is.
type Snapshot struct {
	Layout   *Layout
	Series   []Counts     // at phase*len(Steps)+step
	Claims   []ClaimCount // as in the layout
	Origins  []int64      // start of each phase in ns, -1 if it did not begin
	Failures []Failure    // most frequent first
	Lag      Hist         // of the generator itself
	Clamped  uint64       // samples with impossible times
	Log      []byte       // canonical log of seconds; see Timeline
}

// Counts is what one series counted.
type Counts struct {
	Planned, Issued, NotIssued, Skipped uint64

	Outcomes [NumOutcomes]uint64
	// Lost are issued requests whose samples are gone.
	Lost              uint64
	BytesIn, BytesOut uint64

	Response Hist // of successes
	Service  Hist // of successes
	Connect  Hist // of successes that needed a connection
	TTFB     Hist // of successes, where a claim asks for it
	Failed   Hist // ages of failures
}

// Failures returns how many requests failed; aborted ones are not known to have.
func (c *Counts) Failures() uint64 { return failures64(&c.Outcomes) }

func (c *Counts) merge(o *Counts) {
	c.Planned += o.Planned
	c.Issued += o.Issued
	c.NotIssued += o.NotIssued
	c.Skipped += o.Skipped
	for i, n := range o.Outcomes {
		c.Outcomes[i] += n
	}
	c.Lost += o.Lost
	c.BytesIn += o.BytesIn
	c.BytesOut += o.BytesOut
	for i, h := range c.hists() {
		h.Merge(o.hists()[i])
	}
}

func (c *Counts) hists() [5]*Hist {
	return [5]*Hist{&c.Response, &c.Service, &c.Connect, &c.TTFB, &c.Failed}
}

// Snapshot copies all that was recorded. It takes milliseconds: for the screen
// there is Live.
func (r *Recorder) Snapshot() *Snapshot { return r.snapshot(false) }

// End is the Snapshot of a recorder that nothing is recorded in any more. What
// has been copied is let go of, so that the end of a run takes little more
// memory than the run; the recorder must not be used again.
func (r *Recorder) End() *Snapshot { return r.snapshot(true) }

func (r *Recorder) snapshot(last bool) *Snapshot {
	s := &Snapshot{
		Layout:   r.layout,
		Series:   make([]Counts, len(r.series)),
		Claims:   make([]ClaimCount, len(r.tallies)),
		Origins:  slices.Clone(r.origins),
		Failures: r.failures.list(r.layout.rows),
		Clamped:  r.clamped,
		Log:      r.history.canonical(),
	}
	if last {
		r.history, r.live, r.copied = history{}, liveView{}, nil
	}
	var scratch []byte
	read := func(h *histogram) (out Hist) {
		out, scratch = h.hist(scratch)
		return out
	}
	s.Lag = read(&r.lag)
	for i := range r.series {
		sr := &r.series[i]
		s.Series[i] = Counts{
			Planned: sr.planned, Issued: sr.issued, NotIssued: sr.notIssued, Skipped: sr.skipped,
			Outcomes: sr.outcomes, Lost: sr.lost, BytesIn: sr.in, BytesOut: sr.out,
			Response: read(sr.response), Service: read(sr.service), Connect: read(sr.connect),
			TTFB: read(sr.ttfb), Failed: read(sr.failed),
		}
		if last {
			sr.response, sr.service, sr.connect, sr.ttfb, sr.failed = nil, nil, nil, nil, nil
		}
	}
	for i := range r.tallies {
		s.Claims[i] = r.tallies[i].counted()
	}
	return s
}

// Merge adds snapshots of the same run into a new one. It is exact, and
// independent of order and grouping. It refuses snapshots of different layouts
// and malformed ones. What only one of them has, such as the packed buckets of a
// series that one loop alone recorded, is shared with it.
func Merge(a ...*Snapshot) (*Snapshot, error) {
	if len(a) == 0 {
		return nil, errors.New("no snapshots to merge")
	}
	for i, s := range a {
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("snapshot %d: %w", i+1, err)
		}
		if !s.Layout.same(a[0].Layout) {
			return nil, fmt.Errorf("snapshot %d is of another run than snapshot 1: their steps, phases, claims or timeout differ", i+1)
		}
	}
	l := a[0].Layout
	rows, _ := rowsOf(l.Steps)
	out := &Snapshot{
		Layout:  l,
		Series:  make([]Counts, len(a[0].Series)),
		Claims:  make([]ClaimCount, len(a[0].Claims)),
		Origins: slices.Clone(a[0].Origins),
	}
	var merged failures
	var points []point
	for _, s := range a {
		for i := range s.Series {
			out.Series[i].merge(&s.Series[i])
		}
		for i := range s.Claims {
			out.Claims[i].merge(&s.Claims[i])
		}
		for i, at := range s.Origins {
			if out.Origins[i] < 0 || at >= 0 && at < out.Origins[i] {
				out.Origins[i] = at
			}
		}
		out.Lag.Merge(&s.Lag)
		out.Clamped += s.Clamped
		points = appendPoints(points, s.Log)
		for _, f := range s.Failures {
			k := failureKind{slices.Index(rows, rowKey{f.Row, f.Method, f.Setup}), f.Outcome, f.Status, f.Message}
			if f.Overflow {
				merged.overflowed(k, f.Count)
				continue
			}
			merged.add(k, f.Count)
		}
	}
	out.Failures = merged.list(rows)
	if len(a) == 1 && canonical(points) {
		out.Log = a[0].Log
	} else {
		out.Log = encodePoints(points)
	}
	return out, nil
}

func (c *ClaimCount) merge(o *ClaimCount) {
	for len(c.Slots) < len(o.Slots) {
		c.Slots = append(c.Slots, SlotCount{})
	}
	for i := range o.Slots {
		c.Slots[i].merge(o.Slots[i])
	}
	c.Lost += o.Lost
}

// check reports what makes a snapshot from elsewhere unusable.
func (s *Snapshot) check() error {
	if s == nil || s.Layout == nil {
		return errors.New("it is empty")
	}
	l := s.Layout
	switch {
	case len(s.Series) != len(l.Phases)*len(l.Steps):
		return fmt.Errorf("%d series where the layout has %d", len(s.Series), len(l.Phases)*len(l.Steps))
	case len(s.Claims) != len(l.Claims):
		return fmt.Errorf("%d claims where the layout has %d", len(s.Claims), len(l.Claims))
	case len(s.Origins) != len(l.Phases):
		return fmt.Errorf("%d phase starts where the layout has %d", len(s.Origins), len(l.Phases))
	}
	for i := range s.Series {
		for _, h := range s.Series[i].hists() {
			if err := h.check(); err != nil {
				return fmt.Errorf("%s: %w", l.seriesName(i), err)
			}
		}
	}
	for i := range s.Claims {
		if len(s.Claims[i].Slots) > maxSecond+1 {
			return fmt.Errorf("claim %q has %d slots", l.Claims[i].Objective.Text, len(s.Claims[i].Slots))
		}
	}
	if err := s.Lag.check(); err != nil {
		return fmt.Errorf("lag: %w", err)
	}
	rows, _ := rowsOf(l.Steps)
	for _, f := range s.Failures {
		if f.Outcome >= NumOutcomes || !slices.Contains(rows, rowKey{f.Row, f.Method, f.Setup}) {
			return fmt.Errorf("a failure of unknown row %q or outcome %d", f.Row, f.Outcome)
		}
	}
	_, err := decodeLog(s.Log, len(rows))
	return err
}

// Check asserts the accounting identity of a run that has ended, in every
// series: planned = issued + not issued, and issued = ok + failed + aborted +
// lost. The error names each series that does not add up, with its numbers.
func (s *Snapshot) Check() error {
	var faults []error
	for i := range s.Series {
		c := &s.Series[i]
		if c.Planned != c.Issued+c.NotIssued {
			faults = append(faults, fmt.Errorf("%s: planned %d is not issued %d + not issued %d",
				s.Layout.seriesName(i), c.Planned, c.Issued, c.NotIssued))
		}
		ok, failed, aborted := c.Outcomes[OK], c.Failures(), c.Outcomes[Aborted]
		if c.Issued != ok+failed+aborted+c.Lost {
			faults = append(faults, fmt.Errorf("%s: issued %d is not ok %d + failed %d + aborted %d + lost %d",
				s.Layout.seriesName(i), c.Issued, ok, failed, aborted, c.Lost))
		}
	}
	return errors.Join(faults...)
}

// seriesName names a series for people.
func (l *Layout) seriesName(i int) string {
	phase, step := l.Phases[i/len(l.Steps)], l.Steps[i%len(l.Steps)]
	part := "hold"
	if phase.Moving {
		part = "moving part"
	}
	return fmt.Sprintf("stage %s (%s), %s/%s, %s %q", phase.Stage, part, step.Persona, step.Task, step.Method, step.Name)
}
