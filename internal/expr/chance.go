package expr

import "math/bits"

// Key keys all draws of one iteration of one user or of one arrival. Draws are
// looked up, not taken in turn, so neither the order of evaluation nor the
// number of loops or machines can change one.
type Key uint64

// golden is 2^64 divided by the golden ratio, the increment of SplitMix64.
const golden = 0x9e3779b97f4a7c15

// mix is the finaliser of SplitMix64 (Steele, Lea and Flood 2014, with Stafford's
// constants "Mix13"): a bijection whose output bits each depend on all input bits.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// NewKey mixes the parts that decide every draw.
func NewKey(seed uint64, stage, who, iteration uint64) Key {
	h := mix(seed + golden)
	h = mix((h ^ stage) + golden)
	h = mix((h ^ who) + golden)
	h = mix((h ^ iteration) + golden)
	return Key(h)
}

// Draw returns 64 uniform bits for a call site and a draw within it: the
// element of the SplitMix64 sequence of the key that the two numbers name.
func (k Key) Draw(site, n uint32) uint64 {
	return mix(uint64(k) + golden*(uint64(site)<<32|uint64(n)) + golden)
}

// Unit returns a uniform float in [0, 1) from Draw.
func (k Key) Unit(site, n uint32) float64 { return unit(k.Draw(site, n)) }

// unit maps 64 bits to [0, 1) on a grid of 2^-53.
func unit(draw uint64) float64 { return float64(draw>>11) * 0x1p-53 }

// below maps 64 uniform bits to [0, n) by multiplying and keeping the high
// word (Lemire 2019, without the rejection): no value is more likely than
// another by more than n/2^64.
func below(draw, n uint64) uint64 {
	hi, _ := bits.Mul64(draw, n)
	return hi
}

// stream is SplitMix64, for draws that need more than a word or two. It is a
// math/rand/v2 Source.
type stream struct{ state uint64 }

func (s *stream) Uint64() uint64 {
	s.state += golden
	return mix(s.state)
}
