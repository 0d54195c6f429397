package exec

import (
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"tollgate/internal/expr"
	"tollgate/pkg/spec"
)

func TestShuffleGivesEveryRowItsTurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(1, 3000).Draw(t, "rows")
		key := rapid.Uint64().Draw(t, "key")
		seen := make([]bool, n)
		for i := range n {
			at := shuffled(i, n, key)
			if at >= n || seen[at] {
				t.Fatalf("row %d of %d comes twice, or is none", at, n)
			}
			seen[at] = true
		}
	})
}

func TestShuffleIsNotTheFilesOrder(t *testing.T) {
	f := newFeed(spec.FeedShuffle, 100)
	var first, second []string
	for i := range uint64(100) {
		first = append(first, f.row(i)[0].Text())
		second = append(second, f.row(100 + i)[0].Text())
	}
	if slices.IsSorted(first) || slices.Equal(first, second) {
		t.Errorf("first round %v\nsecond %v", first, second)
	}
}

func newFeed(order spec.FeedOrder, rows int) *feed {
	f := &feed{Feeder: &spec.Feeder{Order: order, Columns: []spec.FeedColumn{{Name: "n", Slot: 0}}}, seed: 7}
	for i := range rows {
		f.Rows = append(f.Rows, []expr.Value{expr.Integer(int64(i))})
	}
	return f
}

func TestSequenceBeginsAgainAndOnceDoesNot(t *testing.T) {
	sequence, once := newFeed(spec.FeedSequence, 3), newFeed(spec.FeedOnce, 3)
	slots := make([]expr.Value, 1)
	for i := range uint64(7) {
		sequence.fill(slots, i)
		if got := slots[0].Text(); got != strconv.Itoa(int(i%3)) {
			t.Errorf("draw %d of a sequence is row %s", i, got)
		}
		once.fill(slots, i)
		if i < 3 && slots[0].Text() != strconv.Itoa(int(i)) || i >= 3 && !slots[0].IsNil() {
			t.Errorf("draw %d of rows that come once is %v", i, slots[0].Text())
		}
	}
}
