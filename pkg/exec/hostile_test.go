package exec

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/internal/demo"
	"tollgate/internal/httpwire"
	"tollgate/internal/measure"
)

// The engine against targets that break every rule. In all of it each request
// is counted once, which is checked from the other side: every request has a
// path of its own, so that the target's ledger would show one that was sent
// twice.

var mutants = flag.Int("hostile", 300, "damaged responses that the engine is to survive")

const (
	shortTimeout = 300 * time.Millisecond // for requests that are to time out
	longTimeout  = 5 * time.Second        // for those that are not, on a machine that is busy
)

// A hostility is something a target does, and how requests must end that meet it.
type hostility struct {
	name   string
	answer demo.Answer
	// method and more are of the endpoint: GET, and nothing, unless set.
	method, more string
	// want are the outcomes that are right.
	want []measure.Outcome
}

func only(o ...measure.Outcome) []measure.Outcome { return o }

// A siege is how the hostilities of a table are met, on one target, for 400 ms.
type siege struct {
	script  func(demo.Answer) demo.Script
	users   int // for each hostility
	pause   time.Duration
	timeout time.Duration
}

// lay lets users meet every hostility of a table.
func (s siege) lay(t *testing.T, by string, table []hostility) {
	t.Helper()
	answers := map[string]demo.Answer{}
	for i, h := range table {
		answers[fmt.Sprintf("h%d", i)] = h.answer
	}
	raw := startRaw(t, s.script(demo.ByPath(answers)))
	watch := watchMachine(t)
	r := runAgainst(t, t.Context(), by, raw.Addr, s.spec(table), 1)
	noise := watch()
	ledger := settle(t, raw)

	received := byFirst(ledger)
	for _, row := range r.Snapshot.Rows() {
		var i int
		fmt.Sscanf(row.Name, "h%d", &i)
		h := table[i]
		if row.Requests < uint64(s.users) || row.Requests != received[row.Name] {
			t.Errorf("%s: %d requests, the target received %d", h.name, row.Requests, received[row.Name])
		}
		right := uint64(0)
		for _, o := range h.want {
			right += row.Outcomes[o]
		}
		if right != row.Requests {
			t.Errorf("%s: outcomes %v of %d, want only %v", h.name, outcomes(row), row.Requests, h.want)
		}
		onTime(t, h.name, row, s.timeout, noise)
	}
	consistent(t, r, ledger)
}

// spec has an endpoint and a persona for each hostility. Paths are
// /hI/USER/ITERATION.
func (s siege) spec(table []hostility) string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nname: hostile\ntarget: {url: \"http://127.0.0.1:1\", timeout: %v}\nvalues: {big: %s}\nendpoints:\n", s.timeout, big)
	for i, h := range table {
		method := h.method
		if method == "" {
			method = "GET"
		}
		fmt.Fprintf(&b, "  h%d: {request: \"%s /h%d/${user.id}/${iteration}\"%s}\n", i, method, i, h.more)
	}
	b.WriteString("personas:\n")
	for i := range table {
		fmt.Fprintf(&b, "  p%d: {think: %v..%v, tasks: {h%d: 1}}\n", i, s.pause, 2*s.pause, i)
	}
	fmt.Fprintf(&b, "stages: [{steady: {users: %d, for: 400ms}}]\n", s.users*len(table))
	return b.String()
}

// uploading gives an endpoint a body of 5 MB: more than the kernel takes for a
// target that does not read.
var uploading = `, body: "` + strings.Repeat("${big}", 84) + `"`

var big = strings.Repeat("x", 60<<10)

// keeping makes an endpoint's body one that is kept and looked at.
const keeping = `, expect: {body: {matches: "^"}}`

