package report

import (
	"math"
	"sort"
	"strconv"
	"time"

	"tollgate/internal/measure"
)

var historyHeader = func() []string {
	header := []string{"Timestamp", "User Count", "Type", "Name", "Requests/s", "Failures/s"}
	header = append(header, percentileNames...)
	return append(header, "Total Request Count", "Total Failure Count", "Total Median Response Time", "Total Average Response Time",
		"Total Min Response Time", "Total Max Response Time", "Total Average Content Size")
}()

// lately is over how many seconds Locust takes its current rates and percentiles.
const lately = 10

// instant is one second of all rows together, set-up included, as Locust has it.
type instant struct {
	failures uint64
	times    measure.Hist // of the successes, two digits
}

// historyCSV returns stats_history.csv: all requests, second by second of the
// run. Each row says how it stood at the end of its second: users, rates and
// percentiles of the last ten seconds, and totals since the start. Of single
// seconds the ages of failures are not known, so times are of successes.
func (d *Document) historyCSV() ([]byte, error) {
	seconds, err := d.seconds()
	if err != nil {
		return nil, err
	}
	_, all := d.entries()
	t := sheet(historyHeader)
	total := tally{size: "0"}
	started := d.epoch()
	for n := 0; n <= len(seconds); n++ {
		var recent instant
		first := max(n-lately, 0)
		for i := first; i < n; i++ {
			recent.failures += seconds[i].failures
			recent.times.Merge(&seconds[i].times)
		}
		if n > 0 {
			total.add(&seconds[n-1])
			total.size = ratioOf(all.bytes, float64(all.requests))
		}
		cells := []string{
			strconv.FormatInt(started+int64(n), 10), strconv.Itoa(d.usersAt(float64(n))), "", aggregated,
			sixth(recent.times.Count+recent.failures, n-first), sixth(recent.failures, n-first),
		}
		cells = append(cells, percentilesOf(&recent.times)...)
		t = append(t, append(cells, total.cells()...))
	}
	return t.encode()
}

// sixth is a rate as Locust writes it here: six decimals.
func sixth(n uint64, seconds int) string {
	return strconv.FormatFloat(float64(n)/float64(max(seconds, 1)), 'f', 6, 64)
}

// tally is what a run has come to. Buckets do not tell a mean or an extreme
// exactly: it is the middle of its bucket for the mean, and its edges.
type tally struct {
	requests, failures uint64
	times              measure.Hist
	sum                float64 // of the times, ms
	size               string
}

func (t *tally) add(s *instant) {
	t.requests += s.times.Count + s.failures
	t.failures += s.failures
	t.times.Merge(&s.times)
	for b := range s.times.Buckets() {
		low, high := s.times.Edges(b)
		t.sum += float64(low+high) / 2 / 1e3 * float64(b.Count)
	}
}

func (t *tally) cells() []string {
	cells := []string{whole(t.requests), whole(t.failures)}
	if t.times.Count == 0 {
		return append(cells, "0", "0.0", "0", "0", t.size)
	}
	least, most := int64(math.MaxInt64), int64(0)
	for b := range t.times.Buckets() {
		low, high := t.times.Edges(b)
		least, most = min(least, low), max(most, high)
	}
	return append(cells, millis(t.times.Quantile(0.5)), python(t.sum/float64(t.times.Count)),
		python(float64(least)/1e3), python(float64(most)/1e3), t.size)
}

// seconds returns the run second by second, those without a request included.
func (d *Document) seconds() ([]instant, error) {
	moments, err := measure.ReadLog(d.Record.Log, len(d.Rows))
	if err != nil {
		return nil, err
	}
	length := d.length()
	for i := range moments {
		length = max(length, moments[i].Second+1)
	}
	out := make([]instant, length)
	for i := range moments {
		m := &moments[i]
		out[m.Second].failures += m.Failures
		out[m.Second].times.Merge(&m.Response)
	}
	return out, nil
}

// length is the run in whole seconds, the last one begun included. No run is
// longer than the week that a log can tell apart.
func (d *Document) length() int64 {
	const week = 7 * 24 * 3600
	return int64(min(max(math.Ceil(d.Elapsed), 0), week))
}

// epoch is the start of the run in seconds since 1970, 0 if it never began.
func (d *Document) epoch() int64 {
	t, err := time.Parse(time.RFC3339, string(d.Started))
	if err != nil {
		return 0
	}
	return t.Unix()
}

// usersAt is how many users were active at a moment, by the last reading before.
func (d *Document) usersAt(seconds float64) (n int) {
	after := sort.Search(len(d.Users.At), func(i int) bool { return d.Users.At[i] > seconds })
	if after == 0 {
		return 0
	}
	for _, p := range d.Users.Personas {
		n += p.Active[after-1]
	}
	return n
}
