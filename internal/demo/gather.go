package demo

import (
	"context"
	"errors"
	"sync"
	"time"
)

// storePatience bounds work that is done for many at once, and which therefore
// no client's leaving ends.
const storePatience = 30 * time.Second

// A gathering answers those who ask the same at the same time with one reading.
// A reading begins after all whom it answers have asked, so nobody is told of
// an older state than the one that he found: under load one reading serves many,
// and alone each has its own. Its zero value is ready.
type gathering struct {
	mu    sync.Mutex
	lines map[any]*line
}

// A line is of those who ask the same: one reading under way, and the next.
type line struct {
	next *reading // not begun; nil when nobody waits for it
}

// A reading is done once, for all who hold it.
type reading struct {
	done chan struct{} // closed when body and err are set
	body []byte
	err  error
}

// get returns the answer to a question, which is a comparable value. The body
// is shared: nobody may write to it.
func (g *gathering) get(ctx context.Context, question any, read func(context.Context) ([]byte, error)) ([]byte, error) {
	g.mu.Lock()
	if g.lines == nil {
		g.lines = map[any]*line{}
	}
	l, running := g.lines[question]
	if !running {
		l = &line{}
		g.lines[question] = l
	}
	if l.next == nil {
		l.next = &reading{done: make(chan struct{})}
	}
	mine := l.next
	if !running {
		go g.serve(question, l, read)
	}
	g.mu.Unlock()
	select {
	case <-mine.done:
		return mine.body, mine.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// serve reads for a line until nobody waits in it.
func (g *gathering) serve(question any, l *line, read func(context.Context) ([]byte, error)) {
	for {
		g.mu.Lock()
		r := l.next
		l.next = nil
		if r == nil {
			delete(g.lines, question)
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), storePatience)
		r.body, r.err = read(ctx)
		cancel()
		close(r.done)
	}
}

// A committer writes rows that come together in one commit: while one is under
// way, the next gathers. Nobody is told that his row is kept before it is.
type committer[T any] struct {
	// write commits all rows or none.
	write func(context.Context, []T) error
	// most is how many rows go into one commit.
	most int

	mu      sync.Mutex
	waiting []commit[T]
	running bool
}

type commit[T any] struct {
	row  T
	done chan error
}

// add returns when the row is committed, or with the reason why it is not. A
// client that leaves does not take its row back.
func (c *committer[T]) add(ctx context.Context, row T) error {
	mine := commit[T]{row, make(chan error, 1)}
	c.mu.Lock()
	c.waiting = append(c.waiting, mine)
	if !c.running {
		c.running = true
		go c.serve()
	}
	c.mu.Unlock()
	select {
	case err := <-mine.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serve commits until nothing waits.
func (c *committer[T]) serve() {
	for {
		c.mu.Lock()
		batch := c.waiting
		if len(batch) > c.most {
			batch = batch[:c.most:c.most]
		}
		c.waiting = c.waiting[len(batch):]
		c.running = len(batch) > 0
		c.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		c.commit(batch)
	}
}

// commit writes a batch. One row that cannot be kept must not take the others
// with it: then each has a commit of its own.
func (c *committer[T]) commit(batch []commit[T]) {
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	rows := make([]T, len(batch))
	for i, one := range batch {
		rows[i] = one.row
	}
	err := c.write(ctx, rows)
	for i, one := range batch {
		if errors.Is(err, errUnstored) && len(batch) > 1 {
			one.done <- c.write(ctx, rows[i:i+1])
			continue
		}
		one.done <- err
	}
}