func startRaw(t *testing.T, s demo.Script) *demo.Raw {
	t.Helper()
	raw, err := demo.StartRaw("127.0.0.1:0", s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	return raw
}

// settle closes a target and returns its final ledger.
func settle(t *testing.T, raw *demo.Raw) demo.RawLedger {
	t.Helper()
	if err := raw.Close(); err != nil {
		t.Error(err)
	}
	return raw.Ledger()
}

// consistent checks what holds against every target whose ledger misses nothing.
func consistent(t *testing.T, r *Result, ledger demo.RawLedger) {
	t.Helper()
	row := total(r)
	onceEach(t, row, ledger)
	if got := ledger.Requests + ledger.Partial; row.Requests != got {
		t.Errorf("%d requests, the target received %d and the beginnings of %d", row.Requests, ledger.Requests, ledger.Partial)
	}
	if ledger.Partial == 0 && row.BytesOut != ledger.Bytes {
		t.Errorf("%d bytes sent, %d received", row.BytesOut, ledger.Bytes)
	}
}

// onceEach checks what holds against every target.
func onceEach(t *testing.T, row measure.Row, ledger demo.RawLedger) {
	t.Helper()
	if ledger.Malformed != "" {
		t.Errorf("a request was malformed: %s", ledger.Malformed)
	}
	if twice := ledger.Twice(); len(twice) > 0 {
		t.Errorf("sent twice: %.300q", twice)
	}
	sum := uint64(0)
	for _, n := range row.Outcomes {
		sum += n
	}
	if row.Requests != sum || row.Planned != row.Requests+row.NotIssued {
		t.Errorf("planned %d, requests %d, not issued %d, outcomes %v", row.Planned, row.Requests, row.NotIssued, outcomes(row))
	}
	if row.Requests == 0 || row.Aborted+row.Lost+row.Outcomes[measure.Generator] > 0 {
		t.Errorf("%d requests, outcomes %v, %d lost", row.Requests, outcomes(row), row.Lost)
	}
}

// onTime checks that requests that were cut off were so at their deadline.
func onTime(t *testing.T, name string, row measure.Row, timeout, noise time.Duration) {
	t.Helper()
	const late = 100 * time.Millisecond
	if row.Outcomes[measure.Timeout] == row.Requests && time.Duration(row.Failed.Min) < timeout {
		t.Errorf("%s: timed out after %v, before the deadline", name, time.Duration(row.Failed.Min))
	}
	if longest := time.Duration(max(row.Failed.Max, row.Success.Max)); longest > timeout+late+noise {
		t.Errorf("%s: a request took %v with a timeout of %v (a bystander was up to %v late)", name, longest, timeout, noise)
	}
}

func outcomes(row measure.Row) string {
	var out []string
	for o, n := range row.Outcomes {
		if n > 0 {
			out = append(out, fmt.Sprintf("%s %d", measure.Outcome(o), n))
		}
	}
	return "{" + strings.Join(out, ", ") + "}"
}

// watchMachine begins to measure how late this machine wakes a bystander up,
// and returns a function that ends it and tells the worst: no engine can be
// more punctual than that.
func watchMachine(t *testing.T) func() time.Duration {
	const every = 2 * time.Millisecond
	stop, worst := make(chan struct{}), make(chan time.Duration)
	go func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		late, last := time.Duration(0), time.Now()
		for {
			select {
			case <-stop:
				worst <- late
				return
			case <-ticker.C:
			}
			now := time.Now()
			late, last = max(late, now.Sub(last)-every), now
		}
	}()
	end := sync.OnceValue(func() time.Duration {
		close(stop)
		return <-worst
	})
	t.Cleanup(func() { end() })
	return end
}

