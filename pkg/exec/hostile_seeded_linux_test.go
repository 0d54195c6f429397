package exec

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tollgate/internal/demo"
	"tollgate/internal/httpwire"
	"tollgate/internal/measure"
)

// A reckoning counts, on the target's side, how requests must end: by outcome
// and by the detail that the failure gives.
type reckoning struct {
	mu   sync.Mutex
	ends map[string]uint64
}

func (k *reckoning) expect(o measure.Outcome, detail string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ends == nil {
		k.ends = map[string]uint64{}
	}
	k.ends[o.String()+": "+detail]++
}

// compare says where a run's outcomes are not those that were expected.
func (k *reckoning) compare(t *testing.T, r *Result) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	got := map[string]uint64{}
	for _, f := range r.Snapshot.Failures {
		got[f.Outcome.String()+": "+f.Message] += f.Count
	}
	if n := total(r).OK; n > 0 {
		got["ok: "] = n
	}
	for end := range maps.Keys(k.ends) {
		if got[end] != k.ends[end] {
			t.Errorf("%d ended as %q, want %d", got[end], end, k.ends[end])
		}
	}
	for end, n := range got {
		if k.ends[end] == 0 {
			t.Errorf("%d ended as %q, want none", n, end)
		}
	}
}

// oracle reads a response as a whole, and says how a request that it answers
// must end: open is whether the connection stays open behind it.
func oracle(response []byte, head, keep, open bool) (o measure.Outcome, detail string, reusable bool) {
	var p httpwire.Parser
	p.Reset(head, keep)
	_, done, err := p.Feed(response)
	if !done && err == nil {
		if open {
			return measure.Timeout, "no complete response within the timeout", false
		}
		done, err = p.EOF()
	}
	switch {
	case err != nil:
		return classOf(err), err.Error(), false
	case p.Status() >= 400:
		return measure.Status, fmt.Sprintf("status %d", p.Status()), p.KeepAlive()
	}
	return measure.OK, "", p.KeepAlive()
}

// hostileRun is a spec with an endpoint for each request line, each with users
// of its own, who pause so long.
func hostileRun(timeout time.Duration, think string, users int, length time.Duration, requests ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nname: hostile\ntarget: {url: \"http://127.0.0.1:1\", timeout: %v}\nendpoints:\n", timeout)
	for i, r := range requests {
		fmt.Fprintf(&b, "  e%d: {request: %s}\n", i, r)
	}
	b.WriteString("personas:\n")
	for i := range requests {
		fmt.Fprintf(&b, "  p%d: {think: %s, tasks: {e%d: 1}}\n", i, think, i)
	}
	fmt.Fprintf(&b, "stages: [{steady: {users: %d, for: %v}}]\n", users, length)
	return b.String()
}

func TestAnswerCutAtEveryByte(t *testing.T) { overDrivers(t, answerCutAtEveryByte) }

func answerCutAtEveryByte(t *testing.T, by string) {
	leaveNothing(t)
	var reckoned reckoning
	type cut struct {
		response string
		how      demo.Parting
		next     atomic.Int64
	}
	var cuts []*cut
	answers := map[string]demo.Answer{}
	var requests []string
	for _, response := range []string{
		okHead + "Connection: close\r\nContent-Length: 2\r\n\r\n{}",
		chunked[:len(chunked)-2] + "Connection: close\r\n\r\n2;a=b\r\n{}\r\n0\r\nX: y\r\n\r\n",
		okHead + "X: y\r\n\r\n{}",
		hints + "HTTP/1.0 200\r\nContent-Length: 2\r\n\r\n{}",
	} {
		for _, how := range []demo.Parting{demo.HalfClose, demo.HangUp, demo.Reset} {
			c := &cut{response: response, how: how}
			name := fmt.Sprintf("c%d", len(cuts))
			answers[name] = func(conn *demo.RawConn, q *demo.RawRequest) {
				n := int(c.next.Add(1)-1) % (len(c.response) + 1)
				o, detail, _ := oracle([]byte(c.response[:n]), false, n%2 == 0, c.how == demo.Reset)
				if o == measure.Timeout { // cut off, by a reset
					o, detail = measure.Reset, unix.ECONNRESET.Error()
				}
				reckoned.expect(o, detail)
				demo.Say(c.response[:n], c.how)(conn, q)
			}
			cuts = append(cuts, c)
			requests = append(requests, fmt.Sprintf(`"GET /%s/${user.id}/${iteration}"`, name))
		}
	}
	untried := func(c *cut) bool { return int(c.next.Load()) <= len(c.response) }
	for slices.ContainsFunc(cuts, untried) { // once, unless the machine is busy
		reckoned.ends = nil
		raw := startRaw(t, demo.Serve(demo.ByPath(answers)))
		r := runAgainst(t, t.Context(), by, raw.Addr, hostileRun(longTimeout, "1ms..2ms", 8*len(cuts), 700*time.Millisecond, requests...), 1)
		consistent(t, r, settle(t, raw))
		reckoned.compare(t, r)
		if t.Failed() {
			return
		}
	}
}

