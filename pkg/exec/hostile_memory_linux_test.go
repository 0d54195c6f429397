//go:build !race

package exec

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/internal/demo"
)

// Not under the race detector, whose shadow memory is several times ours.

// mostGrown is how much a run may grow, whatever its target does.
const mostGrown = 64 << 20

// watchMemory gives back what the process has no use for, and measures until
// the test ends how much more of it is resident; the function that it returns
// tells the most so far.
func watchMemory(t *testing.T) func() int64 {
	t.Helper()
	debug.FreeOSMemory()
	before, err := residentBytes()
	if err != nil {
		t.Fatal(err)
	}
	var most atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(2 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
			if now, err := residentBytes(); err == nil {
				most.Store(max(most.Load(), now-before))
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
	})
	return most.Load
}

// residentBytes reads VmRSS.
func residentBytes() (int64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, after, _ := bytes.Cut(text, []byte("VmRSS:"))
	var kib int64
	if _, err := fmt.Sscanf(string(after), "%d kB", &kib); err != nil {
		return 0, fmt.Errorf("VmRSS: %w", err)
	}
	return kib << 10, nil
}

// The target lives in the same process, so what it needs counts as well, and
// the collector lets the heap grow by the 24 MiB of the corpus itself: therefore
// each group is measured from a beginning of its own. How the requests end is
// another test's matter: here it depends on who comes first to what all of them
// may hold.
func TestHostileCorpusTakesLittleMemory(t *testing.T) {
	leaveNothing(t)
	const claimed = 10 << 20
	times := func(n int, a demo.Answer) demo.Answer {
		return func(c *demo.RawConn, q *demo.RawRequest) {
			for range n {
				a(c, q)
			}
		}
	}
	x := strings.Repeat("x", 64<<10)
	some, piece := say(x), fmt.Sprintf("%x\r\n%s\r\n", len(x), x)
	whole := say(okHead + fmt.Sprintf("Content-Length: %d\r\n\r\n", claimed))
	bomb := gzipBomb()
	lines := strings.Repeat("X: y\r\n", 100)
	kept := func(a demo.Answer) hostility { return hostility{answer: a, more: keeping} }
	corpus := map[string][]hostility{
		"bodies that are kept and never end": {
			kept(demo.Endless(okHead+"\r\n", x, 0)),
			kept(demo.Endless(chunked, piece, 0)),
			kept(demo.Endless(chunked+"9fffff\r\n", x, 0)),
			kept(demo.Endless(okHead+"\r\n", x, 2*time.Millisecond)),
			kept(demo.Endless(chunked, piece, 2*time.Millisecond)),
		},
		"bodies that stop short of their end": {
			kept(then(whole, times(claimed/len(x)-1, some))),
			kept(then(whole, times(17, some))),
			kept(then(whole, times(5, some))),
			kept(then(whole, some)),
			kept(whole),
		},
		"large bodies that do end": {
			kept(then(whole, times(claimed/len(x), some))),
			kept(then(say(chunked), times(100, say(piece)), say("0\r\n\r\n"))),
			kept(say(fmt.Sprintf("%sContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", okHead, len(bomb), bomb))),
			{answer: then(whole, times(claimed/len(x), some))}, // and nobody looks at it
		},
		"heads and trailers": {
			{answer: demo.Endless(okHead, lines, time.Millisecond)},
			kept(demo.Endless(chunked+"0\r\n", lines, time.Millisecond)),
			{answer: say(okHead + strings.Repeat("X: "+x[:95]+"\r\n", 600))}, // and no end
			{answer: demo.Endless("", hints, time.Millisecond)},
		},
	}
	for _, c := range canned(t) {
		const name = "malformed responses"
		corpus[name] = append(corpus[name], kept(demo.Say(string(c.Response), demo.HalfClose)))
	}
	for name, table := range corpus {
		t.Run(name, func(t *testing.T) {
			grown := watchMemory(t)
			for part := range slices.Chunk(table, 50) {
				answers := map[string]demo.Answer{}
				for i, h := range part {
					answers[fmt.Sprintf("h%d", i)] = h.answer
				}
				raw := startRaw(t, demo.Serve(demo.ByPath(answers)))
				s := siege{users: max(100/len(part), 1), pause: 50 * time.Millisecond, timeout: time.Second}
				r := runAgainst(t, t.Context(), driverLoop, raw.Addr, s.spec(part), 2)
				row, ledger := total(r), settle(t, raw)
				if got := ledger.Requests + ledger.Partial; row.Requests == 0 || row.Requests != got || len(ledger.Twice()) > 0 {
					t.Errorf("%d requests, the target received %d; sent twice: %.300q", row.Requests, got, ledger.Twice())
				}
			}
			most := grown()
			t.Logf("grown by %.1f MiB", float64(most)/(1<<20))
			if most > mostGrown {
				t.Errorf("the process grew by %.1f MiB, and %d are promised", float64(most)/(1<<20), mostGrown>>20)
			}
		})
	}
}