// leaveNothing checks, when the test ends, that it has left neither
// descriptors nor goroutines behind. Only for tests that do not run beside others.
func leaveNothing(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") // the runtime's own poller is there from here on
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	files, routines := descriptors(t), runtime.NumGoroutine()
	t.Cleanup(func() {
		for end := time.Now().Add(2 * time.Second); time.Now().Before(end); runtime.Gosched() {
			if descriptors(t) <= files && runtime.NumGoroutine() <= routines {
				return
			}
		}
		t.Errorf("descriptors: %d before, %d after; goroutines: %d before, %d after",
			files, descriptors(t), routines, runtime.NumGoroutine())
	})
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// byFirst sums the ledger's requests by the first element of their paths.
func byFirst(l demo.RawLedger) map[string]uint64 {
	sums := map[string]uint64{}
	for path, n := range l.Paths {
		first, _, _ := strings.Cut(path[1:], "/")
		sums[first] += n
	}
	return sums
}

// canned are the malformed responses made by hand.
func canned(t testing.TB) []demo.Canned {
	t.Helper()
	f, err := os.Open("../../internal/httpwire/testdata/hostile.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, err := demo.ReadCanned(f)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 60 {
		t.Fatalf("only %d malformed responses", len(list))
	}
	return list
}

// classOf is the outcome of a response that the parser refuses.
func classOf(err error) measure.Outcome {
	switch {
	case errors.Is(err, httpwire.ErrTooLarge):
		return measure.TooLarge
	case errors.Is(err, httpwire.ErrEarlyClose), errors.Is(err, httpwire.ErrTruncated):
		return measure.Reset
	}
	return measure.Protocol
}

func TestMalformedResponseEndsInItsClass(t *testing.T) {
	overDrivers(t, malformedResponseEndsInItsClass)
}

func malformedResponseEndsInItsClass(t *testing.T, by string) {
	leaveNothing(t)
	classes := map[string]measure.Outcome{
		"ErrHeaderTooLarge": measure.TooLarge, "ErrBodyTooLarge": measure.TooLarge,
		"ErrEarlyClose": measure.Reset, "ErrTruncated": measure.Reset,
	}
	var table []hostility
	for _, c := range canned(t) {
		class, ok := classes[c.Error]
		if !ok {
			class = measure.Protocol
		}
		whole, pieces := demo.Say(string(c.Response), demo.HalfClose), demo.Pieces(string(c.Response), 40, 1, demo.HalfClose)
		table = append(table, hostility{
			name: c.Name,
			answer: func(c *demo.RawConn, q *demo.RawRequest) {
				if q.Serial%2 == 0 {
					whole(c, q)
					return
				}
				pieces(c, q)
			},
			more: keeping,
			want: only(class),
		})
		if len(c.Response) > 4<<10 { // in pieces it would take longer than the timeout
			table[len(table)-1].answer = whole
		}
	}
	for part := range slices.Chunk(table, 70) { // a spec has at most 100 personas
		siege{demo.Serve, 2, 150 * time.Millisecond, longTimeout}.lay(t, by, part)
	}
}

const okHead = "HTTP/1.1 200 OK\r\n"

// then joins answers: each goes on where the one before has left off.
func then(parts ...demo.Answer) demo.Answer {
	return func(c *demo.RawConn, q *demo.RawRequest) {
		for _, a := range parts {
			a(c, q)
		}
	}
}

func say(text string) demo.Answer { return demo.Say(text, demo.Stay) }

// gzipBomb is a body of a megabyte that inflates to a gigabyte.
func gzipBomb() string {
	var member bytes.Buffer
	w := gzip.NewWriter(&member)
	_, _ = w.Write(make([]byte, 1<<20)) // into memory: never fails
	_ = w.Close()
	return strings.Repeat(member.String(), 1<<10)
}

const (
	chunked = okHead + "Transfer-Encoding: chunked\r\n\r\n"
	hints   = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
)

func TestRequestThatHasNoEndEndsAtItsDeadline(t *testing.T) {
	overDrivers(t, requestThatHasNoEndEndsAtItsDeadline)
}

func requestThatHasNoEndEndsAtItsDeadline(t *testing.T, by string) {
	leaveNothing(t)
	const drop = 20 * time.Millisecond // the deadline allows 15 of them
	drip := func(text string) demo.Answer { return demo.Drip(text, drop, demo.Stay) }
	x := strings.Repeat("x", 100)
	answers := map[string]demo.Answer{
		"silence":                            demo.Silence,
		"head, one byte at a time":           drip(okAnswer),
		"body, one byte at a time":           then(say(okHead+"Content-Length: 100\r\n\r\n"), drip(x)),
		"body until the close, drop by drop": demo.Drip(okHead+"\r\n"+x, drop, demo.HalfClose),
		"chunk size, one digit at a time":    then(say(chunked), drip(strings.Repeat("0", 100))),
		"trailer, one byte at a time":        then(say(chunked+"0\r\n"), drip(x)),
		"endless headers, slowly":            demo.Endless(okHead, "X: y\r\n", drop),
		"endless body, slowly":               demo.Endless(okHead+"\r\n", strings.Repeat(x, 10), drop),
		"endless chunks, slowly":             demo.Endless(chunked, "5\r\nhello\r\n", drop),
		"interim responses, slowly":          demo.Endless("", hints, 4*drop),
		"interim responses only":             say(hints),
		"half a status line":                 say("HTTP/1.1 2"),
		"half a head":                        say(okHead + "Content-Length: 2\r\n"),
		"half a body":                        say(okHead + "Content-Length: 2\r\n\r\n{"),
		"no last chunk":                      say(chunked + "2\r\n{}\r\n"),
		"no end of the trailer":              say(chunked + "0\r\nX: y\r\n"),
		"no close after the body":            say(okHead + "\r\n{}"),
	}
	var table []hostility
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		for _, more := range []string{"", keeping} {
			table = append(table, hostility{name: name + more, answer: answers[name], more: more, want: only(measure.Timeout)})
		}
	}
	siege{demo.Serve, 2, 20 * time.Millisecond, shortTimeout}.lay(t, by, table)
}

