package truth

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const ms = int64(time.Millisecond)

// begin is when the loads of these tests begin, by a clock that is not at 0.
const begin = 1_000_000 * ms

// punctualLoad is a client that is never late, against a target that answers
// after delay and stands still in the windows.
func punctualLoad(s Schedule, delay int64, frozen []Window) []Request {
	var all []Request
	for k := range s.planned() {
		at := begin + s.due(k)
		read := thaw(at, frozen)
		all = append(all, Request{Arrived: at, Read: read, Delay: delay, Written: thaw(read+delay, frozen)})
	}
	return all
}

func TestQuantileIsTheNearestRank(t *testing.T) {
	values := []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for _, c := range []struct {
		q    float64
		want int64
	}{{0, 1}, {0.1, 1}, {0.11, 2}, {0.5, 5}, {0.95, 10}, {0.999, 10}, {1, 10}} {
		if got := Quantile(values, c.q); got != c.want {
			t.Errorf("quantile %g of 1..10: got %d, want %d", c.q, got, c.want)
		}
	}
	if got := Quantile([]int64(nil), 0.5); got != 0 {
		t.Errorf("median of nothing: got %d, want 0", got)
	}
}

// Frozen from 400 to 600 ms, asked every 100 ms: two users come while it stands
// still, and one before waits for an answer that was due in the freeze.
func TestPunctualUserWaitsForTheThaw(t *testing.T) {
	s := Schedule{Rate: 10, For: time.Second}
	frozen := []Window{{Start: begin + 350*ms, End: begin + 600*ms}}
	got := Punctual(punctualLoad(s, 60*ms, frozen), s, frozen)
	want := []int64{60, 60, 60, 60, 60, 60, 60, 160, 260, 300}
	for i := range want {
		want[i] *= ms
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// The classical fault: a client that waits for answers before it asks again
// sends nothing while the target stands still, and sees one slow answer.
func TestClientThatStopsAskingDoesNotChangeThePunctualWait(t *testing.T) {
	s := Schedule{Rate: 100, For: 10 * time.Second}
	frozen := []Window{{Start: begin + 5000*ms, End: begin + 6000*ms}}
	all := punctualLoad(s, 10*ms, frozen)
	honest := Punctual(all, s, frozen)

	var omitted []Request
	for _, r := range all {
		if r.Arrived <= frozen[0].Start || r.Arrived >= frozen[0].End {
			omitted = append(omitted, r)
		}
	}
	if got := Quantile(Waited(omitted), 0.95); got != 10*ms {
		t.Fatalf("the omitting client saw a p95 of %d ms, want 10: the case shows nothing", got/ms)
	}
	got := Punctual(omitted, s, frozen)
	for _, q := range Quantiles {
		a, b := Quantile(got, q), Quantile(honest, q)
		if max(a-b, b-a) > 11*ms { // the place of the first request that was left out
			t.Errorf("%s: %d ms from an omitting client, %d from an honest one", Name(q), a/ms, b/ms)
		}
	}
}

func TestOnTimeClientWaitsWhatPunctualUsersWait(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Schedule{Rate: float64(rapid.IntRange(1, 500).Draw(t, "rate")), For: 2 * time.Second}
		stop := begin + rapid.Int64Range(0, 2000).Draw(t, "freeze")*ms
		frozen := []Window{{Start: stop, End: stop + rapid.Int64Range(0, 900).Draw(t, "length")*ms}}
		load := punctualLoad(s, rapid.Int64Range(0, 300).Draw(t, "delay")*ms, frozen)
		load = rapid.Permutation(load).Draw(t, "order")
		if got, want := Punctual(load, s, frozen), Waited(load); !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		for _, late := range Late(load, s) {
			if late != 0 {
				t.Fatalf("a client that is never late was late by %d ns", late)
			}
		}
	})
}

func TestLatenessIsAgainstTheScheduleAndNotTheFirstArrival(t *testing.T) {
	s := Schedule{Rate: 1000, For: 4 * time.Millisecond}
	load := []Request{{Arrived: 500}, {Arrived: 1*ms + 200}, {Arrived: 2 * ms}, {Arrived: 3*ms + 700}}
	if got, want := Late(load, s), []int64{500, 200, 0, 700}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestUnansweredRequestsHaveNoWait(t *testing.T) {
	load := []Request{{Arrived: 10, Read: 20, Written: 60}, {Arrived: 30, Read: 40}}
	if got, want := Waited(load), []int64{50}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTellWithoutScheduleClaimsNoLateness(t *testing.T) {
	got := Tell([]Request{{Arrived: 1, Read: 1, Written: 1 + 5*ms}}, Schedule{}, nil)
	if got.Punctual != nil || got.Late != nil || got.Seconds != nil {
		t.Errorf("got %+v, want the waits alone", got)
	}
	if got.Waited["p99.9"] != 0.005 {
		t.Errorf("p99.9: got %g s, want 0.005", got.Waited["p99.9"])
	}
}

func TestSecondsAreThoseOfTheClock(t *testing.T) {
	s := Schedule{Rate: 2, For: 2 * time.Second}
	base := int64(1_700_000_000_500_000_000)
	var load []Request
	for k := range 4 {
		load = append(load, Request{Arrived: base + s.due(k) + int64(k)*ms})
	}
	got := Tell(load, s, nil).Seconds
	want := []Second{
		{Unix: 1_700_000_000, Requests: 1},
		{Unix: 1_700_000_001, Requests: 2, LateP50: 0.001, LateP99: 0.002},
		{Unix: 1_700_000_002, Requests: 1, LateP50: 0.003, LateP99: 0.003},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
