package exec

import (
	"container/heap"
	"fmt"
	"strings"
	"time"

	"tollgate/internal/measure"
	"tollgate/pkg/spec"
)

// sim runs a plan in virtual time: the real conductor's order of things and the
// real casts, with a target that is a function. An hour takes milliseconds.
type sim struct {
	t     failer
	plan  *Plan
	line  timeline
	casts []*cast
	now   int64
	// answer says how long a request takes and how it ends.
	answer func(s sent) (latency time.Duration, status int, body string)
	log    []sent // every request in the order of sending
	parts  []Span // as they began
	active []int  // by second: users active at its end
	second int64
	heap   inFlight
}

// failer is what *testing.T and *rapid.T have in common.
type failer interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// sent is one request that the target saw.
type sent struct {
	loop    int
	user    int32
	id      int64
	persona string
	row     string
	iter    uint32
	at      int64
	due     int64
	request string
}

type flight struct {
	at   int64
	loop int
	user int32
	trip trip
	r    reply
	fail bool
	gen  int64
}

type inFlight []flight

func (h inFlight) Len() int           { return len(h) }
func (h inFlight) Less(i, j int) bool { return h[i].at < h[j].at }
func (h inFlight) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *inFlight) Push(x any)        { *h = append(*h, x.(flight)) }
func (h *inFlight) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

func compileText(t failer, text string, seed uint64) *Plan {
	t.Helper()
	s, faults := spec.Parse("test.yaml", []byte(text), spec.Options{})
	if s == nil {
		t.Fatalf("spec: %v", faults)
	}
	p, err := Compile(s, Options{Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newSim(t failer, p *Plan, loops int) *sim {
	s := &sim{t: t, plan: p}
	s.answer = func(sent) (time.Duration, int, string) { return 50 * time.Millisecond, 200, "{}" }
	for i := range loops {
		s.casts = append(s.casts, newCast(p, &s.line, i, loops, "sim", 0))
	}
	return s
}

// run walks all parts and drains, as the conductor does.
func (s *sim) run() *measure.Snapshot {
	s.t.Helper()
	at := int64(0)
	way := course{level: make([]int, len(s.plan.personas))}
	for no := range s.plan.stages {
		st := &s.plan.stages[no]
		for k := range st.parts {
			pt := way.enter(st, k)
			sp := pt.span(no, st, at)
			s.line.begin(sp)
			s.parts = append(s.parts, sp)
			for _, c := range s.casts {
				c.announce(cue{stageNo: no, partNo: k, part: pt, start: at})
			}
			end := at + int64(pt.over)
			if !pt.settle { // what is known ahead is announced ahead
				s.until(max(s.now, end-1))
			} else {
				s.until(end)
				for !s.settled() {
					next := s.next()
					if next >= never {
						s.t.Fatal("set-up never ends")
					}
					s.until(next)
				}
				end = max(end, s.now)
			}
			at = end
		}
	}
	s.line.begin(s.plan.drainSpan(len(s.plan.stages)-1, at))
	for _, c := range s.casts {
		c.announce(cue{start: at, last: true})
	}
	s.until(at)
	limit := s.now + s.plan.Layout.Timeout
	for !s.quiet() && s.next() <= limit {
		s.until(s.next())
	}
	for _, c := range s.casts {
		c.drain(true)
	}
	for _, f := range s.heap {
		c := s.casts[f.loop]
		if u := &c.users[f.user]; u.state != busy || u.start != f.gen {
			continue // timed out since
		}
		f.trip.done = s.now
		c.fail(f.user, f.trip, measure.Aborted, "end")
	}
	s.line.finish(s.now)
	var parts []*measure.Snapshot
	for _, c := range s.casts {
		parts = append(parts, c.rec.Snapshot())
	}
	snap, err := measure.Merge(parts...)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := snap.Check(); err != nil {
		s.t.Fatal(err)
	}
	return snap
}

func (s *sim) settled() bool {
	for _, c := range s.casts {
		if c.starting > 0 || c.moving {
			return false
		}
	}
	return true
}

func (s *sim) quiet() bool {
	for _, c := range s.casts {
		if !c.quiet() {
			return false
		}
	}
	return true
}

func (s *sim) next() int64 {
	at := never
	for _, c := range s.casts {
		at = min(at, c.next())
	}
	if len(s.heap) > 0 {
		at = min(at, s.heap[0].at)
	}
	return at
}

// until moves virtual time forward, event by event.
func (s *sim) until(end int64) {
	s.step(s.now)
	for {
		at := s.next()
		if at > end {
			break
		}
		s.clock(at)
		s.step(max(at, s.now))
	}
	s.clock(end)
	s.now = max(s.now, end)
}

// clock notes how many users are active at the end of each second passed.
func (s *sim) clock(at int64) {
	for ; (s.second+1)*1e9 <= at; s.second++ {
		n := 0
		for _, c := range s.casts {
			for p := range c.stats.active {
				n += int(c.stats.active[p].Load())
			}
		}
		s.active = append(s.active, n)
	}
}

func (s *sim) step(now int64) {
	s.now = now
	for len(s.heap) > 0 && s.heap[0].at <= now {
		f := heap.Pop(&s.heap).(flight)
		c := s.casts[f.loop]
		u := &c.users[f.user]
		if u.state != busy || u.start != f.gen {
			continue // timed out since
		}
		f.trip.done = f.at
		if f.fail {
			c.fail(f.user, f.trip, measure.Reset, "reset")
		} else {
			c.done(f.user, f.trip, f.r)
		}
		s.flush(c)
	}
	for _, c := range s.casts {
		c.advance(now, func(i int32) {
			c.fail(i, trip{sent: c.users[i].start, done: now}, measure.Timeout, "timeout")
		})
		s.flush(c)
	}
}

func (s *sim) flush(c *cast) {
	c.hangup = c.hangup[:0]
	for k := 0; k < len(c.outbox); k++ {
		i := c.outbox[k]
		if !c.begin(i, s.now) {
			continue
		}
		u := &c.users[i]
		text, _, _, err := c.render(i, s.now, nil, nil)
		t := trip{sent: s.now, out: int64(len(text))}
		if err != nil {
			t.sent, t.done = 0, s.now
			c.fail(i, t, measure.Check, err.Error())
			continue
		}
		step := s.plan.Layout.Steps[u.call.step]
		x := sent{
			loop: c.loop, user: i, id: u.id, persona: step.Persona, row: step.Name,
			iter: u.iter, at: s.now, due: u.due, request: string(text),
		}
		s.log = append(s.log, x)
		latency, status, body := s.answer(x)
		heap.Push(&s.heap, flight{
			at: s.now + int64(latency), loop: c.loop, user: i, trip: t,
			r: reply{status: status, body: []byte(body)}, fail: status == 0, gen: u.start,
		})
	}
	c.outbox = c.outbox[:0]
}

func (s *sim) rows() map[string]int {
	out := map[string]int{}
	for _, x := range s.log {
		out[x.row]++
	}
	return out
}

// specText joins a spec from what a test cares about.
func specText(personas, stages string, more ...string) string {
	return fmt.Sprintf(`version: 1
name: test
target: {url: "http://127.0.0.1:1", timeout: 10s}
endpoints:
  a: GET /a
  b: GET /b
  login: {request: POST /login, json: {n: "${user.id}"}, save: {token: token}}
  list: {request: GET /list, save: {id: 0.id}}
  item: GET /items/${id}
personas:
%s
stages:
%s
%s
`, indent(personas), indent(stages), strings.Join(more, "\n"))
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  ")
}