func TestDamagedResponseEndsAsTheParserSays(t *testing.T) {
	overDrivers(t, damagedResponseEndsAsTheParserSays)
}

func damagedResponseEndsAsTheParserSays(t *testing.T, by string) {
	leaveNothing(t)
	const seed = 11
	served := uint64(0)
	for served < uint64(*mutants) {
		first := served
		var reckoned reckoning
		answer := func(head, keep bool) demo.Answer {
			return func(c *demo.RawConn, q *demo.RawRequest) {
				n := first + q.Serial
				response := demo.Mutant(seed, n)
				parting := demo.HalfClose
				if n%4 == 0 {
					parting = demo.Stay
				}
				o, detail, reusable := oracle(response, head, keep, parting == demo.Stay)
				reckoned.expect(o, detail)
				if len(response) == 0 {
					c.Part(parting)
					return
				}
				demo.Say(string(response), parting)(c, q)
				if parting == demo.HalfClose && reusable {
					// A client whose next request is on its way already sees it lost.
					for c.Next() != nil {
						reckoned.expect(measure.Reset, httpwire.ErrEarlyClose.Error())
					}
				}
			}
		}
		raw := startRaw(t, demo.Serve(demo.ByPath(map[string]demo.Answer{
			"get": answer(false, false), "keep": answer(false, true), "head": answer(true, false), "post": answer(false, false),
		})))
		watch := watchMachine(t)
		r := runAgainst(t, t.Context(), by, raw.Addr, hostileRun(shortTimeout, "5ms..15ms", 80, 700*time.Millisecond,
			`"GET /get/${user.id}/${iteration}"`,
			`"GET /keep/${user.id}/${iteration}"`+keeping,
			`"HEAD /head/${user.id}/${iteration}"`,
			`"POST /post/${user.id}/${iteration}", json: {id: 7}`,
		), 1)
		noise := watch()
		ledger := settle(t, raw)
		consistent(t, r, ledger)
		reckoned.compare(t, r)
		for _, row := range r.Snapshot.Rows() {
			onTime(t, row.Name, row, shortTimeout, noise)
		}
		served += ledger.Requests
		if ledger.Requests == 0 || t.Failed() {
			t.Fatalf("seed %d: damaged responses from %d on, %d requests", seed, first, ledger.Requests)
		}
	}
}

const requestTimeout = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

// farewells are ways in which a target gets rid of an idle connection, by the
// first element of the path. From those in gone the kernel throws away what
// comes too late, so that the ledger misses it.
var (
	farewells = map[string]demo.Answer{
		"halfclose":    demo.Say("", demo.HalfClose),
		"close":        demo.Say("", demo.HangUp),
		"reset":        demo.Say("", demo.Reset),
		"408halfclose": demo.Say(requestTimeout, demo.HalfClose),
		"408close":     demo.Say(requestTimeout, demo.HangUp),
		"408reset":     demo.Say(requestTimeout, demo.Reset),
		"408":          demo.Say(requestTimeout, demo.Stay),
	}
	gone = []string{"close", "reset", "408close", "408reset"}
)

// partings are the paths of farewells, in the order of hostileRun's rows, and
// its requests for them.
func partings() (names, requests []string) {
	names = slices.Sorted(maps.Keys(farewells))
	for _, name := range names {
		requests = append(requests, fmt.Sprintf(`"GET /%s/${user.id}/${iteration}"`, name))
	}
	return names, requests
}

