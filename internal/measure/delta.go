package measure

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// A delta is what two copies of one recorder differ in: varints, signed where
// a count can be taken back.
//
//	clamped, origins, then
//	series that changed: index + 1, counters, histograms; 0
//	claims that changed: index + 1, lost, slots; 0
//	failures, each with its row; the lag; points of the log
//
// Histograms are coarse: a journal has one of each series for each second.

// AppendDelta appends what c differs in from the copy before it, nil for none.
// text replaces each message, so that secrets do not travel.
func (c *Copy) AppendDelta(dst []byte, last *Copy, text func(string) string) []byte {
	if last == nil {
		last = &Copy{
			series: make([]series, len(c.series)), tallies: make([]tallyCopy, len(c.tallies)), opened: make([]point, len(c.opened)),
		}
		for i := range last.opened {
			last.opened[i].second = -1
		}
	}
	dst = binary.AppendUvarint(dst, c.clamped-last.clamped)
	for _, at := range c.origins {
		dst = binary.AppendVarint(dst, at)
	}
	for i := range c.series {
		dst = appendSeries(dst, i, &c.series[i], &last.series[i])
	}
	dst = binary.AppendUvarint(dst, 0)
	for i := range c.tallies {
		dst = appendTally(dst, i, &c.tallies[i], &last.tallies[i])
	}
	dst = binary.AppendUvarint(dst, 0)
	dst = c.appendFailures(dst, last, text)
	dst = appendHist(dst, c.lag.difference(last.lag))
	return c.appendPoints(dst, last)
}

// counters are the counters of a series, in the order of a delta.
func (s *series) counters() []*uint64 {
	out := []*uint64{&s.planned, &s.issued, &s.notIssued, &s.skipped, &s.lost, &s.in, &s.out}
	for i := range s.outcomes {
		out = append(out, &s.outcomes[i])
	}
	return out
}

func (c *Counts) counters() []*uint64 {
	out := []*uint64{&c.Planned, &c.Issued, &c.NotIssued, &c.Skipped, &c.Lost, &c.BytesIn, &c.BytesOut}
	for i := range c.Outcomes {
		out = append(out, &c.Outcomes[i])
	}
	return out
}

func appendSeries(dst []byte, i int, now, last *series) []byte {
	ours, theirs := now.counters(), last.counters()
	same := true
	for k := range ours {
		same = same && *ours[k] == *theirs[k]
	}
	if same { // whatever a histogram counts is an outcome
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(i)+1)
	for k := range ours {
		dst = binary.AppendVarint(dst, int64(*ours[k]-*theirs[k]))
	}
	hists, before := now.histograms(), last.histograms()
	for k := range hists {
		dst = appendHist(dst, (*hists[k]).difference(*before[k]))
	}
	return dst
}

// difference returns what h holds more than an earlier copy of it. Its extremes
// are those of h: they merge as well.
func (h *histogram) difference(last *histogram) Hist {
	if h == nil || h.count == 0 || h == last {
		return Hist{}
	}
	if last == nil {
		last = newHistogram()
	}
	var out packer
	for p, slot := range h.slots {
		if slot == 0 {
			continue
		}
		now, before := &h.pages[slot-1], page{}
		if had := last.slots[p]; had != 0 {
			before = last.pages[had-1]
		}
		if *now == before {
			continue
		}
		for i := range 1 << pageBits {
			index := p<<pageBits + i
			count := uint64(now.at(i)) + h.wraps[index]<<32
			if before != (page{}) {
				count -= uint64(before.at(i)) + last.wraps[index]<<32
			}
			if count > 0 {
				out.add(Bucket{uint32(index), count})
			}
		}
	}
	return Hist{
		Packed: coarsen(out.packed), Coarse: true, Count: h.count - last.count, Sum: h.sum - last.sum,
		Min: h.min, Max: h.max, Clamped: h.clamped - last.clamped,
	}
}

func appendHist(dst []byte, h Hist) []byte {
	dst = binary.AppendUvarint(dst, h.Count)
	if h.Count == 0 {
		return dst
	}
	dst = binary.AppendUvarint(dst, h.Sum)
	dst = binary.AppendUvarint(dst, uint64(h.Min))
	dst = binary.AppendUvarint(dst, uint64(h.Max))
	dst = binary.AppendUvarint(dst, h.Clamped)
	dst = binary.AppendUvarint(dst, uint64(len(h.Packed)))
	return append(dst, h.Packed...)
}

