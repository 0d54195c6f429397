package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestReadingBeginsAfterAllWhomItAnswersHaveAsked(t *testing.T) {
	var g gathering
	var state atomic.Int64
	var readings atomic.Int64
	var running sync.WaitGroup
	for range 50 {
		running.Go(func() {
			for range 100 {
				asked := state.Add(1)
				body, err := g.get(context.Background(), "state", func(context.Context) ([]byte, error) {
					readings.Add(1)
					return fmt.Append(nil, state.Load()), nil
				})
				var seen int64
				if _, scan := fmt.Sscan(string(body), &seen); err != nil || scan != nil || seen < asked {
					t.Errorf("asked at %d and told of %d, %v", asked, seen, err)
				}
			}
		})
	}
	running.Wait()
	if n := readings.Load(); n > 5000 {
		t.Errorf("%d readings for 5000 questions", n)
	}
	waitFor(t, "an end of the line", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.lines) == 0
	})
}

// While a reading is under way, all who ask share the next.
func TestThoseWhoAskTogetherShareOneReading(t *testing.T) {
	var g gathering
	var readings atomic.Int64
	hold, begun := make(chan struct{}), make(chan struct{})
	read := func(context.Context) ([]byte, error) {
		if readings.Add(1) == 1 {
			close(begun)
			<-hold
		}
		return nil, nil
	}
	var running sync.WaitGroup
	running.Go(func() { g.get(context.Background(), 1, read) })
	<-begun
	gone, leave := context.WithCancel(context.Background())
	leave()
	if _, err := g.get(gone, 1, read); !errors.Is(err, context.Canceled) {
		t.Errorf("who has left is told %v", err)
	}
	var in sync.WaitGroup
	for range 20 {
		in.Add(1)
		running.Go(func() {
			in.Done()
			g.get(context.Background(), 1, read)
		})
	}
	in.Wait()
	close(hold)
	running.Wait()
	// Who was late to the line may have had a reading of his own.
	if n := readings.Load(); n < 2 || n > 21 {
		t.Errorf("%d readings", n)
	}
}

func TestRowsAreAcknowledgedAfterTheirCommit(t *testing.T) {
	var mu sync.Mutex
	var kept []int
	refused := func(row int) bool { return row%10 == 3 }
	c := committer[int]{most: 8, write: func(_ context.Context, rows []int) error {
		if len(rows) > 8 {
			return errors.New("too many")
		}
		if slices.ContainsFunc(rows, refused) {
			return fmt.Errorf("%w: a 3", errUnstored)
		}
		mu.Lock()
		defer mu.Unlock()
		kept = append(kept, rows...)
		return nil
	}}
	var running sync.WaitGroup
	for row := range 300 {
		running.Go(func() {
			err := c.add(context.Background(), row)
			mu.Lock()
			defer mu.Unlock()
			if stored := slices.Contains(kept, row); stored != (err == nil) || stored == refused(row) {
				t.Errorf("row %d is stored: %v, and told: %v", row, stored, err)
			}
		})
	}
	running.Wait()
	if len(kept) != 270 {
		t.Errorf("%d rows, want 270", len(kept))
	}
}

func TestRowsOfALostDatabaseAreNotTriedAgain(t *testing.T) {
	tries := 0
	c := committer[int]{most: 8, write: func(context.Context, []int) error { tries++; return errors.New("gone") }}
	batch := []commit[int]{{1, make(chan error, 1)}, {2, make(chan error, 1)}}
	c.commit(batch)
	for _, one := range batch {
		if err := <-one.done; err == nil || !strings.Contains(err.Error(), "gone") {
			t.Errorf("told %v", err)
		}
	}
	if tries != 1 { // what became of it is unknown: a second try could make two of it
		t.Errorf("%d tries", tries)
	}
}
