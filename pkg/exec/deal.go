package exec

// A deal hands out places to personas in proportion to their weights: place k
// goes to the persona that is furthest behind its due share k·w/W. Any prefix
// is therefore within one of the exact share, every whole period is exact, and
// a longer deal begins with the shorter one, so users keep their persona when
// the level changes. (The quota method of Balinski and Young, 1975.)
type deal struct {
	period []uint16 // the persona of each place in one period
	nth    []int32  // how many places of the same persona came before, in the period
	places [][]int32
}

// newDeal deals one period of the weights, reduced by their greatest common
// divisor. Weights are not negative and at least one is positive.
func newDeal(weights []int) *deal {
	g := 0
	for _, w := range weights {
		g = gcd(g, w)
	}
	total := 0
	reduced := make([]int, len(weights))
	for i, w := range weights {
		reduced[i] = w / g
		total += reduced[i]
	}
	d := &deal{
		period: make([]uint16, total),
		nth:    make([]int32, total),
		places: make([][]int32, len(weights)),
	}
	given := make([]int, len(weights))
	for k := range total {
		best, behind := -1, 0
		for i, w := range reduced {
			if given[i] == w {
				continue
			}
			// (k+1)·w/W - given, times W to stay in whole numbers.
			if b := (k+1)*w - given[i]*total; best < 0 || b > behind {
				best, behind = i, b
			}
		}
		d.period[k] = uint16(best)
		d.nth[k] = int32(given[best])
		d.places[best] = append(d.places[best], int32(k))
		given[best]++
	}
	return d
}

// at returns who holds place k (0-based), and how many of that persona came before.
func (d *deal) at(k int) (persona, nth int) {
	round, i := k/len(d.period), k%len(d.period)
	p := int(d.period[i])
	return p, round*len(d.places[p]) + int(d.nth[i])
}

// place is the inverse of at: the place of the nth user (0-based) of a persona.
func (d *deal) place(persona, nth int) int {
	own := d.places[persona]
	return nth/len(own)*len(d.period) + int(own[nth%len(own)])
}

// counts returns how many of the first n places each persona holds.
func (d *deal) counts(n int) []int {
	out := make([]int, len(d.places))
	rounds, rest := n/len(d.period), n%len(d.period)
	for p, own := range d.places {
		out[p] = rounds * len(own)
	}
	for _, p := range d.period[:rest] {
		out[p]++
	}
	return out
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