func TestKeepAliveRaceLosesOnlyWhatItMust(t *testing.T) {
	overDrivers(t, keepAliveRaceLosesOnlyWhatItMust)
}

func keepAliveRaceLosesOnlyWhatItMust(t *testing.T, by string) {
	leaveNothing(t)
	names, requests := partings()
	// Users pause about as long as the target waits for them.
	raw := startRaw(t, demo.Impatient(say(okAnswer), 5*time.Millisecond, 15*time.Millisecond, 5, demo.ByPath(farewells)))
	r := runAgainst(t, t.Context(), by, raw.Addr, hostileRun(longTimeout, "5ms..15ms", 10*len(requests), time.Second, requests...), 1)
	ledger := settle(t, raw)
	onceEach(t, total(r), ledger)
	received, late := byFirst(ledger), uint64(0)
	for i, row := range r.Snapshot.Rows() {
		name := names[i]
		lost := row.Requests - row.OK
		if row.OK == 0 || lost != row.Outcomes[measure.Reset]+row.Outcomes[measure.Status] {
			t.Errorf("%s: outcomes %v", name, outcomes(row))
		}
		if !strings.HasPrefix(name, "408") && row.Outcomes[measure.Status] > 0 {
			t.Errorf("%s: outcomes %v, and the target said nothing but ok", name, outcomes(row))
		}
		if slices.Contains(gone, name) {
			if row.OK != received[name] {
				t.Errorf("%s: %d ok, the target answered %d", name, row.OK, received[name])
			}
			continue
		}
		late += lost
		if row.Requests != received[name] {
			t.Errorf("%s: %d requests, the target received %d", name, row.Requests, received[name])
		}
	}
	if late != ledger.Late {
		t.Errorf("%d lost, %d came too late for the target", late, ledger.Late)
	}
}

func TestIdleConnectionThatEndsIsReplacedBeforeUse(t *testing.T) {
	overDrivers(t, idleConnectionThatEndsIsReplacedBeforeUse)
}

func idleConnectionThatEndsIsReplacedBeforeUse(t *testing.T, by string) {
	leaveNothing(t)
	const wait, pause = 5 * time.Millisecond, 200 * time.Millisecond
	names, requests := partings()
	raw := startRaw(t, demo.Impatient(say(okAnswer), wait, wait, 5, demo.ByPath(farewells)))
	watch := watchMachine(t)
	r := runAgainst(t, t.Context(), by, raw.Addr, hostileRun(longTimeout, pause.String(), 10*len(requests), 500*time.Millisecond, requests...), 1)
	noise := watch()
	ledger := settle(t, raw)
	onceEach(t, total(r), ledger)
	for i, row := range r.Snapshot.Rows() {
		// A machine that stands still for that long leaves nobody the time to see the end.
		if row.OK < row.Requests && noise < pause/2 {
			t.Errorf("%s: outcomes %v, want only ok (a bystander was up to %v late)", names[i], outcomes(row), noise)
		}
		if row.Requests < 20 {
			t.Errorf("%s: only %d requests of 10 users, so nothing was replaced", names[i], row.Requests)
		}
	}
	atMostOne(t, ledger, pause/2, noise)
}

// atMostOne checks that no connection carried more than one request, on a
// machine that did not stand still for so long.
func atMostOne(t *testing.T, l demo.RawLedger, still, noise time.Duration) {
	t.Helper()
	for i, c := range l.Conns {
		if c.Requests > 1 && noise < still {
			t.Errorf("connection %d carried %d requests (a bystander was up to %v late)", i, c.Requests, noise)
		}
	}
}

func TestConnectionThatSaidTooMuchIsNotUsedAgain(t *testing.T) {
	overDrivers(t, connectionThatSaidTooMuchIsNotUsedAgain)
}

