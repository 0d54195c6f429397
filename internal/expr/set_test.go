package expr

import (
	"math"
	"testing"
)

func TestWeightedSetIsPickedByWeightInFileOrder(t *testing.T) {
	s := NewSet([]Value{Str("a"), Str("never"), Str("b"), Str("c")}, []int{5, 0, 15, 80})
	counts := map[string]int{}
	const draws = 100_000
	for i := range uint32(draws) {
		counts[s.Pick(NewKey(1, 1, 1, 1).Draw(0, i)).Text()]++
	}
	for name, share := range map[string]float64{"a": 0.05, "b": 0.15, "c": 0.80, "never": 0} {
		sd := math.Sqrt(draws * share * (1 - share))
		if math.Abs(float64(counts[name])-draws*share) > 5*sd {
			t.Errorf("%s is picked %d times of %d, want a share of %v", name, counts[name], draws, share)
		}
	}
	if first, last := s.Pick(0).Text(), s.Pick(math.MaxUint64).Text(); first != "a" || last != "c" {
		t.Errorf("the ends of the range pick %s and %s", first, last)
	}
}

func TestIndexWrapsAndOneIsTheSecondElement(t *testing.T) {
	s := NewSet([]Value{Str("fire"), Str("medical"), Str("police")}, nil)
	for n, want := range map[int64]string{0: "fire", 1: "medical", 2: "police", 3: "fire", 4: "medical", -1: "police", math.MinInt64: "medical"} {
		if got := s.At(n).Text(); got != want {
			t.Errorf("element %d is %s, want %s", n, got, want)
		}
	}
}

func TestEmptySetPicksNothing(t *testing.T) {
	for _, s := range []*Set{NewSet(nil, nil), NewSet([]Value{Str("a")}, []int{0})} {
		if v := s.Pick(1); !v.IsNil() {
			t.Errorf("picked %q", v.Text())
		}
	}
	if v := NewSet(nil, nil).At(3); !v.IsNil() {
		t.Errorf("element %q", v.Text())
	}
}

func TestSetKeepsItsOwnValues(t *testing.T) {
	given := []Value{Str("a"), Str("b")}
	s := NewSet(given, nil)
	given[0] = Str("changed")
	s.Values()[1] = Str("changed")
	if s.Len() != 2 || s.At(0).Text() != "a" || s.At(1).Text() != "b" {
		t.Errorf("the set holds %q and %q", s.At(0).Text(), s.At(1).Text())
	}
}