func TestHostileAnswerEndsItsRequestAndNoOther(t *testing.T) {
	overDrivers(t, hostileAnswerEndsItsRequestAndNoOther)
}

func hostileAnswerEndsItsRequestAndNoOther(t *testing.T, by string) {
	leaveNothing(t)
	ok, reset := only(measure.OK), only(measure.Reset)
	protocol, large := only(measure.Protocol), only(measure.TooLarge)
	const closing = okHead + "Connection: close\r\nContent-Length: 2\r\n\r\n{}"
	line := strings.Repeat("X: y\r\n", 100)
	x := strings.Repeat("x", 1000)
	bomb := gzipBomb()
	siege{demo.Serve, 2, 20 * time.Millisecond, longTimeout}.lay(t, by, []hostility{
		{name: "nothing is wrong", answer: say(okAnswer), want: ok},
		{name: "endless headers", answer: demo.Endless(okHead, line, 0), want: large},
		{name: "endless name", answer: demo.Endless(okHead, x, 0), want: large},
		{name: "endless reason", answer: demo.Endless("HTTP/1.1 200 ", x, 0), want: large},
		{name: "endless trailer", answer: demo.Endless(chunked+"0\r\n", line, 0), want: large},
		{name: "endless chunk extension", answer: demo.Endless(chunked+"5;", x, 0), want: protocol},
		{name: "endless interim responses", answer: demo.Endless("", hints, 0), want: protocol},

		{name: "closed before the answer", answer: demo.Say("", demo.HangUp), want: reset},
		{name: "half closed before the answer", answer: demo.Say("", demo.HalfClose), want: reset},
		{name: "reset before the answer", answer: demo.Say("", demo.Reset), want: reset},
		{name: "closed within the head", answer: demo.Say(okHead, demo.HangUp), want: reset},
		{name: "closed within the body", answer: demo.Say(okHead+"Content-Length: 9\r\n\r\nx", demo.HangUp), want: reset},
		{name: "half closed within the body", answer: demo.Say(okHead+"Content-Length: 9\r\n\r\nx", demo.HalfClose), want: reset},
		{name: "reset within the body", answer: demo.Say(okHead+"Content-Length: 9\r\n\r\nx", demo.Reset), want: reset},
		{name: "reset in the place of the close", answer: demo.Say(okHead+"\r\nx", demo.Reset), want: reset},
		{name: "closed after an interim response", answer: demo.Say(hints, demo.HangUp), want: reset},

		{name: "two responses at once", answer: say(okAnswer + okAnswer), want: ok},
		{name: "two responses, one after the other", answer: demo.Twice(okAnswer, 5*time.Millisecond, demo.Stay), want: ok},
		{name: "a response and the beginning of another", answer: say(okAnswer + "HTTP/1.1 500"), want: ok},
		{name: "a response and noise", answer: say(okAnswer + "\x00\xff\r\n"), want: ok},
		{name: "HEAD with a body", answer: say(okAnswer), method: "HEAD", want: ok},
		{name: "204 with a body", answer: say("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}"), want: ok},
		{name: "304 with a body", answer: say("HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n{}"), want: ok},
		{name: "closed behind the answer, as announced", answer: demo.Say(closing, demo.HangUp), want: ok},
		{name: "reset behind the answer", answer: demo.Say(closing, demo.Reset), want: ok},
		{name: "a close that is announced and never comes", answer: say(closing), want: ok},
		{name: "five interim responses", answer: say(strings.Repeat(hints, 5) + okAnswer), want: ok},
		{name: "60 KB of cookies", answer: say(okHead + strings.Repeat("Set-Cookie: a="+x+"\r\n", 60) + "Content-Length: 0\r\n\r\n"), want: ok},
		{name: "one byte to a chunk", answer: say(chunked + strings.Repeat("1\r\nx\r\n", 10_000) + "0\r\n\r\n"), want: ok},
		{name: "in pieces", answer: demo.Pieces(okAnswer, 3, 1, demo.Stay), want: ok},
		// What it inflates to is what a cap would be about: it may be refused.
		{name: "gzip bomb", answer: say(fmt.Sprintf("%sContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", okHead, len(bomb), bomb)), more: keeping, want: []measure.Outcome{measure.OK, measure.TooLarge}},
	})
}

