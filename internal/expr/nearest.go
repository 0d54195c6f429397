package expr

import "strings"

// Nearest returns the legal name that name most likely meant, "" if none is
// near: at most one edit in three characters, where an edit inserts, deletes
// or replaces a byte or swaps two neighbours, and case is free. Of equally
// near names the first in legal wins.
func Nearest(name string, legal []string) string {
	const longest = 64 // nobody mistypes a name of this length; bounds the work on hostile input
	if len(name) > longest {
		return ""
	}
	lower := strings.ToLower(name)
	limit := max(1, len(name)/3)
	best, found := limit+1, ""
	for _, l := range legal {
		if len(l) > longest || l == name {
			continue
		}
		other := strings.ToLower(l)
		if gap := len(other) - len(lower); gap >= best || -gap >= best {
			continue // so many edits it takes at least
		}
		if d := edits(lower, other); d < best && d < len(l) {
			best, found = d, l
		}
	}
	return found
}

// edits is the optimal string alignment distance of a and b.
func edits(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
