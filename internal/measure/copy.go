package measure

import (
	"maps"
	"slices"
)

// Copy is what a recorder held at one moment, for a journal: Delta says what
// two of them differ in. It is taken by the loop that records, so it copies
// memory and computes nothing, and shares with the copy before it what has not
// changed since. Nobody changes it; any goroutine may read it.
type Copy struct {
	layout   *Layout
	series   []series
	tallies  []tallyCopy
	origins  []int64
	failed   uint64
	failures map[failureKind]uint64
	overflow map[failureKind]uint64
	lag      *histogram
	clamped  uint64

	ring   int
	opened []point  // by cell: what it holds; second -1 for one that is not used
	added  [][]byte // of the log, since the copy before
	at     logMark  // end of added
}

// logMark is a place in a logWriter.
type logMark struct{ chunk, offset int }

// tallyCopy is a tally's slots from first on: no sample ends later than its
// deadline and a while, so what lay so far before the end of the last copy has
// long been the same.
type tallyCopy struct {
	lost   uint64
	first  int
	slots  []struct{ n, bad uint32 }
	sums   []uint64
	maxima []int64
}

// lateSlots is how many seconds beyond the deadline a slot may still change in.
const lateSlots = 16

// Copy takes a copy of all that was recorded. Where little happened since the
// last one it is cheap: some ten microseconds for each hundred rows.
func (r *Recorder) Copy() *Copy {
	last := r.copied
	if last == nil {
		last = &Copy{
			series:  make([]series, len(r.series)),
			lag:     newHistogram(),
			opened:  make([]point, len(r.history.cells)),
			tallies: make([]tallyCopy, len(r.tallies)),
		}
		for i := range last.opened {
			last.opened[i].second = -1
		}
	}
	c := &Copy{
		layout:   r.layout,
		series:   slices.Clone(r.series),
		tallies:  make([]tallyCopy, len(r.tallies)),
		origins:  slices.Clone(r.origins),
		failed:   r.failures.added,
		failures: last.failures,
		overflow: last.overflow,
		lag:      r.lag.since(last.lag),
		clamped:  r.clamped,
		ring:     r.history.ring,
		opened:   slices.Clone(last.opened),
	}
	for i := range c.series {
		now, before := &c.series[i], &last.series[i]
		now.claims = nil
		ours, theirs := now.histograms(), before.histograms()
		for k := range ours {
			*ours[k] = (*ours[k]).since(*theirs[k])
		}
	}
	for i := range r.tallies {
		before := &last.tallies[i]
		c.tallies[i] = r.tallies[i].copy(before.first + len(before.slots) - int(r.timeout/1e9) - lateSlots)
	}
	if c.failed != last.failed {
		c.failures = make(map[failureKind]uint64, len(r.failures.kept))
		for k, n := range r.failures.kept {
			c.failures[k] = n.n
		}
		c.overflow = maps.Clone(r.failures.overflow)
	}
	for i := range r.history.cells {
		now, before := &r.history.cells[i], &c.opened[i]
		if now.second != before.second || now.requests != before.requests || now.notIssued != before.notIssued {
			*before = now.point(i/c.ring, nil)
		}
	}
	c.added, c.at = r.history.log.since(last.at)
	r.copied = c
	return c
}

// histograms are the places of a series' histograms, in the order of Counts.hists.
func (s *series) histograms() [5]**histogram {
	return [5]**histogram{&s.response, &s.service, &s.connect, &s.ttfb, &s.failed}
}

// since returns a copy of h that shares with an earlier one what is the same.
func (h *histogram) since(last *histogram) *histogram {
	if h == nil || last != nil && h.count == last.count {
		return last
	}
	c := *h
	c.pages = make([]page, len(h.pages))
	c.wraps = maps.Clone(h.wraps)
	for i := range h.pages {
		if last != nil && i < len(last.pages) && h.pages[i].equal(&last.pages[i]) {
			c.pages[i] = last.pages[i]
			continue
		}
		c.pages[i] = h.pages[i].clone()
	}
	return &c
}

func (p *page) clone() page {
	switch {
	case p.narrow != nil:
		c := *p.narrow
		return page{narrow: &c}
	case p.middle != nil:
		c := *p.middle
		return page{middle: &c}
	}
	c := *p.wide
	return page{wide: &c}
}

func (p *page) equal(o *page) bool {
	switch {
	case p.narrow != nil:
		return o.narrow != nil && *p.narrow == *o.narrow
	case p.middle != nil:
		return o.middle != nil && *p.middle == *o.middle
	}
	return o.wide != nil && *p.wide == *o.wide
}

// copy copies the slots from first on.
func (t *tally) copy(first int) tallyCopy {
	first = max(0, first)
	c := tallyCopy{lost: t.lost, first: first, slots: slices.Clone(t.slots[first:])}
	if t.sums != nil {
		c.sums = slices.Clone(t.sums[first:])
	}
	if t.maxima != nil {
		c.maxima = slices.Clone(t.maxima[first:])
	}
	return c
}

// since returns what was written after a mark, and the mark of its end. The
// bytes are shared: the writer only ever writes behind them.
func (w *logWriter) since(from logMark) (added [][]byte, to logMark) {
	for i := from.chunk; i < len(w.chunks); i++ {
		chunk := w.chunks[i]
		if i == from.chunk {
			chunk = chunk[from.offset:]
		}
		if len(chunk) > 0 {
			added = append(added, chunk[:len(chunk):len(chunk)])
		}
		to = logMark{i, len(w.chunks[i])}
	}
	return added, to
}