func TestFloodingTargetDoesNotKeepTheLoopFromItsOtherUsers(t *testing.T) {
	overDrivers(t, floodingTargetDoesNotKeepTheLoopFromItsOtherUsers)
}

func floodingTargetDoesNotKeepTheLoopFromItsOtherUsers(t *testing.T, by string) {
	leaveNothing(t)
	flood := strings.Repeat("x", 1<<20)
	siege{demo.Serve, 2, 20 * time.Millisecond, time.Second}.lay(t, by, []hostility{
		{name: "flood until the close", answer: demo.Endless(okHead+"\r\n", flood, 0), want: only(measure.Timeout)},
		{name: "flood of one chunk", answer: demo.Endless(okHead+"Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n", flood, 0), want: only(measure.Timeout)},
		{name: "flood of chunks", answer: demo.Endless(okHead+"Transfer-Encoding: chunked\r\n\r\n", "100000\r\n"+flood+"\r\n", 0), want: only(measure.Timeout)},
		{name: "honest", answer: say(okAnswer), want: only(measure.OK)},
		{name: "silence", answer: demo.Silence, want: only(measure.Timeout)},
	})
}

func TestAnswerThatComesBeforeTheRequestIsSent(t *testing.T) {
	overDrivers(t, answerThatComesBeforeTheRequestIsSent)
}

func answerThatComesBeforeTheRequestIsSent(t *testing.T, by string) {
	leaveNothing(t)
	const refusal = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\n{}"
	hold := func(c *demo.RawConn, _ *demo.RawRequest) {
		c.Pause(time.Hour) // until the target closes
		c.Part(demo.HangUp)
	}
	later := func(c *demo.RawConn, _ *demo.RawRequest) { c.Pause(50 * time.Millisecond) }
	table := []hostility{
		{name: "refused, and the body is read", answer: say(refusal), want: only(measure.Status)},
		{name: "refused, and the body is read later", answer: then(say(refusal), later), want: only(measure.Status)},
		{name: "refused and half closed", answer: demo.Say(refusal, demo.HalfClose), want: only(measure.Status)},
		{name: "refused and hung up", answer: demo.Say(refusal, demo.HangUp), want: only(measure.Status)},
		{name: "refused and reset", answer: demo.Say(refusal, demo.Reset), want: only(measure.Status)},
		{name: "accepted and hung up", answer: demo.Say(okAnswer, demo.HangUp), want: only(measure.OK)},
		{name: "reset", answer: demo.Say("", demo.Reset), want: only(measure.Reset)},
		{name: "nonsense", answer: then(say("nonsense\r\n"), hold), want: only(measure.Protocol)},
		{name: "never read", answer: hold, want: only(measure.Timeout)},
		{name: "interim response, and never read", answer: then(say(hints), hold), want: only(measure.Timeout)},
	}
	for i := range table {
		table[i].method, table[i].more = "POST", uploading
	}
	siege{demo.ServeEarly, 1, 150 * time.Millisecond, time.Second}.lay(t, by, table)
}
