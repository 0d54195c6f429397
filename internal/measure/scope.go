package measure

import "slices"

// SeriesOf returns the series, as phase x number of steps + step, that count
// for claim i, ascending.
func (l *Layout) SeriesOf(i int) []int {
	var out []int
	for s, claims := range l.counts {
		if slices.Contains(claims, i) {
			out = append(out, s)
		}
	}
	return out
}
