package slo

// nearest returns the candidate that word most likely meant, "" when none is
// close: at most a third of the word may differ.
func nearest(word string, candidates []string) string {
	best, within := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		if d := levenshtein(word, c); d < within {
			best, within = c, d
		}
	}
	return best
}

// levenshtein returns the number of inserted, deleted and replaced runes that
// lie between two words.
func levenshtein(a, b string) int {
	from, to := []rune(a), []rune(b)
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i, r := range from {
		diagonal := row[0]
		row[0] = i + 1
		for j, s := range to {
			replace := diagonal
			if r != s {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, diagonal+1)
		}
	}
	return row[len(to)]
}

// oneOf lists names for a hint.
func oneOf(names []string) string {
	last := len(names) - 1
	text := ""
	for i, n := range names {
		switch {
		case i == 0:
		case i == last:
			text += " or "
		default:
			text += ", "
		}
		text += n
	}
	return text
}
