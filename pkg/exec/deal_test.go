package exec

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestUsersAreDealtExactlyByWeight(t *testing.T) {
	for _, c := range []struct {
		weights []int
		n       int
		want    []int
	}{
		{[]int{3, 5, 2}, 10, []int{3, 5, 2}},
		{[]int{5, 2, 3}, 10, []int{5, 2, 3}},
		{[]int{3, 5, 2}, 10000, []int{3000, 5000, 2000}},
		{[]int{30, 50, 20}, 10, []int{3, 5, 2}},
		{[]int{1}, 7, []int{7}},
		{[]int{1, 0, 1}, 4, []int{2, 0, 2}},
	} {
		if diff := cmp.Diff(c.want, newDeal(c.weights).counts(c.n)); diff != "" {
			t.Errorf("%v over %d: %s", c.weights, c.n, diff)
		}
	}
}

func TestEveryPrefixOfADealIsWithinOneOfItsShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(0, 50), 1, 6).Draw(t, "weights")
		weights[0]++
		total := 0
		for _, w := range weights {
			total += w
		}
		d := newDeal(weights)
		n := rapid.IntRange(0, 3*total).Draw(t, "n")
		seen := make([]int, len(weights))
		for k := range n {
			p, nth := d.at(k)
			if nth != seen[p] {
				t.Fatalf("place %d is number %d of persona %d, want %d", k, nth, p, seen[p])
			}
			if back := d.place(p, nth); back != k {
				t.Fatalf("place(%d, %d) = %d, want %d", p, nth, back, k)
			}
			seen[p]++
		}
		if diff := cmp.Diff(d.counts(n), seen); diff != "" {
			t.Fatalf("counts: %s", diff)
		}
		for p, w := range weights {
			share := float64(n) * float64(w) / float64(total)
			if d := float64(seen[p]) - share; d <= -1 || d >= 1 {
				t.Fatalf("persona %d holds %d of %d, share %.2f", p, seen[p], n, share)
			}
		}
	})
}