func connectionThatSaidTooMuchIsNotUsedAgain(t *testing.T, by string) {
	leaveNothing(t)
	const pause = 200 * time.Millisecond
	answers := map[string]demo.Answer{
		"later":    demo.Twice(okAnswer, 5*time.Millisecond, demo.Stay),
		"twice":    say(okAnswer + okAnswer),
		"begun":    say(okAnswer + "HTTP/1.1 500"),
		"noise":    say(okAnswer + "\x00\xff\r\n"),
		"line":     say(okAnswer + "\r\n"),
		"headbody": say(okAnswer),
		"204body":  say("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}"),
		"304body":  say("HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n{}"),
		"closing":  say(okHead + "Connection: close\r\nContent-Length: 2\r\n\r\n{}"),
		"old":      say("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
	}
	var requests []string
	for name := range answers {
		method := "GET"
		if name == "headbody" {
			method = "HEAD"
		}
		requests = append(requests, fmt.Sprintf(`"%s /%s/${user.id}/${iteration}"`, method, name))
	}
	raw := startRaw(t, demo.Serve(demo.ByPath(answers)))
	watch := watchMachine(t)
	r := runAgainst(t, t.Context(), by, raw.Addr, hostileRun(longTimeout, pause.String(), 5*len(requests), 500*time.Millisecond, requests...), 1)
	noise := watch()
	ledger := settle(t, raw)
	consistent(t, r, ledger)
	for _, row := range r.Snapshot.Rows() {
		if row.OK != row.Requests || row.OK < 10 {
			t.Errorf("%s: outcomes %v, want two ok of each of 5 users", row.Name, outcomes(row))
		}
	}
	atMostOne(t, ledger, pause/2, noise)
}

func TestTargetThatDoesNotWaitForARequest(t *testing.T) {
	overDrivers(t, targetThatDoesNotWaitForARequest)
}

func targetThatDoesNotWaitForARequest(t *testing.T, by string) {
	leaveNothing(t)
	// So many that what the target does is there before the loop has come
	// round to see that it is connected.
	const users = 100
	end := func(how demo.Parting) demo.Script {
		return func(c *demo.RawConn) { c.Part(how) }
	}
	for name, tc := range map[string]struct {
		script  demo.Script
		timeout time.Duration
		want    []measure.Outcome
		misses  bool // the ledger misses what the kernel threw away
	}{
		"never reads":                    {demo.Mute, shortTimeout, only(measure.Timeout), false},
		"half closes at once":            {end(demo.HalfClose), longTimeout, only(measure.Reset), false},
		"closes at once":                 {end(demo.HangUp), longTimeout, []measure.Outcome{measure.Reset, measure.ConnectFail}, true},
		"resets at once":                 {end(demo.Reset), longTimeout, []measure.Outcome{measure.Reset, measure.ConnectFail}, true},
		"says 408 and closes":            {demo.Unasked(requestTimeout, demo.HalfClose, say(okAnswer)), longTimeout, []measure.Outcome{measure.Status, measure.Reset}, false},
		"is one answer ahead":            {demo.Unasked(okAnswer, demo.Stay, say(okAnswer)), longTimeout, only(measure.OK), false},
		"answers at the first byte":      {demo.ServeFirst(say(okAnswer)), longTimeout, only(measure.OK), false},
		"answers at the first byte, 503": {demo.ServeFirst(say("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")), longTimeout, only(measure.Status), false},
	} {
		t.Run(name, func(t *testing.T) {
			raw := startRaw(t, tc.script)
			watch := watchMachine(t)
			r := runAgainst(t, t.Context(), by, raw.Addr,
				hostileRun(tc.timeout, "20ms", users, 200*time.Millisecond, `"GET /${user.id}/${iteration}"`), 1)
			noise := watch()
			ledger := settle(t, raw)
			row := total(r)
			onceEach(t, row, ledger)
			if !tc.misses {
				consistent(t, r, ledger)
			}
			right := uint64(0)
			for _, o := range tc.want {
				right += row.Outcomes[o]
			}
			if right != row.Requests {
				t.Errorf("outcomes %v, want only %v", outcomes(row), tc.want)
			}
			onTime(t, name, row, tc.timeout, noise)
		})
	}
}

func TestConnectionThatIsNeverAcceptedEndsAtTheDeadline(t *testing.T) {
	overDrivers(t, connectionThatIsNeverAcceptedEndsAtTheDeadline)
}

func connectionThatIsNeverAcceptedEndsAtTheDeadline(t *testing.T, by string) {
	leaveNothing(t)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil { // the kernel takes one or two, and drops the rest
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := net.JoinHostPort("127.0.0.1", fmt.Sprint(name.(*unix.SockaddrInet4).Port))
	watch := watchMachine(t)
	r := runAgainst(t, t.Context(), by, addr, hostileRun(shortTimeout, "10ms", 10, 200*time.Millisecond, `"GET /${user.id}/${iteration}"`), 1)
	noise := watch()
	row := total(r)
	onceEach(t, row, demo.RawLedger{})
	if row.Outcomes[measure.Timeout] != row.Requests {
		t.Errorf("outcomes %v of %d", outcomes(row), row.Requests)
	}
	onTime(t, "never accepted", row, shortTimeout, noise)
}

func TestRequestsThroughAFaultyNetworkAreCountedOnce(t *testing.T) {
	overDrivers(t, requestsThroughAFaultyNetworkAreCountedOnce)
}

func requestsThroughAFaultyNetworkAreCountedOnce(t *testing.T, by string) {
	leaveNothing(t)
	body := strings.Repeat("x", 2000)
	answer := say(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", okHead, len(body), body))
	for name, tc := range map[string]struct {
		faults  demo.Faults
		timeout time.Duration
		want    []measure.Outcome // all of these, and no other
	}{
		"slow":          {demo.Faults{Latency: 10 * time.Millisecond, Jitter: 10 * time.Millisecond, Bandwidth: 100_000, Slice: 500}, longTimeout, only(measure.OK)},
		"too slow":      {demo.Faults{Latency: 400 * time.Millisecond}, shortTimeout, only(measure.Timeout)},
		"limits":        {demo.Faults{Limits: 1, Within: 6000}, longTimeout, []measure.Outcome{measure.OK, measure.Reset}},
		"resets":        {demo.Faults{Resets: 1, Within: 6000}, longTimeout, []measure.Outcome{measure.OK, measure.Reset}},
		"stalls":        {demo.Faults{Stalls: 1, Within: 6000}, shortTimeout, []measure.Outcome{measure.OK, measure.Timeout}},
		"half open":     {demo.Faults{HalfOpens: 1, Within: 6000}, shortTimeout, []measure.Outcome{measure.OK, measure.Timeout}},
		"corrupt heads": {demo.Faults{Corrupts: 1, Within: 35}, shortTimeout, []measure.Outcome{measure.OK, measure.Protocol}},
		"everything": {demo.Faults{Latency: time.Millisecond, Jitter: 3 * time.Millisecond, Slice: 700,
			Limits: 0.2, Resets: 0.2, Stalls: 0.1, HalfOpens: 0.1, Corrupts: 0.2, Within: 6000}, shortTimeout,
			[]measure.Outcome{measure.OK, measure.Reset, measure.Timeout}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.faults.Seed = 3
			raw := startRaw(t, demo.Serve(answer))
			proxy, err := demo.StartProxy(raw.Addr, tc.faults)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { proxy.Close() })
			watch := watchMachine(t)
			r := runAgainst(t, t.Context(), by, proxy.Addr,
				hostileRun(tc.timeout, "5ms..15ms", 20, 300*time.Millisecond, `"GET /${user.id}/${iteration}"`), 1)
			noise := watch()
			if err := proxy.Close(); err != nil {
				t.Error(err)
			}
			ledger := settle(t, raw)
			row := total(r)
			consistent(t, r, ledger)
			onTime(t, name, row, tc.timeout, noise)
			met := uint64(0)
			for _, o := range tc.want {
				met += row.Outcomes[o]
				if row.Outcomes[o] == 0 {
					t.Errorf("outcomes %v, want %v among them", outcomes(row), o)
				}
			}
			if met != row.Requests && tc.faults.Corrupts == 0 {
				t.Errorf("outcomes %v, want only %v", outcomes(row), tc.want)
			}
			if least := 2 * tc.faults.Latency; row.OK > 0 && time.Duration(row.Success.Min) < least {
				t.Errorf("the fastest took %v, and the latency alone is %v", time.Duration(row.Success.Min), least)
			}
		})
	}
}
