package exec

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
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

const hostileTimeout = 300 * time.Millisecond

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

// besiege lets two users each meet every hostility of a table, on one target.
func besiege(t *testing.T, table []hostility, script func(demo.Answer) demo.Script) {
	t.Helper()
	answers := map[string]demo.Answer{}
	for i, h := range table {
		answers[fmt.Sprintf("h%d", i)] = h.answer
	}
	raw := startRaw(t, script(demo.ByPath(answers)))
	watch := watchMachine()
	r := runAgainst(t, t.Context(), raw.Addr, hostileSpec(table, 2*len(table), 400*time.Millisecond), 1)
	noise := watch()
	ledger := settle(t, raw)

	received := map[string]uint64{}
	for path, n := range ledger.Paths {
		first, _, _ := strings.Cut(path[1:], "/")
		received[first] += n
	}
	for _, row := range r.Snapshot.Rows() {
		var i int
		fmt.Sscanf(row.Name, "h%d", &i)
		h := table[i]
		if row.Requests < 2 || row.Requests != received[row.Name] {
			t.Errorf("%s: %d requests, the target received %d", h.name, row.Requests, received[row.Name])
		}
		right := uint64(0)
		for _, o := range h.want {
			right += row.Outcomes[o]
		}
		if right != row.Requests {
			t.Errorf("%s: outcomes %v of %d, want only %v", h.name, outcomes(row), row.Requests, h.want)
		}
		onTime(t, h.name, row, noise)
	}
	consistent(t, r, ledger)
}

// hostileSpec has an endpoint and a persona for each hostility. Paths are
// /hI/USER/ITERATION.
func hostileSpec(table []hostility, users int, length time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nname: hostile\ntarget: {url: \"http://127.0.0.1:1\", timeout: %v}\nendpoints:\n", hostileTimeout)
	for i, h := range table {
		method := h.method
		if method == "" {
			method = "GET"
		}
		fmt.Fprintf(&b, "  h%d: {request: \"%s /h%d/${user.id}/${iteration}\"%s}\n", i, method, i, h.more)
	}
	b.WriteString("personas:\n")
	for i := range table {
		fmt.Fprintf(&b, "  p%d: {think: 20ms..40ms, tasks: {h%d: 1}}\n", i, i)
	}
	fmt.Fprintf(&b, "stages: [{steady: {users: %d, for: %v}}]\n", users, length)
	return b.String()
}

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
func onTime(t *testing.T, name string, row measure.Row, noise time.Duration) {
	t.Helper()
	const late = 100 * time.Millisecond
	if row.Outcomes[measure.Timeout] == row.Requests && time.Duration(row.Failed.Min) < hostileTimeout {
		t.Errorf("%s: timed out after %v, before the deadline", name, time.Duration(row.Failed.Min))
	}
	if longest := time.Duration(max(row.Failed.Max, row.Success.Max)); longest > hostileTimeout+late+noise {
		t.Errorf("%s: a request took %v with a timeout of %v (a bystander was up to %v late)", name, longest, hostileTimeout, noise)
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
func watchMachine() func() time.Duration {
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
	return func() time.Duration {
		close(stop)
		return <-worst
	}
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
		besiege(t, part, demo.Serve)
	}
}
