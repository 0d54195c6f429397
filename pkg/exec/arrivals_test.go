package exec

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func all(a *arrivals) (out []arrival) {
	for {
		x, ok := a.next()
		if !ok {
			return out
		}
		out = append(out, x)
	}
}

func TestUniformArrivalsAreExactlyRateTimesTime(t *testing.T) {
	got := all(newArrivals(profile{{100, 100, 3600}}, true, 1, 0))
	if len(got) != 360_000 {
		t.Fatalf("%d arrivals in an hour at 100/s, want 360000", len(got))
	}
	for k, x := range got {
		if want := time.Duration(k) * 10 * time.Millisecond; x.at != want {
			t.Fatalf("arrival %d at %v, want %v", k, x.at, want)
		}
	}
}

func TestPoissonArrivalsHaveTheirMeanAndVariance(t *testing.T) {
	const rate, length = 200.0, 3600.0
	counts := make([]float64, int(length))
	n := 0
	last := time.Duration(-1)
	seen := map[uint64]bool{}
	for _, x := range all(newArrivals(profile{{rate, rate, length}}, false, 7, 2)) {
		if x.at < last {
			t.Fatalf("arrivals out of order: %v after %v", x.at, last)
		}
		if seen[x.number] {
			t.Fatalf("arrival number %d twice", x.number)
		}
		seen[x.number] = true
		last = x.at
		counts[int(x.at.Seconds())]++
		n++
	}
	if want := rate * length; math.Abs(float64(n)-want) > 4*math.Sqrt(want) {
		t.Errorf("%d arrivals, want %.0f within 4 standard deviations", n, want)
	}
	mean := float64(n) / length
	var variance float64
	for _, c := range counts {
		variance += (c - mean) * (c - mean)
	}
	variance /= length - 1
	// The variance of a Poisson count is its mean; over 3,600 seconds the ratio
	// has a standard deviation of about sqrt(2/3600) = 2.4 %.
	if r := variance / mean; r < 0.9 || r > 1.1 {
		t.Errorf("variance over mean of the counts per second is %.3f, want 1", r)
	}
}

func TestProfileInverseIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p profile
		for range rapid.IntRange(1, 5).Draw(t, "legs") {
			p = append(p, leg{
				rapid.Float64Range(0, 1000).Draw(t, "from"),
				rapid.Float64Range(0, 1000).Draw(t, "to"),
				rapid.Float64Range(0, 600).Draw(t, "over"),
			})
		}
		total := p.expected(p.seconds())
		n := rapid.Float64Range(0, 1).Draw(t, "share") * total * 0.999
		at, ok := p.at(n)
		if total < 1e-6 {
			return
		}
		if !ok {
			t.Fatalf("no instant for %v of %v arrivals", n, total)
		}
		if back := p.expected(at); math.Abs(back-n) > 1e-6*(1+total) {
			t.Fatalf("expected(at(%v)) = %v", n, back)
		}
		if _, ok := p.at(total * 1.001); ok {
			t.Fatal("an instant beyond the end")
		}
	})
}

func TestLoopsShareTheArrivalsWithoutLossOrDouble(t *testing.T) {
	p := compileText(t, specText("p: {tasks: {a: 1}}", "- steady: {rate: 500/s, for: 20s}"), 3)
	st := &p.stages[0]
	want := all(newArrivals(st.profile, st.uniform, p.Seed, 0))
	got := map[uint64]int{}
	for loop := range 3 {
		c := newCast(p, &timeline{}, loop, 3, "x", 0)
		c.arrivals = newArrivals(st.profile, st.uniform, p.Seed, 0)
		for c.nextArrival(); c.more; c.nextArrival() {
			got[c.arrival.number]++
		}
	}
	for _, x := range want {
		if got[x.number] != 1 {
			t.Fatalf("arrival %d is taken %d times", x.number, got[x.number])
		}
		delete(got, x.number)
	}
	if len(got) > 0 {
		t.Fatalf("%d arrivals that are not of the plan", len(got))
	}
}
