package measure

import "iter"

// Moments reads the log of a Snapshot as ReadLog does, second by second and in
// no memory: a long run has millions of them. It ends early at what ReadLog
// refuses.
func Moments(log []byte, rows int) iter.Seq[Moment] {
	return func(yield func(Moment) bool) {
		for len(log) > 0 {
			p, rest, err := decodePoint(log)
			if err != nil || p.row >= rows || !yield(p.moment()) {
				return
			}
			log = rest
		}
	}
}
