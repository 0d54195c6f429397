package measure

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func asIs(s string) string { return s }

// told is a recorder that is copied now and then, and all its deltas.
type told struct {
	*Recorder
	last   *Copy
	deltas [][]byte
}

func (o *told) tell() {
	c := o.Copy()
	o.deltas = append(o.deltas, c.AppendDelta(nil, o.last, asIs))
	o.last = c
}

// cutShort is a snapshot as a replay gives it: coarse, and closed.
func cutShort(s *Snapshot) *Snapshot {
	coarse := func(h *Hist) {
		if h.Count > 0 {
			h.Packed, h.Coarse = coarsen(h.Packed), true
		}
	}
	for i := range s.Series {
		c := &s.Series[i]
		for _, h := range c.hists() {
			coarse(h)
		}
		inFlight := c.Issued - c.Outcomes[OK] - c.Failures() - c.Outcomes[Aborted] - c.Lost
		c.Lost += inFlight
		c.Planned = c.Issued + c.NotIssued
		for _, claim := range s.Layout.counts[i] {
			s.Claims[claim].Lost += inFlight
		}
	}
	coarse(&s.Lag)
	return s
}

func TestDeltasAddUpToTheSnapshot(t *testing.T) {
	l := testLayout(everyClaim()...)
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(rapid.Custom(drawEvent), 0, 120).Draw(t, "events")
		// A loop meets samples in the order in which they end.
		slices.SortFunc(events, func(a, b event) int { return cmp.Compare(a.sample.Done, b.sample.Done) })
		loops := make([]told, rapid.IntRange(1, 3).Draw(t, "loops"))
		for i := range loops {
			loops[i].Recorder = begin(l)
		}
		for _, e := range events {
			o := &loops[rapid.IntRange(0, len(loops)-1).Draw(t, "loop")]
			if rapid.IntRange(0, 9).Draw(t, "in flight") == 0 {
				o.Planned(e.phase, e.step, 2)
				o.Issued(e.phase, e.step)
				o.Unplanned(e.phase, e.step)
			} else {
				e.apply(o.Recorder)
			}
			if rapid.IntRange(0, 4).Draw(t, "tell") == 0 {
				o.tell()
			}
		}
		replay := NewReplay(l)
		var parts []*Snapshot
		for i := range loops {
			loops[i].tell()
			loops[i].tell() // in which nothing happened
			for _, delta := range loops[i].deltas {
				rest, err := replay.Add(delta)
				if err != nil || len(rest) > 0 {
					t.Fatalf("%d bytes left, %v", len(rest), err)
				}
			}
			parts = append(parts, loops[i].Snapshot())
		}
		want, err := Merge(parts...)
		if err != nil {
			t.Fatal(err)
		}
		cutShort(want)
		got, err := replay.Cut()
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatal(gocmp.Diff(want, got, gocmp.Comparer(func(a, b *Layout) bool { return a == b })))
		}
		if err := got.Check(); err != nil {
			t.Fatal(err)
		}
	})
}

// A target that never fails in the same way twice makes kinds come and go.
func TestDeltasOfFailuresThatMadeRoomAddUp(t *testing.T) {
	l := testLayout(everyClaim()...)
	o := told{Recorder: begin(l)}
	n := 0
	for range 6 {
		for range maxMessages / 2 {
			e := event{phase: 1, step: 1, message: fmt.Sprint("message ", n), sample: Sample{Outcome: Check, Sent: 2, First: 3, Done: 4, Due: 1}}
			e.apply(o.Recorder)
			n++
		}
		o.tell()
	}
	replay := NewReplay(l)
	for _, delta := range o.deltas {
		if _, err := replay.Add(delta); err != nil {
			t.Fatal(err)
		}
	}
	got, err := replay.Cut()
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(o.Snapshot().Failures, got.Failures); diff != "" {
		t.Fatal(diff)
	}
}

func TestSecretsDoNotTravelInDeltas(t *testing.T) {
	l := testLayout(everyClaim()...)
	r := begin(l)
	e := event{phase: 1, step: 1, message: "token s3cr3t refused", sample: Sample{Outcome: Check, Sent: 2, First: 3, Done: 4, Due: 1}}
	e.apply(r)
	delta := r.Copy().AppendDelta(nil, nil, func(s string) string { return strings.ReplaceAll(s, "s3cr3t", "***") })
	if !strings.Contains(string(delta), "token *** refused") || strings.Contains(string(delta), "s3cr3t") {
		t.Fatalf("%q", delta)
	}
}

func TestACopyStaysAsItWas(t *testing.T) {
	l := testLayout(everyClaim()...)
	r := begin(l)
	e := event{phase: 1, step: 1, sample: Sample{Due: sec, Sent: sec + 1, First: sec + 2, Done: sec + ms}}
	e.apply(r)
	c := r.Copy()
	before := c.AppendDelta(nil, nil, asIs)
	for range 1000 { // wider pages, further seconds
		e.apply(r)
		e.sample = Sample{Due: e.sample.Due + sec/10, Sent: e.sample.Sent + sec/10, First: e.sample.First + sec/10, Done: e.sample.Done + sec/10}
	}
	r.Copy()
	if after := c.AppendDelta(nil, nil, asIs); !slices.Equal(before, after) {
		t.Fatal("a copy changed with its recorder")
	}
}

// Foreign bytes are refused, or make a snapshot that is whole.
func FuzzReplay(f *testing.F) {
	l := testLayout(everyClaim()...)
	r := begin(l)
	f.Add(r.Copy().AppendDelta(nil, nil, asIs))
	last := r.copied
	for i := range int64(5) {
		e := event{phase: 1, step: 1, message: "m", sample: Sample{Outcome: Outcome(i % 3), Due: i * sec, Sent: i*sec + 1, First: i*sec + 2, Done: i*sec + ms}}
		e.apply(r)
	}
	f.Add(r.Copy().AppendDelta(nil, last, asIs))
	f.Fuzz(func(t *testing.T, delta []byte) {
		replay := NewReplay(l)
		if _, err := replay.Add(delta); err != nil {
			return
		}
		s, err := replay.Cut()
		if err != nil {
			return
		}
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		s.Rows()
		s.Timeline()
	})
}

// What the copy of a second costs the loop that records, with 40 rows that are
// all in use.
func BenchmarkCopyOfASecond(b *testing.B) {
	l := testLayout(everyClaim()...)
	r := begin(l)
	at := int64(sec)
	for b.Loop() {
		b.StopTimer()
		for i := range int64(2000) {
			due := at + i*sec/2000
			s := Sample{Due: due, Sent: due + 1000, First: due + ms, Done: due + ms + i*i%977*10000, Reused: true}
			r.Issued(int(i)%len(testPhases), int(i)%len(testSteps))
			r.Record(int(i)%len(testPhases), int(i)%len(testSteps), &s)
		}
		at += sec
		b.StartTimer()
		r.Copy()
	}
}
