package expr

import (
	"math"
	"math/bits"
	"testing"
)

// chiSquare returns how many standard deviations the statistic of the counts
// lies from its mean, expecting equal counts.
func chiSquare(counts []int) float64 {
	total := 0
	for _, c := range counts {
		total += c
	}
	want := float64(total) / float64(len(counts))
	sum := 0.0
	for _, c := range counts {
		sum += (float64(c) - want) * (float64(c) - want) / want
	}
	df := float64(len(counts) - 1)
	return (sum - df) / math.Sqrt(2*df)
}

// axes are the ways in which two draws can be neighbours.
var axes = map[string]func(i int) uint64{
	"site":      func(i int) uint64 { return NewKey(1, 1, 1, 1).Draw(uint32(i), 0) },
	"n":         func(i int) uint64 { return NewKey(1, 1, 1, 1).Draw(3, uint32(i)) },
	"user":      func(i int) uint64 { return NewKey(1, 1, uint64(i), 1).Draw(3, 0) },
	"iteration": func(i int) uint64 { return NewKey(1, 1, 1, uint64(i)).Draw(3, 0) },
	"stage":     func(i int) uint64 { return NewKey(1, uint64(i), 1, 1).Draw(3, 0) },
	"seed":      func(i int) uint64 { return NewKey(uint64(i), 1, 1, 1).Draw(3, 0) },
}

func TestDrawsAreUniformAlongEveryAxis(t *testing.T) {
	const draws = 1 << 16
	for name, at := range axes {
		top, low := make([]int, 256), make([]int, 256)
		ones := make([]int, 64)
		for i := range draws {
			d := at(i)
			top[d>>56]++
			low[d&255]++
			for b := range ones {
				ones[b] += int(d >> b & 1)
			}
		}
		if z := chiSquare(top); math.Abs(z) > 5 {
			t.Errorf("%s: the top byte is %.1f deviations from uniform", name, z)
		}
		if z := chiSquare(low); math.Abs(z) > 5 {
			t.Errorf("%s: the low byte is %.1f deviations from uniform", name, z)
		}
		for b, n := range ones {
			if z := (float64(n) - draws/2) / math.Sqrt(draws/4); math.Abs(z) > 5 {
				t.Errorf("%s: bit %d is set %d times of %d", name, b, n, draws)
			}
		}
	}
}

func TestNeighbouringDrawsAreIndependent(t *testing.T) {
	const draws = 1 << 16
	for name, at := range axes {
		pairs := make([]int, 256)
		flips := 0
		for i := range draws {
			a, b := at(i), at(i+1)
			pairs[a>>60<<4|b>>60]++
			flips += bits.OnesCount64(a ^ b)
		}
		if z := chiSquare(pairs); math.Abs(z) > 5 {
			t.Errorf("%s: pairs of neighbours are %.1f deviations from uniform", name, z)
		}
		if z := (float64(flips) - 32*draws) / math.Sqrt(16*draws); math.Abs(z) > 5 {
			t.Errorf("%s: neighbours differ in %.3f bits, want 32", name, float64(flips)/draws)
		}
	}
}

func TestPartsOfAKeyCannotStandForEachOther(t *testing.T) {
	seen := map[Key][4]uint64{}
	for i := range uint64(6) {
		for j := range uint64(6) {
			for k := range uint64(6) {
				for l := range uint64(6) {
					key := NewKey(i, j, k, l)
					if was, ok := seen[key]; ok {
						t.Fatalf("keys of %v and %v are the same", was, [4]uint64{i, j, k, l})
					}
					seen[key] = [4]uint64{i, j, k, l}
				}
			}
		}
	}
}

// A change of these values changes every run of every spec.
func TestDrawsStayTheSameFromReleaseToRelease(t *testing.T) {
	k := NewKey(1, 2, 3, 4)
	if k != 0xd55ccd4aeb3ccafb || k.Draw(5, 6) != 0xfcfe50bc52ef4820 {
		t.Errorf("key %#x, draw %#x", uint64(k), k.Draw(5, 6))
	}
}

func TestUnitStaysBelowOne(t *testing.T) {
	if u := unit(math.MaxUint64); u >= 1 {
		t.Errorf("unit of all ones is %v", u)
	}
	if u := unit(0); u != 0 {
		t.Errorf("unit of zero is %v", u)
	}
	sum := 0.0
	for i := range uint32(10000) {
		sum += NewKey(1, 1, 1, 1).Unit(0, i)
	}
	if mean := sum / 10000; math.Abs(mean-0.5) > 0.02 {
		t.Errorf("the mean of 10,000 units is %v", mean)
	}
}

func BenchmarkDraw(b *testing.B) {
	b.ReportAllocs()
	k := NewKey(1, 2, 3, 4)
	var sum uint64
	for i := range b.N {
		sum += k.Draw(3, uint32(i))
	}
	sink = sum
}

func BenchmarkNewKey(b *testing.B) {
	b.ReportAllocs()
	var sum Key
	for i := range b.N {
		sum += NewKey(1, 2, 3, uint64(i))
	}
	sink = uint64(sum)
}

var sink uint64
