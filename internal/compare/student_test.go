package compare

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Values of the tables of Student's t.
func TestStudentQuantileIsThatOfTheTables(t *testing.T) {
	for _, c := range []struct{ p, df, want float64 }{
		{0.95, 1, 6.313752}, {0.975, 1, 12.706205}, {0.95, 2, 2.919986}, {0.95, 4, 2.131847}, {0.975, 4, 2.776445},
		{0.995, 4, 4.604095}, {0.95, 9, 1.833113}, {0.975, 19, 2.093024}, {0.99, 38, 2.428568}, {0.95, 1000, 1.646379},
		{0.975, 12.5, 2.169186}, {0.5, 7, 0},
	} {
		if got := studentQuantile(c.p, c.df); math.Abs(got-c.want) > 2e-5*max(1, c.want) {
			t.Errorf("t of %v with %v degrees of freedom: %v, want %v", c.p, c.df, got, c.want)
		}
	}
}

func TestStudentTailAndQuantileUndoEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.Float64Range(0.5, 0.9999).Draw(t, "p")
		df := rapid.Float64Range(4, 200).Draw(t, "df")
		if got := 1 - studentTail(studentQuantile(p, df), df); math.Abs(got-p) > 1e-9 {
			t.Fatalf("%v became %v", p, got)
		}
	})
}
