//go:build !race

package httpwire

import (
	"slices"
	"strings"
	"testing"
)

// Not under the race detector: there sync.Pool drops buffers on purpose.
func TestCutResponsesCostNoAllocationOnceThePoolIsWarm(t *testing.T) {
	large := []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n" + strings.Repeat("x", 20000) + "\r\n0\r\n\r\n")
	_, chained := largeBody(3 << 20)
	for name, in := range map[string][]byte{"small": smallJSON, "grows twice": large, "chained": chained} {
		for _, step := range []int{1, 10, 1000} {
			if len(in) > 1<<20 {
				step *= 1000
			}
			for _, end := range []string{"Release", "Reset"} {
				var p Parser
				runs := 100
				if len(in) > 1<<20 {
					runs = 20
				}
				n := testing.AllocsPerRun(runs, func() {
					p.Reset(false, true)
					p.Feed(in[:1])
					for piece := range slices.Chunk(in[1:], step) {
						p.Feed(piece)
					}
					if len(p.Body()) < 100 {
						t.Fatal(len(p.Body()))
					}
					if end == "Release" {
						p.Release()
					}
				})
				if n != 0 {
					t.Errorf("%s in pieces of %d, ended by %s: %v allocations", name, step, end, n)
				}
				p.Release()
			}
		}
	}
}
