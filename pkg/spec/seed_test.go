package spec

import (
	"testing"

	"tollgate/internal/expr"
)

func TestRowsDrawByWhatTheyAreAndByNothingElse(t *testing.T) {
	seen := map[expr.Key]string{}
	for seed := range uint64(3) {
		for table := range 3 {
			for n := range int64(50) {
				key := RowKey(seed, table, n+1)
				if key != RowKey(seed, table, n+1) {
					t.Fatal("the same row has two keys")
				}
				if was := seen[key]; was != "" {
					t.Fatalf("seed %d, table %d, row %d has the key of %s", seed, table, n+1, was)
				}
				seen[key] = "another row"
				if load := expr.NewKey(seed, uint64(table), uint64(n), 0); load == key {
					t.Fatal("a row shares its key with a user")
				}
			}
		}
	}
}
