package exec

import (
	"testing"
)

// hotPath is one request of a closed user with no think time, without the
// kernel: next step, render, judge, record.
func hotPath(b *testing.B, endpoint, answer string) {
	p := compileText(b, `version: 1
name: bench
target: {url: "http://127.0.0.1:1"}
values: {kind: {x: 5, y: 3, z: 1}}
endpoints:
  login: {request: POST /login, save: {me: id}}
  a: `+endpoint+`
personas: {p: {think: 0s, on_start: [login], tasks: {a: 1}}}
stages: [{steady: {users: 50, for: 1h}}]
slos: [p95 < 200ms, p99 < 500ms, errors < 1%]
`, 1)
	var line timeline
	line.begin(Span{Phase: phaseMoving(0), Moving: true})
	line.begin(Span{Phase: phaseHold(0), Start: 1})
	c := newCast(p, &line, 0, 1, "bench", 0)
	way := course{level: []int{0}}
	c.announce(cue{part: way.enter(&p.stages[0], 0)})
	c.announce(cue{part: way.enter(&p.stages[0], 1), start: 1, partNo: 1})
	now := int64(2)
	c.advance(now, nil)
	var out, scratch []byte
	body := []byte(answer)
	var queue []int32
	turn := func() {
		k := c.outbox
		c.outbox = queue[:0]
		for _, i := range k {
			c.begin(i, now)
			text, _, spare, err := c.render(i, now, out[:0], scratch)
			if err != nil {
				b.Fatal(err)
			}
			if c.users[i].call.static == nil {
				out = text
			}
			scratch = spare
			now += 1000
			c.done(i, trip{sent: now - 900, first: now, done: now, in: 200, out: int64(len(text)), reused: true}, reply{status: 200, body: body})
		}
		queue = k
	}
	for range 100 { // every user has its buffers and every series its pages
		turn()
	}
	sent := 0
	b.ReportAllocs()
	b.ResetTimer()
	for sent < b.N {
		sent += len(c.outbox)
		turn()
	}
}

func BenchmarkGetWithoutSlots(b *testing.B) {
	hotPath(b, "GET /api/v1/incidents/active", `{"id": "abc"}`)
}

func BenchmarkPostWithFiveSlotsAndASave(b *testing.B) {
	hotPath(b, `{request: "POST /api/v1/alerts/${me}", json: {id: "${uuid()}", kind: "${pick(kind)}", n: "${int(1, 10000)}", x: "${float(0.7, 1)}", at: "${now()}"}, save: {me: id}, expect: {json: {id: exists}}}`,
		`{"id": "5b1f7c0e-1f2b-4f7c-9d9e-0a1b2c3d4e5f", "status": "pending"}`)
}