func appendTally(dst []byte, i int, now, last *tallyCopy) []byte {
	var changed []int
	for k, s := range now.slots {
		if before, _ := last.at(now.first + k); before.N != uint64(s.n) {
			changed = append(changed, now.first+k)
		}
	}
	if len(changed) == 0 && now.lost == last.lost {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(i)+1)
	dst = binary.AppendUvarint(dst, now.lost-last.lost)
	dst = binary.AppendUvarint(dst, uint64(len(changed)))
	for _, k := range changed {
		s, _ := now.at(k)
		before, _ := last.at(k)
		dst = binary.AppendUvarint(dst, uint64(k))
		dst = binary.AppendUvarint(dst, s.N-before.N)
		dst = binary.AppendUvarint(dst, s.Bad-before.Bad)
		dst = binary.AppendUvarint(dst, s.Sum-before.Sum)
		dst = binary.AppendUvarint(dst, uint64(s.Max))
	}
	return dst
}

// at returns slot k as it was, zero for one that did not exist.
func (t *tallyCopy) at(k int) (SlotCount, bool) {
	k -= t.first
	if k < 0 || k >= len(t.slots) {
		return SlotCount{}, false
	}
	out := SlotCount{N: uint64(t.slots[k].n), Bad: uint64(t.slots[k].bad)}
	if t.sums != nil {
		out.Sum = t.sums[k]
	}
	if t.maxima != nil {
		out.Max = t.maxima[k]
	}
	return out, true
}

// appendFailures writes kinds whose count changed. One that had to make room is
// taken back: its count is in the overflow now.
func (c *Copy) appendFailures(dst []byte, last *Copy, text func(string) string) []byte {
	var body []byte
	n := uint64(0)
	put := func(k failureKind, overflow bool, more uint64) {
		if more == 0 {
			return
		}
		n++
		body = binary.AppendUvarint(body, uint64(k.row)<<1|bit(overflow))
		body = binary.AppendUvarint(body, uint64(k.outcome))
		body = binary.AppendVarint(body, int64(k.status))
		message := text(k.message)
		body = binary.AppendUvarint(body, uint64(len(message)))
		body = append(body, message...)
		body = binary.AppendVarint(body, int64(more))
	}
	if c.failed != last.failed {
		for k, count := range c.failures {
			put(k, false, count-last.failures[k])
		}
		for k, count := range last.failures {
			if _, kept := c.failures[k]; !kept {
				put(k, false, -count)
			}
		}
		for k, count := range c.overflow {
			put(k, true, count-last.overflow[k])
		}
	}
	return append(binary.AppendUvarint(dst, n), body...)
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// appendPoints writes what the log and the open seconds hold more. A second
// that was open in the last copy has been told in part; when it went into the
// log since, it did so before whatever came late for it.
func (c *Copy) appendPoints(dst []byte, last *Copy) []byte {
	var out []byte
	told := slices.Clone(last.opened)
	put := func(row int, p point, cell int) {
		if before := &told[cell]; before.second == p.second {
			p.requests -= before.requests
			p.failures -= before.failures
			p.notIssued -= before.notIssued
			p.packed = lessPacked(p.packed, before.packed)
			p.filled = filled(p.packed)
			before.second = -1
		}
		if p.requests > 0 || p.notIssued > 0 {
			p.row = row
			out = appendPoint(out, &p)
		}
	}
	for _, log := range c.added {
		for _, p := range appendPoints(nil, log) {
			put(p.row, p, p.row*c.ring+int(p.second)&(c.ring-1))
		}
	}
	for i := range c.opened {
		if p := c.opened[i]; p.second >= 0 {
			put(i/c.ring, p, i)
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(out)))
	return append(dst, out...)
}

// lessPacked returns a without what b holds of it.
func lessPacked(a, b []byte) []byte {
	var out packer
	theirs := unpack(b)
	more := theirs.more()
	for ours := unpack(a); ours.more(); {
		count := ours.Count
		if more && theirs.Index == ours.Index {
			count -= theirs.Count
			more = theirs.more()
		}
		if count > 0 {
			out.add(Bucket{ours.Index, count})
		}
	}
	return out.packed
}

// Replay adds up deltas. NewReplay makes one.
type Replay struct {
	sum      Snapshot
	rows     []rowKey
	failures failures
	points   []byte
}

// NewReplay begins with nothing recorded.
func NewReplay(l *Layout) *Replay {
	r := &Replay{sum: Snapshot{
		Layout:  l,
		Series:  make([]Counts, len(l.Phases)*len(l.Steps)),
		Claims:  make([]ClaimCount, len(l.Claims)),
		Origins: make([]int64, len(l.Phases)),
	}}
	for i := range r.sum.Origins {
		r.sum.Origins[i] = -1
	}
	r.rows, _ = rowsOf(l.Steps)
	return r
}

// Add adds one delta, and returns what follows it. It refuses a malformed one,
// and is then of no use any more.
func (r *Replay) Add(delta []byte) (rest []byte, err error) {
	d := decoder{rest: delta}
	s := &r.sum
	s.Clamped += d.count()
	for i := range s.Origins {
		if at := d.signed(); at >= 0 && (s.Origins[i] < 0 || at < s.Origins[i]) {
			s.Origins[i] = at
		}
	}
	for i := d.count(); i > 0 && d.err == nil; i = d.count() {
		if i > uint64(len(s.Series)) {
			return nil, fmt.Errorf("it names series %d of %d", i-1, len(s.Series))
		}
		c := &s.Series[i-1]
		for _, n := range c.counters() {
			*n += uint64(d.signed())
		}
		for _, h := range c.hists() {
			d.hist(h)
		}
	}
	for i := d.count(); i > 0 && d.err == nil; i = d.count() {
		if i > uint64(len(s.Claims)) {
			return nil, fmt.Errorf("it names claim %d of %d", i-1, len(s.Claims))
		}
		d.slots(&s.Claims[i-1])
	}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		row, outcome, status := d.count(), d.count(), d.signed()
		message, more := d.bytes(), d.signed()
		if row>>1 >= uint64(len(r.rows)) || outcome >= uint64(NumOutcomes) || status < 0 || status > math.MaxInt32 {
			return nil, errors.New("it has a failure of an unknown kind")
		}
		k := failureKind{int(row >> 1), Outcome(outcome), int(status), string(message)}
		if row&1 != 0 {
			r.failures.overflowed(k, uint64(more))
		} else {
			r.failures.add(k, uint64(more))
		}
	}
	d.hist(&s.Lag)
	points := d.bytes()
	if d.err != nil {
		return nil, d.err
	}
	if _, err := decodeLog(points, len(r.rows)); err != nil {
		return nil, err
	}
	r.points = append(r.points, points...)
	return d.rest, nil
}

// Cut returns what was recorded as the snapshot of a run that ended there. Who
// was in flight is lost, and what had been planned and not yet taken up was not
// planned: so that the accounts add up. The replay must not be used again.
func (r *Replay) Cut() (*Snapshot, error) {
	s := &r.sum
	for i := range s.Series {
		c := &s.Series[i]
		ended := c.Outcomes[OK] + c.Failures() + c.Outcomes[Aborted] + c.Lost
		if ended > c.Issued {
			return nil, fmt.Errorf("%s: %d requests ended of %d", s.Layout.seriesName(i), ended, c.Issued)
		}
		inFlight := c.Issued - ended
		c.Lost += inFlight
		for _, claim := range s.Layout.counts[i] {
			s.Claims[claim].Lost += inFlight
		}
		c.Planned = c.Issued + c.NotIssued
	}
	s.Failures = r.failures.list(r.rows)
	s.Log = encodePoints(appendPoints(nil, r.points))
	return s, s.check()
}

// decoder reads the parts of a delta; after the first fault all it reads is 0.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.rest, d.err = nil, err
	}
}

func (d *decoder) count() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail(errTruncated)
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) signed() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.fail(errTruncated)
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.count()
	if n > uint64(len(d.rest)) {
		d.fail(errTruncated)
		return nil
	}
	out := d.rest[:n]
	d.rest = d.rest[n:]
	return out
}

// hist reads a histogram and merges it.
func (d *decoder) hist(into *Hist) {
	h := Hist{Coarse: true, Count: d.count()}
	if h.Count == 0 {
		return
	}
	h.Sum, h.Min, h.Max = d.count(), int64(d.count()), int64(d.count())
	h.Clamped, h.Packed = d.count(), d.bytes()
	if d.err != nil {
		return
	}
	if err := h.check(); err != nil {
		d.fail(err)
		return
	}
	into.Merge(&h)
}

// slots reads the slots of a claim and adds them.
func (d *decoder) slots(c *ClaimCount) {
	c.Lost += d.count()
	for n := d.count(); n > 0 && d.err == nil; n-- {
		at := d.count()
		s := SlotCount{N: d.count(), Bad: d.count(), Sum: d.count(), Max: int64(d.count())}
		if at > maxSecond {
			d.fail(fmt.Errorf("it names slot %d", at))
			return
		}
		for uint64(len(c.Slots)) <= at {
			c.Slots = append(c.Slots, make([]SlotCount, at+1-uint64(len(c.Slots)))...)
		}
		c.Slots[at].merge(s)
	}
}
